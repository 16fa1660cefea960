"""A Repetition as findings."""

from __future__ import annotations

from collections.abc import Iterable

from rkparity.diagnose.repeat.compare import DumpDifference, Repetition
from rkparity.findings.finding import Evidence, Finding, FindingStage, Severity

_SYNC = (
    "memcpy(mem->virt_addr, pixels, size);\nrknn_mem_sync(ctx, mem, RKNN_MEMORY_SYNC_TO_DEVICE);\nrknn_run(ctx, NULL);"
)
_INPUT_REFERENCES = "airockchip/rknn_model_zoo#371, rockchip-linux/rknpu#48"


def repeat_findings(repetition: Repetition) -> Iterable[Finding]:
    """What is wrong about these runs; nothing when equal inputs gave equal runs and different inputs different ones."""
    if repetition.unequal_files:
        yield Finding(
            "repeat.files",
            FindingStage.REPEAT,
            Severity.WARNING,
            0.9,
            "the runs did not dump the same layers",
            f"{len(repetition.unequal_files)} dumps are not in every run, such as {repetition.unequal_files[0]}: other "
            "models, other settings, or a run that stopped.",
            (Evidence("dump", "not in every run", {"dumps": float(len(repetition.unequal_files))}),),
            subject=repetition.unequal_files[0],
        )
    if repetition.same_given is False:
        yield from _different_inputs(repetition)
    elif repetition.differences:
        yield _differing(repetition, repetition.differences[0])


def _different_inputs(repetition: Repetition) -> Iterable[Finding]:
    if repetition.same_held:
        yield Finding(
            "repeat.stale_input",
            FindingStage.REPEAT,
            Severity.ERROR,
            0.95,
            "different inputs reach the runtime as the same one",
            "The runs were given different bytes, their InputOperator dumps are equal: the input was not set again. "
            "rknn_inputs_set returns 0 and copies nothing for a buffer of the wrong size or an unsupported layout; "
            "with "
            "zero-copy, the cache was not written back.",
            (Evidence("dump", "all InputOperator dumps are equal", {"runs": float(len(repetition.runs))}),),
            "Call rknn_inputs_set before every rknn_run and look for E lines in the runtime's log; with zero-copy, "
            "write "
            "the memory and synchronise it before every run.",
            _SYNC,
            "rockchip-linux/rknn-toolkit#175; airockchip/rknn-toolkit2#529",
        )
    elif repetition.same_outputs:
        yield Finding(
            "repeat.stale_output",
            FindingStage.REPEAT,
            Severity.ERROR,
            0.9,
            "different inputs give the same outputs",
            "The InputOperator dumps differ, the OutputOperator dumps are equal: the outputs are an earlier run's, "
            "or the "
            "model does not depend on what differs.",
            (Evidence("dump", "all OutputOperator dumps are equal", {"runs": float(len(repetition.runs))}),),
            "Release the outputs after each run and get them again; never share buffers between contexts or threads.",
            "rknn_run(ctx, NULL);\nrknn_outputs_get(ctx, n, outputs, NULL);\nrknn_outputs_release(ctx, n, outputs);",
            "PaddlePaddle/FastDeploy#1989",
        )


def _differing(repetition: Repetition, first: DumpDifference) -> Finding:
    known = repetition.same_given is True
    variants = len(repetition.groups)
    odd = [place for group in repetition.groups[1:] for place in group]
    names = ", ".join(str(repetition.runs[place].path) for place in odd[:4])
    evidence = [
        Evidence(
            "dump",
            f"{first.file}: {first.text}",
            {"elements": float(first.count), "largest": first.largest, "first": float(first.first)},
            first.file,
        ),
        Evidence(
            "statistics",
            f"{variants} different results in {len(repetition.runs)} runs; not like the most: {names}",
            {"variants": float(variants), "runs": float(len(repetition.runs))},
        ),
        Evidence(
            "statistics", f"{len(repetition.differences)} dumps differ", {"dumps": float(len(repetition.differences))}
        ),
    ]
    if not repetition.same_held:
        if not known:
            return _unknown_inputs(first, evidence)
        return Finding(
            "repeat.input_changes",
            FindingStage.REPEAT,
            Severity.ERROR,
            0.95,
            "the same input reaches the runtime differently each time",
            "The same bytes were given, the InputOperator dumps differ"
            + (
                ", in whole cache lines: the CPU's cache was not written back before the run."
                if first.in_lines
                else ": the buffer is changed while it is used, freed, shared between threads or only partly filled."
            ),
            tuple(evidence),
            "Give the runtime a buffer of its own until rknn_run has returned; with zero-copy synchronise it "
            "TO_DEVICE; "
            "let RGA finish before the run.",
            _SYNC,
            _INPUT_REFERENCES,
            subject=first.file,
        )
    return Finding(
        "repeat.layer_changes",
        FindingStage.REPEAT,
        Severity.ERROR,
        0.95,
        f"the same input gives different results from operator {first.order} on",
        f"{first.file} is the first dump that differs although everything before it is equal: the operator reads "
        "memory "
        "that is not its own (several contexts or cores, internal memory shared or too small), or the NPU is unstable.",
        tuple(evidence),
        "Run with one context and one core (rknn_set_core_mask); if the results are then stable, give each thread "
        "its own "
        "context (rknn_dup_context) and its own memories. If not, update driver and runtime and report the operator.",
        "rknn_set_core_mask(ctx, RKNN_NPU_CORE_0);",
        "airockchip/rknn-toolkit2#228, airockchip/rknn-toolkit2#473",
        subject=first.file,
    )


def _unknown_inputs(first: DumpDifference, evidence: list[Evidence]) -> Finding:
    return Finding(
        "repeat.inputs_differ",
        FindingStage.REPEAT,
        Severity.WARNING,
        0.5,
        "the runs had different inputs",
        "The InputOperator dumps differ, and these runs do not say what they were given: either the inputs were "
        "different, "
        "or the same input arrived differently.",
        tuple(evidence),
        "Make the runs with `rkparity run`, which records the inputs, or give the application the same picture each "
        "time.",
        reference=_INPUT_REFERENCES,
        subject=first.file,
    )
