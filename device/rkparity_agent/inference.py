"""What the child process does for `run` and `query`: opens the model, gives inputs, runs, saves outputs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rkparity_agent import native
from rkparity_agent.events import AgentFailure, EventStream, usage
from rkparity_agent.folders import require_space
from rkparity_agent.job import Job, JobInput
from rkparity_agent.session import (
    QUERY_INPUT_ATTR,
    QUERY_NATIVE_INPUT_ATTR,
    QUERY_NATIVE_OUTPUT_ATTR,
    QUERY_OUTPUT_ATTR,
    OutputRequest,
    Session,
    TensorInput,
)

_FLOAT_NBYTES = 4
_UINT8_FROM_INT8 = 128


def describe(session: Session) -> dict[str, Any]:
    """Everything the library says about a model: the result of `query`."""
    answer: dict[str, Any] = sdk(session)
    answer["inputs"] = session.attrs(QUERY_INPUT_ATTR)
    answer["outputs"] = session.attrs(QUERY_OUTPUT_ATTR)
    for name, query in (("native_inputs", QUERY_NATIVE_INPUT_ATTR), ("native_outputs", QUERY_NATIVE_OUTPUT_ATTR)):
        # Old versions know fewer queries; null says that this one does not answer.
        answer[name] = _optional(session, query)
    answer["mem_size"] = _mem_size(session)
    return answer


def sdk(session: Session) -> dict[str, Any]:
    """Library path, versions, and whether this is the emulated runtime (it says so in its version text)."""
    api_version, driver_version = session.versions()
    return {
        "library": session.library_path,
        "sdk": {"api_version": api_version, "driver_version": driver_version},
        "emulated": "emulat" in api_version.lower(),
    }


def _optional(session: Session, query: int) -> list[dict[str, Any]] | None:
    try:
        return session.attrs(query)
    except AgentFailure as failure:
        if failure.kind != "call":
            raise
        return None


def _mem_size(session: Session) -> dict[str, int] | None:
    try:
        return session.mem_size()
    except AgentFailure as failure:
        if failure.kind != "call":
            raise
        return None


def set_environment(job: Job) -> None:
    """Sets the variables librknnrt reads; must happen before the library is opened."""
    wanted = {
        "RKNN_LOG_LEVEL": str(job.log_level),
        "RKNN_DUMP_DIR": job.dump_dir,
        "RKNN_DUMP_QUANT": str(job.dump_quant) if job.dump_dir else None,
        "RKNN_DUMP_TXT_TENSOR": "1" if job.dump_dir and job.dump_text else None,
    }
    for name, value in wanted.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def run_job(job: Job, library: str | None, events: EventStream) -> dict[str, Any]:
    """Does the whole job; returns the result's fields but those about dumps and logs."""
    set_environment(job)
    events.progress("init", 0, 1)
    with Session(library, job.model, perf=job.perf) as session:
        if job.core_mask:
            session.set_core_mask(job.core_mask)
        if job.input_shapes is not None:
            session.set_shapes(job.input_shapes)
        answer: dict[str, Any] = sdk(session)
        answer["inputs"] = session.attrs(QUERY_INPUT_ATTR)
        output_attrs = session.attrs(QUERY_OUTPUT_ATTR)
        requests = [
            OutputRequest(
                job.want_float_of(index, len(output_attrs)),
                job.prealloc,
                job.native_outputs,
                job.output_type,
                job.output_fmt,
            )
            for index in range(len(output_attrs))
        ]
        _check_space(job, _mem_size(session), output_attrs)
        events.progress("inputs", 0, len(job.inputs))
        inputs = _read_inputs(job.inputs, answer["inputs"])
        if job.api == "general":
            session.set_inputs(inputs)
        else:
            for index, given in enumerate(inputs):
                session.bind_input(index, given)
            for index, request in enumerate(requests):
                session.bind_output(index, request)
        answer["run_us"] = []
        for done in range(job.repeat):
            events.progress("run", done, job.repeat)
            answer["run_us"].append(session.run())
        events.progress("outputs", 0, len(output_attrs))
        if job.api == "general":
            session.get_outputs(requests)
        answer["outputs"] = [_save(session, attr, job.output_dir) for attr in output_attrs]
        if job.perf:
            answer["perf"] = session.perf()
    return answer


def _check_space(job: Job, mem_size: dict[str, int] | None, outputs: Sequence[dict[str, Any]]) -> None:
    """A lower bound: outputs as float32, and every byte of internal memory dumped as float32 once."""
    nbytes = sum(int(attr["n_elems"]) for attr in outputs) * _FLOAT_NBYTES
    require_space(Path(job.output_dir), nbytes, "the output folder")
    if job.dump_dir is not None:
        internal = mem_size["internal"] if mem_size else 0
        require_space(Path(job.dump_dir), nbytes + internal * _FLOAT_NBYTES, "the dump folder")


