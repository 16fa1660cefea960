"""The `.quantization.cfg` of hybrid quantisation: which layers stay in float, and every tensor's calibrated range."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from rkparity.errors import ToolkitError
from rkparity.io import write_text

CUSTOM_LAYERS_KEY = "custom_quantize_layers:"
PARAMETERS_KEY = "quantize_parameters:"
_PARAMETER_NAME = re.compile(r" {4}\S.*:\s*$")


def read_configuration(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The float layers a `.quantization.cfg` lists and the tensors that may be listed (those with integer types).

    The file is YAML as the toolkit writes it: two top-level keys, names indented by four blanks, a comment with the
    toolkit's own figure behind proposed layers (2.2.0 to 2.5.0). ToolkitError when it is something else.
    """
    listed: list[str] = []
    tensors: list[str] = []
    section = name = ""
    for line in _cfg_lines(path):
        if line and not line[0].isspace() and not line.startswith("#"):
            section = line.split()[0]
        elif section == CUSTOM_LAYERS_KEY and line.strip() and not line.strip().startswith("#"):
            listed.append(_unquoted(_before_comment(line)))
        elif section == PARAMETERS_KEY and _PARAMETER_NAME.match(line):
            name = _unquoted(line.strip()[:-1])
        elif section == PARAMETERS_KEY and line.strip().startswith("dtype:") and "int" in line:
            tensors.append(name)
    if not tensors:
        raise ToolkitError(f"{path}: names no tensor; this is not a quantization.cfg as rknn-toolkit2 writes it")
    return tuple(listed), tuple(tensors)


def write_configuration(source: Path, target: Path, layers: Mapping[str, str]) -> None:
    """Writes `source` with its list of float layers replaced by `layers` (tensor name to the reason, a comment)."""
    kept: list[str] = []
    section = ""
    for line in _cfg_lines(source):
        if line and not line[0].isspace() and not line.startswith("#"):
            section = line.split()[0]
            if section == CUSTOM_LAYERS_KEY:
                kept.append(CUSTOM_LAYERS_KEY if layers else f"{CUSTOM_LAYERS_KEY} {{}}")
                kept += [f"    {_quoted(name)}: float16  # {reason}" for name, reason in layers.items()]
                continue
        if section != CUSTOM_LAYERS_KEY:
            kept.append(line)
    write_text(target, "\n".join(kept) + "\n", failure=ToolkitError)


def fitted_configuration(given: Path, fresh: Path, target: Path) -> tuple[Path, str]:
    """The configuration to build with, and a note: `given`, or, when it is of another calibration, a copy of `fresh`.

    rknn-toolkit2 refuses a configuration whose `ori_min` and `ori_max` are not those step 1 wrote (2.5.0). Then
    `target` is written: the layers that `given` lists with the ranges of `fresh`. ToolkitError names a listed tensor
    that `fresh` does not have.
    """
    ranges = [_sections(_cfg_lines(path)) for path in (given, fresh)]
    if ranges[0].calibration == ranges[1].calibration:
        return given, ""
    known = set(read_configuration(fresh)[1])
    unknown = [name for name in read_configuration(given)[0] if name not in known]
    if unknown:
        raise ToolkitError(
            f"{given}: keeps {unknown[0]!r} in float, and this build has no quantised tensor of that name",
            hint="the names are those of the .quantization.cfg that hybrid_quantization_step1 writes for this model",
        )
    lines = [*ranges[0].layers, *ranges[1].rest]
    write_text(target, "\n".join(lines) + "\n", failure=ToolkitError)
    return target, (
        f"{given.name} was written for another calibration: the layers it lists are used, the ranges in it are not"
    )


class _Sections(NamedTuple):
    """The lines of the list of layers, all others, and the calibrated ranges."""

    layers: list[str]
    rest: list[str]
    calibration: list[str]


def _sections(lines: list[str]) -> _Sections:
    found = _Sections([], [], [])
    section = key = ""
    for line in lines:
        if line and not line[0].isspace() and not line.startswith("#"):
            section = line.split()[0]
        (found.layers if section == CUSTOM_LAYERS_KEY else found.rest).append(line)
        if section == PARAMETERS_KEY:
            word = line.strip()
            key = word if word.endswith(":") or ":" in word else key
            if _PARAMETER_NAME.match(line) or key.startswith(("ori_min", "ori_max")):
                found.calibration.append(word)
    return found


def _cfg_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ToolkitError(f"{path}: cannot be read: {error}") from error


def _before_comment(line: str) -> str:
    return line.split(" #", 1)[0].strip().rsplit(":", 1)[0]


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1].replace("''", "'") if text[0] == "'" else text[1:-1]
    return text


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"
