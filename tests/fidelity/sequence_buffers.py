"""Buffers of the recorded sequences: sequences.c prints their sizes and whether they were written, and keeps them."""

from __future__ import annotations

import re

import numpy as np

from fidelity.output_dump import output_dump
from fidelity.player import Played
from fidelity.transcript import Step

_LINE = re.compile(r"(?:OUT|READ) .*")
# In the order in which they are printed, these buffers are kept as io/00_*.bin, io/01_*.bin, ...
_KEPT = re.compile(r"OUT (?P<index>\d+) size=(?P<size>\d+) buf=set|READ size=\d+ .*|OUT size=\d+$")


def sequence_sizes(expected: Step, got: Step) -> list[tuple[str, str, str]]:
    """What was printed about buffers, line by line."""
    left, right = ([line for line in step.answers if _LINE.match(line)] for step in (expected, got))
    return [(expected.call, " | ".join(left), " | ".join(right))] if left or right else []


def sequence_relations(played: Played) -> list[tuple[str, str, str]]:
    """Float outputs of the last rknn_outputs_get against the OutputOperator dumps of the last run."""
    findings: list[tuple[str, str, str]] = []
    steps = played.transcript.steps
    if played.experiment.driver != "sequences" or played.model is None or not any(step.call == "run" for step in steps):
        return findings
    kept = -1
    fetched: list[tuple[int, int, int]] = []
    floats = False
    for step in steps:
        if step.call.startswith("get "):
            fetched, floats = [], "wf=1" in step.call
        for match in (match for line in step.answers for match in [_KEPT.match(line)] if match):
            kept += 1
            if match["index"] is not None:
                fetched.append((kept, int(match["index"]), int(match["size"])))
    for number, index, size in fetched if floats else []:
        tensor = played.model.output_tensors[index]
        dump = output_dump(played, tensor)
        values = np.frombuffer((played.folder / "io" / f"{number:02}_out.bin").read_bytes(), np.float32)
        if dump is not None:
            same = size == values.nbytes and dump.astype(np.float32).tobytes() == values.tobytes()
            got = "the dump's values" if same else "other values"
            findings.append((f"output {tensor.name}", "the dump's values", got))
    return findings