def _read_inputs(given: Sequence[JobInput], attrs: Sequence[dict[str, Any]]) -> list[TensorInput]:
    if len(given) != len(attrs):
        names = ", ".join(f"{attr['name']} {attr['dims']}" for attr in attrs)
        raise usage(f"{len(given)} inputs were given, the model has {len(attrs)}: {names}")
    return [_read_input(item, attr) for item, attr in zip(given, attrs)]


def _read_input(given: JobInput, attr: dict[str, Any]) -> TensorInput:
    fmt = given.fmt if given.fmt is not None else native.fmt_number("NHWC" if len(attr["dims"]) == 4 else "UNDEFINED")
    if given.file.endswith(".npy"):
        npy = native.NpyFile(given.file)
        number = given.type if given.type is not None else npy.type
        if number is None:
            raise usage(
                f"{given.file}: dtype {npy.descr} has no RKNN type",
                "convert the input to float32, uint8, int8 or int64",
            )
        if npy.fortran_order:
            raise usage(f"{given.file}: is in Fortran order", "save it in C order: numpy.ascontiguousarray(x)")
        if not given.pass_through:
            _check_shape(given.file, npy.shape, attr, native.fmt_name(fmt))
        offset, nbytes = npy.data_offset, npy.nbytes
    else:
        if given.type is None:
            raise usage(f"{given.file}: a raw file does not say its type", 'give "type", or an .npy file')
        number, offset, nbytes = given.type, 0, _file_nbytes(given.file)
    data = bytearray(nbytes)
    try:
        with Path(given.file).open("rb") as file:
            file.seek(offset)
            length = file.readinto(data)
    except OSError as error:
        raise AgentFailure("file", f"{given.file}: cannot be read: {error.strerror}") from error
    if length != nbytes:
        raise AgentFailure("data", f"{given.file}: ended after {length} of {nbytes} bytes")
    return TensorInput(data, number, fmt, given.pass_through)


def _file_nbytes(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError as error:
        raise AgentFailure("file", f"{path}: cannot be read: {error.strerror}") from error


def _check_shape(path: str, shape: Sequence[int], attr: dict[str, Any], fmt: str) -> None:
    """A file of the right size but another axis order would give a wrong answer without an error."""
    dims = list(attr["dims"])
    if len(dims) == 4 and fmt == "NCHW":
        dims = [dims[0], dims[3], dims[1], dims[2]]
    elif fmt not in ("NHWC", "UNDEFINED") or (fmt == "UNDEFINED" and len(dims) == 4):
        return
    if _squeezed(shape) == _squeezed(dims):
        return
    hint = "give the input in the model's shape"
    if len(dims) == 4 and fmt == "NHWC" and _squeezed(shape) == _squeezed([dims[0], dims[3], dims[1], dims[2]]):
        hint = "the file is NCHW; transpose it: x.transpose(0, 2, 3, 1)"
    raise usage(f"{path}: shape {list(shape)} is not that of input '{attr['name']}': {dims} ({fmt})", hint)


def _squeezed(shape: Sequence[int]) -> list[int]:
    return [dim for dim in shape if dim != 1]


def _save(session: Session, attr: dict[str, Any], output_dir: str) -> dict[str, Any]:
    name = f"output{attr['index']}.npy"
    saved = session.save_output(attr["index"], str(Path(output_dir) / name))
    if saved.pop("untouched"):
        raise AgentFailure(
            "data",
            f"output {attr['index']} ('{attr['name']}'): the library wrote nothing into its memory",
            hint="read the runtime log; is the layout or type asked for supported by this runtime?",
        )
    kind = saved.pop("type")
    # Float tensors of FP16 models report AFFINE too (evidence 160_b25_zc_ids_fp16): only integers are quantised.
    quantized = kind in ("INT8", "UINT8") and attr["type"] in ("INT8", "UINT8") and attr["qnt_type"] == "AFFINE"
    # A UINT8 asked of an INT8 tensor is q + 128 (evidence 160_zc_out_native_u8).
    shift = _UINT8_FROM_INT8 if kind == "UINT8" and attr["type"] == "INT8" else 0
    return {
        **attr,
        "file": name,
        **saved,
        "scale": attr["scale"] if quantized else None,
        "zero_point": attr["zp"] + shift if quantized else None,
    }
