"""The original picture, for explaining an input."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.errors import DataError, UsageError
from rkparity.runs import open_npy

if TYPE_CHECKING:
    from numpy.typing import NDArray


def read_picture(path: Path) -> NDArray[Any]:
    """An RGB picture (height, width, 3) or a grey one (height, width), uint8: from .npy or, with Pillow, any picture.

    Raises UsageError when it cannot be used, DataError when it is damaged.
    """
    import numpy as np

    if not path.is_file():
        raise UsageError(f"--picture {path}: does not exist")
    if path.suffix.lower() == ".npy":
        array = np.squeeze(open_npy(path))
    else:
        try:
            from PIL import Image
        except ImportError:
            raise UsageError(
                f"--picture {path}: reading picture files needs Pillow",
                hint="pip install pillow, or give the picture as .npy (uint8, height x width x 3, RGB)",
            ) from None
        try:
            with Image.open(path) as picture:
                array = np.asarray(picture.convert("RGB"))
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise DataError(f"--picture {path}: cannot be read: {error}") from error
    if array.dtype != np.uint8 or array.ndim not in (2, 3):
        raise UsageError(
            f"--picture {path}: holds {array.dtype.name} {list(array.shape)}, uint8 height x width x 3 is needed"
        )
    return array
