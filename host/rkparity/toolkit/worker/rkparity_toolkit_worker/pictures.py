"""Reading a picture as the toolkit reads calibration images: OpenCV, RGB, plain bilinear resize."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rkparity_toolkit_worker.capture import save
from rkparity_toolkit_worker.failures import JobFailed


def read_picture(
    path: str, channels: int, height: int, width: int, resize: bool, bgr: bool, file: str
) -> dict[str, Any]:
    """Writes the picture to `file` as uint8 (1, height, width, channels).

    A size other than the model's is refused unless `resize`: the toolkit would stretch it without a word. `bgr` swaps
    the channels, as quant_img_RGB2BGR makes the toolkit do for image files.
    """
    import cv2

    picture = cv2.imread(path, cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR)
    if picture is None:
        raise JobFailed("argument", "imread", f"{path}: OpenCV cannot read it as a picture")
    if channels not in (1, 3):
        raise JobFailed(
            "argument", "imread", f"{path}: a picture has 1 or 3 channels, the model's input has {channels}"
        )
    found = (picture.shape[0], picture.shape[1])
    if found != (height, width):
        if not resize:
            raise JobFailed(
                "size",
                "imread",
                f"{path}: is {found[1]}x{found[0]} (width x height), the model's input is {width}x{height}",
            )
        picture = cv2.resize(picture, (width, height))
    if channels == 3 and not bgr:
        picture = picture[..., ::-1]
    save(Path(file), np.ascontiguousarray(picture.reshape(1, height, width, channels)))
    return {"width": found[1], "height": found[0], "resized": found != (height, width)}
