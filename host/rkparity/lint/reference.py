"""The inputs of a reference run, in the forms a wrong program might give them, recognised by their hashes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.errors import UsageError
from rkparity.runs import InputForm, RunReader, open_npy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rkparity.model import InputNormalization, Model
    from rkparity.trace import Content


class Reference:
    """`forms` maps an input's name to the XXH64 of each form; the empty text is the right one."""

    def __init__(self, path: Path, forms: dict[str, dict[str, str]], unusable: dict[str, str]) -> None:
        self.path = path
        self.unusable = unusable
        self._forms = forms

    def has(self, name: str) -> bool:
        """Whether the reference kept this input as the application has to give it."""
        return name in self._forms

    def recognise(self, name: str, content: Content) -> str | None:
        """What was done to the reference's input to make this content: "" for nothing, None if it is another one."""
        if content.unread is not None or not self.has(name):
            return None
        return self._forms[name].get(content.xxh64)


def read_reference(path: Path, model: Model | None) -> Reference:
    """Reads the inputs of the run at `path`; UsageError when none is raw, DataError when one is damaged."""
    run = RunReader.open(path)
    forms: dict[str, dict[str, str]] = {}
    unusable: dict[str, str] = {}
    for record in run.manifest.inputs:
        if record.form is not InputForm.RAW or record.file is None:
            unusable[record.name] = "was kept normalised, not as the application gives it"
            continue
        array = open_npy(run.file(record.file))
        norm = None
        if model is not None:
            norm = next((item for item in model.normalization if item.name == record.name), None)
        known: dict[str, str] = {}
        for what, form in _forms_of(array, record.layout, norm):
            # The first of equal forms counts: a grey picture is also its own channel-swapped self.
            known.setdefault(xxh64(form), what)
        forms[record.name] = known
    if not forms:
        raise UsageError(
            f"{path}: kept no input in the form an application gives it",
            hint="use a run made with `rkparity run` or `rkparity simulate` from raw pixels",
        )
    return Reference(path, forms, unusable)


def _forms_of(array: NDArray[Any], layout: str, norm: InputNormalization | None) -> Iterator[tuple[str, NDArray[Any]]]:
    import numpy as np

    layout = layout.upper()
    if array.ndim == 3 and layout in ("NHWC", "NCHW", "HWC", "CHW"):
        array, layout = array[None], layout if layout[0] == "N" else f"N{layout}"
    if array.ndim != 4:
        yield "", array
        return
    # Told by the shape where the layout is not written: a picture has 1, 3 or 4 channels.
    nhwc = array
    if layout == "NCHW" or (layout != "NHWC" and array.shape[3] not in (1, 3, 4)):
        nhwc = array.transpose(0, 2, 3, 1)
    # The application gives NHWC, whatever the reference was simulated from (RKNN manual 7.2.2, U2).
    yield "", nhwc
    if nhwc.shape[3] >= 3:
        yield "with red and blue swapped", nhwc[..., [2, 1, 0, *range(3, nhwc.shape[3])]]
    if nhwc.shape[3] > 1:
        yield "in NCHW order", nhwc.transpose(0, 3, 1, 2)
        if nhwc.shape[3] >= 3:
            yield "in NCHW order with red and blue swapped", nhwc[..., [2, 1, 0]].transpose(0, 3, 1, 2)
    yield "upside down", nhwc[:, ::-1]
    yield "mirrored", nhwc[:, :, ::-1]
    if array.dtype == np.uint8:
        as_float = nhwc.astype(np.float32)
        yield "", as_float
        yield "divided by 255", as_float / np.float32(255)
        if norm is not None and len(norm.mean) in (1, nhwc.shape[3]) and all(norm.std):
            mean, std = np.asarray(norm.mean, np.float32), np.asarray(norm.std, np.float32)
            yield "normalised already: (x - mean) / std", (as_float - mean) / std
            yield "normalised already, in NCHW order", ((as_float - mean) / std).transpose(0, 3, 1, 2)


def xxh64(array: NDArray[Any]) -> str:
    """XXH64 (seed 0) of the array's bytes in C order, 16 hexadecimal digits, as the layer writes it."""
    import numpy as np

    from rkparity_agent import _native

    data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    state = _native.ffi.new("struct rkp_xxh64 *")
    _native.lib.rkp_xxh64_init(state, 0)
    _native.lib.rkp_xxh64_update(state, _native.ffi.from_buffer(data), data.nbytes)
    return f"{_native.lib.rkp_xxh64_value(state):016x}"
