"""Resizes and spoils pictures with OpenCV and Pillow; run by the toolkit environment's interpreter, which has OpenCV.

python pictures.py PICTURES.npz OUT.npz H W        arrays in, NAME/VARIANT arrays out
"""

from __future__ import annotations

import sys

import cv2
import numpy as np


def variants(picture: np.ndarray, height: int, width: int) -> dict[str, np.ndarray]:
    size = (width, height)
    scale = min(width / picture.shape[1], height / picture.shape[0])
    inner = cv2.resize(picture, (int(picture.shape[1] * scale), int(picture.shape[0] * scale)))
    down, right = height - inner.shape[0], width - inner.shape[1]
    grey = (114, 114, 114)
    side = min(picture.shape[0] / height, picture.shape[1] / width)
    part = (min(picture.shape[0], round(height * side)), min(picture.shape[1], round(width * side)))
    top, left = (picture.shape[0] - part[0]) // 2, (picture.shape[1] - part[1]) // 2
    cut = picture[top : top + part[0], left : left + part[1]]
    return {
        "linear": cv2.resize(picture, size),
        "nearest": cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST),
        "area": cv2.resize(picture, size, interpolation=cv2.INTER_AREA),
        "cubic": cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC),
        "letterbox": cv2.copyMakeBorder(
            inner, down // 2, down - down // 2, right // 2, right - right // 2, cv2.BORDER_CONSTANT, value=grey
        ),
        "letterbox_end": cv2.copyMakeBorder(inner, 0, down, 0, right, cv2.BORDER_CONSTANT, value=(0, 0, 0)),
        "crop": cv2.resize(cut, size),
        "swapped": cv2.resize(picture, (height, width)),
        "letterbox_black": cv2.copyMakeBorder(
            inner, down // 2, down - down // 2, right // 2, right - right // 2, cv2.BORDER_CONSTANT, value=(0, 0, 0)
        ),
        "off_by_one": cv2.resize(picture[1:, 1:], size),
        "turned_left": cv2.resize(cv2.rotate(picture, cv2.ROTATE_90_COUNTERCLOCKWISE), size),
        "turned_right": cv2.resize(cv2.rotate(picture, cv2.ROTATE_90_CLOCKWISE), size),
    }


def spoiled(p: np.ndarray, other: np.ndarray) -> dict[str, np.ndarray]:
    h, w = p.shape[:2]
    rng = np.random.default_rng(5)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    centre = np.hypot(x - w / 2, y - h / 2)
    angle = np.arctan2(y - h / 2, x - w / 2) + 1.5 * np.exp(-centre / (w / 4))
    swirl = cv2.remap(
        p,
        (w / 2 + centre * np.cos(angle)).astype(np.float32),
        (h / 2 + centre * np.sin(angle)).astype(np.float32),
        cv2.INTER_LINEAR,
    )
    corners = np.float32([[0, 0], [w, 0], [w, h], [0, h]])
    moved = np.float32([[w * 0.1, h * 0.05], [w * 0.95, 0], [w * 0.85, h], [0, h * 0.9]])
    hsv = cv2.cvtColor(p, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + 40) % 180
    salt = p.copy()
    salt[rng.random((h, w)) < 0.15] = 255
    stripes = p.copy()
    stripes[::4] = 0
    blocks = p.copy()
    for _ in range(25):
        a, b = rng.integers(0, h - 20), rng.integers(0, w - 20)
        blocks[a : a + 20, b : b + 20] = rng.integers(0, 256, 3)
    tiles = [p[i : i + h // 4, j : j + w // 4] for i in range(0, h, h // 4) for j in range(0, w, w // 4)]
    tiles = [tiles[k] for k in rng.permutation(16)]
    shuffle = np.concatenate([np.concatenate(tiles[4 * i : 4 * i + 4], 1) for i in range(4)], 0)
    lab = cv2.cvtColor(p, cv2.COLOR_RGB2YUV)
    lab[..., 0] = cv2.equalizeHist(lab[..., 0])
    return {
        "blur": cv2.GaussianBlur(p, (0, 0), 2.5),
        "noise": np.clip(p + rng.normal(0, 15, p.shape), 0, 255).astype(np.uint8),
        "jpeg": cv2.imdecode(cv2.imencode(".jpg", p, [cv2.IMWRITE_JPEG_QUALITY, 10])[1], 1),
        "rotate7": cv2.warpAffine(p, cv2.getRotationMatrix2D((w / 2, h / 2), 7, 1), (w, h)),
        "perspective": cv2.warpPerspective(p, cv2.getPerspectiveTransform(corners, moved), (w, h)),
        "equalize": cv2.cvtColor(lab, cv2.COLOR_YUV2RGB),
        "posterize": (p // 48 * 48).astype(np.uint8),
        "gamma": (255 * (p / 255.0) ** 2.2).astype(np.uint8),
        "mosaic": cv2.resize(cv2.resize(p, (w // 8, h // 8)), (w, h), interpolation=cv2.INTER_NEAREST),
        "swirl": swirl,
        "other_picture": other,
        "vignette": (p * np.exp(-((centre / (0.5 * w)) ** 2))[..., None]).astype(np.uint8),
        "sharpen": cv2.filter2D(p, -1, np.float32([[0, -2, 0], [-2, 9, -2], [0, -2, 0]])),
        "salt": salt,
        "stripes": stripes,
        "hue": cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB),
        "emboss": cv2.filter2D(p, -1, np.float32([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])),
        "median": cv2.medianBlur(p, 9),
        "shuffle": cv2.resize(shuffle, (w, h)),
        "blocks": blocks,
    }


if __name__ == "__main__":
    source, target, rows, columns = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    given = dict(np.load(source))
    result = {}
    names = sorted(given)
    for position, name in enumerate(names):
        made = variants(given[name], rows, columns)
        for variant, array in made.items():
            result[f"{name}/{variant}"] = array
        other = cv2.resize(given[names[position - 1]], (columns, rows))
        for variant, array in spoiled(made["linear"], other).items():
            result[f"{name}/outside_{variant}"] = array
    np.savez(target, **result)
