"""What librknnrt's log says that its return codes do not.

The library answers several failures with success and one line on stdout: an input that was not taken, an output
that was not written, a dump folder that is not there. Each rule names the evidence folder the line was seen in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rkparity_agent.events import ENVIRONMENT, USAGE, AgentFailure

MAX_LINES_TOLD = 40
_MAX_LINE_NBYTES = 4000
_LINE = re.compile(r"^([EWID]) RKNN: (?:\[[0-9:.]+\] )?(.*)$")
_DUMPED = re.compile(r"dump npy tensor to: (.*)$")


@dataclass(frozen=True)
class _Rule:
    pattern: re.Pattern[str]
    call: str
    meaning: str
    hint: str
    exit_code: int = USAGE


_GIVE_NHWC = "give 4-D inputs as NHWC and others as UNDEFINED (RKNN manual 7.2.2)"

_FATAL = (
    # Evidence 152_gen_u8_nchw_pt0, 160_gen_u8_undefined_pt0, 160_gen_u8_nc1hwc2_pt0: returns 0 with no data set.
    _Rule(
        re.compile(r"Meet unsupported src layout for normalize"),
        "rknn_inputs_set",
        "the input's fmt is not accepted; the library returned success but took no data",
        _GIVE_NHWC,
    ),
    _Rule(
        re.compile(r"rknn_inputs_set, (normalize error|meet unsupported layout|when input channel is)"),
        "rknn_inputs_set",
        "the library returned success but took no data for an input",
        _GIVE_NHWC,
    ),
    # Evidence 160_gen_int64_nhwc_pt0.
    _Rule(
        re.compile(r"Normalize does not support for this data type"),
        "rknn_inputs_set",
        "the input's type is not accepted by the model; the library returned success but took no data",
        "use a type this input accepts: INT8, UINT8 or FLOAT32 for int8, UINT8, FLOAT16 or FLOAT32 for float16",
    ),
    # Evidence 160_err_size_big.
    _Rule(
        re.compile(r"current input size\(\d+\) > need input size\(\d+\)"),
        "rknn_inputs_set",
        "an input buffer is too large; the library returned success but took no data",
        "give exactly the tensor's bytes",
    ),
    # Evidence 160_err_one_of_two.
    _Rule(
        re.compile(r"rknn_inputs_set, param input num\(\d+\) != model input num\(\d+\)"),
        "rknn_inputs_set",
        "not all inputs were given; the library returned success",
        "give every input of the model",
    ),
    # Evidence 160_out_wf0_pre1_small.
    _Rule(
        re.compile(r"output\[\d+\] buf size error"),
        "rknn_outputs_get",
        "a preallocated output buffer has the wrong size; the library returned success and wrote nothing",
        "preallocate elements x 4 bytes for want_float 1, elements x the type's bytes for 0",
    ),
)

_DUMP_FAILED = (
    # Evidence 160_nodir, mrt232_zc_nodir.
    _Rule(re.compile(r"failed open dump path: "), "rknn_run", "dump files could not be written", "", ENVIRONMENT),
    _Rule(re.compile(r"Unable to create file "), "rknn_run", "dump files could not be written", "", ENVIRONMENT),
)


@dataclass(frozen=True)
class RuntimeLog:
    """The lines of a runtime's log that matter: `dumped` are base names of the dump files it says it wrote."""

    messages: tuple[tuple[str, str], ...]
    dumped: tuple[str, ...]
    tail: tuple[str, ...]

    @classmethod
    def read(cls, *paths: Path) -> RuntimeLog:
        """Reads captured output; lines that are not the library's only count for `tail`."""
        messages: list[tuple[str, str]] = []
        dumped: dict[str, None] = {}
        tail: list[str] = []
        for path in paths:
            if not path.is_file():
                continue
            with path.open("rb") as file:
                for raw in iter(lambda: file.readline(_MAX_LINE_NBYTES), b""):
                    line = raw.decode("utf-8", "replace").rstrip("\r\n")
                    found = _DUMPED.search(line)
                    if found:
                        dumped[found.group(1).rsplit("/", 1)[-1]] = None
                    parts = _LINE.match(line)
                    if parts and parts.group(1) in "EW":
                        messages.append((parts.group(1), parts.group(2)))
                    if line:
                        tail = [*tail[-9:], line]
        return cls(tuple(messages), tuple(dumped), tuple(tail))

    def hidden_failure(self) -> AgentFailure | None:
        """The first failure the library answered with success, or None."""
        return self._first(_FATAL, "")

    def dump_failure(self, dump_dir: str) -> AgentFailure | None:
        """The failure to write dumps, which never shows in a return code, or None."""
        return self._first(_DUMP_FAILED, f"check that {dump_dir} exists, is writable and has space")

    def _first(self, rules: tuple[_Rule, ...], hint: str) -> AgentFailure | None:
        for _, message in self.messages:
            for rule in rules:
                if rule.pattern.search(message):
                    return AgentFailure(
                        "log",
                        f"{rule.call}: {rule.meaning}; the runtime's log says: {message}",
                        hint=rule.hint or hint,
                        call=rule.call,
                        code=0,
                        code_name="RKNN_SUCC",
                        exit_code=rule.exit_code,
                    )
        return None

    def to_json(self) -> list[dict[str, Any]]:
        """Error and warning lines, the same text once with its count, errors first; at most MAX_LINES_TOLD of them."""
        counts: dict[tuple[str, str], int] = {}
        for entry in self.messages:
            counts[entry] = counts.get(entry, 0) + 1
        ordered = sorted(counts.items(), key=lambda item: item[0][0] != "E")[:MAX_LINES_TOLD]
        return [
            {"level": "error" if level == "E" else "warning", "message": message, "count": count}
            for (level, message), count in ordered
        ]
