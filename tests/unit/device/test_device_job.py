"""Jobs: every field, every mistake by name."""

from __future__ import annotations

from typing import Any

import pytest

from rkparity_agent.events import AgentFailure
from rkparity_agent.job import SCHEMA, Job, JobInput

MINIMAL: dict[str, Any] = {"schema": SCHEMA, "model": "/m.rknn", "inputs": [], "output_dir": "/out"}


def test_defaults() -> None:
    assert Job.from_json(MINIMAL) == Job(model="/m.rknn", inputs=(), output_dir="/out")


def test_every_field() -> None:
    job = Job.from_json(
        {
            **MINIMAL,
            "library": "/l.so",
            "api": "zero-copy",
            "inputs": [{"file": "/a.bin", "type": "uint8", "fmt": "NC1HWC2", "pass_through": True}, {"file": "/b.npy"}],
            "want_float": [True, False],
            "prealloc": True,
            "output_fmt": "NHWC",
            "output_type": "FLOAT16",
            "dump_dir": "/d",
            "dump_quant": 2,
            "dump_text": True,
            "log_level": 6,
            "repeat": 3,
            "core_mask": "0_1",
            "perf": True,
            "timeout_s": 1.5,
            "input_shapes": [[1, 9, 30, 3], [1, 5]],
        }
    )
    assert job.inputs == (JobInput("/a.bin", 3, 2, True), JobInput("/b.npy", None, None, False))
    assert (job.output_fmt, job.output_type, job.core_mask, job.timeout_s) == (1, 1, 3, 1.5)
    assert job.input_shapes == ((1, 9, 30, 3), (1, 5))
    assert [job.want_float_of(index, 2) for index in range(2)] == [True, False]
    with pytest.raises(AgentFailure, match="want_float has 2 entries, the model has 3 outputs"):
        job.want_float_of(0, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "rkparity.job/2"}, "job: schema is 'rkparity.job/2', this agent reads 'rkparity.job/1'"),
        ({"speed": 1}, "job: unknown field 'speed'"),
        ({"model": ""}, "job: model must be a non-empty string, not ''"),
        ({"model": "a\0b"}, "job: model must be a non-empty string"),
        ({"api": "fast"}, "job: api must be one of general, zero-copy, not 'fast'"),
        ({"inputs": {}}, "job: inputs must be a list, not {}"),
        ({"inputs": ["x"]}, "job: inputs[0] must be a JSON object, not str"),
        ({"inputs": [{"file": "x", "type": "FLOAT"}]}, "job: inputs[0]: type must be the name of an RKNN type"),
        ({"inputs": [{"file": "x", "fmt": "CHW"}]}, "job: inputs[0]: fmt must be NCHW, NHWC, NC1HWC2 or UNDEFINED"),
        ({"inputs": [{"file": "x", "colour": "BGR"}]}, "job: inputs[0]: unknown field 'colour'"),
        ({"want_float": 1}, "job: want_float must be true, false or a list of them"),
        ({"want_float": []}, "job: want_float must be true, false or a list of them"),
        ({"repeat": 0}, "job: repeat must be a whole number from 1 to 1000000, not 0"),
        ({"repeat": True}, "job: repeat must be a whole number"),
        ({"dump_quant": 3}, "job: dump_quant must be a whole number from 0 to 2, not 3"),
        ({"core_mask": "3"}, "job: core_mask must be one of AUTO, 0, 1, 2, 0_1, 0_1_2, ALL, not '3'"),
        ({"timeout_s": -1}, "job: timeout_s must be a number of seconds or null, not -1"),
        ({"input_shapes": [1, 2]}, "job: input_shapes must be a list of shapes, one for each input, or null"),
        ({"input_shapes": [[1, 0]]}, "job: input_shapes must be a list of shapes"),
        ({"input_shapes": [[]]}, "job: input_shapes must be a list of shapes"),
        ({"dump_dir": "/d", "log_level": 4}, "job: log_level 4 makes no dumps; dump_dir needs 5 or more"),
        ({"native_outputs": True}, "job: native_outputs, output_fmt and output_type belong to the zero-copy API"),
        (
            {"api": "zero-copy", "native_outputs": True, "output_fmt": "NHWC"},
            "job: native_outputs takes the model's own layout and type",
        ),
    ],
)
def test_mistakes_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(AgentFailure) as caught:
        Job.from_json({**MINIMAL, **change})
    assert (caught.value.kind, caught.value.exit_code) == ("usage", 2)
    assert caught.value.message.startswith(message)


def test_not_an_object() -> None:
    with pytest.raises(AgentFailure, match="job must be a JSON object, not list"):
        Job.from_json([])
