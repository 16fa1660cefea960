"""The run on disk: one execution of one model on one input by one engine."""

from rkparity.runs.manifest import (
    SCHEMA,
    Engine,
    InputForm,
    InputRecord,
    Manifest,
    ModelRecord,
    Precision,
    Role,
    TensorRecord,
)
from rkparity.runs.npy import NpyHeader, open_npy, read_npy_header, write_npy
from rkparity.runs.store import RunReader, RunWriter

__all__ = [
    "SCHEMA",
    "Engine",
    "InputForm",
    "InputRecord",
    "Manifest",
    "ModelRecord",
    "NpyHeader",
    "Precision",
    "Role",
    "RunReader",
    "RunWriter",
    "TensorRecord",
    "open_npy",
    "read_npy_header",
    "write_npy",
]
