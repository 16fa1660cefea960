"""The limits verdicts are made with: defaults with reasons (docs/thresholds.md), a TOML file, globs on layer names."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from rkparity.errors import ConfigError
from rkparity.io import read_toml


@dataclass(frozen=True)
class Limits:
    """The limits one layer is judged with; a score equal to its limit still passes. docs/thresholds.md has the reasons.

    Quantised tensors, in LSB of the tensor's own scale: share of elements off by more than 1 LSB
    (`lsb_*_fraction`), largest error (`lsb_*_max`), share of elements off by 1 LSB or more (`lsb_warn_changed`), mean
    error (`mean_*_lsb`). Float tensors: relative euclidean distance (`relative_*`), largest error in float16 steps at
    the tensor's largest magnitude (`ulp_*_max`). Integer tensors: share of elements that differ
    (`integer_fail_fraction`).
    Both of the first: scale ratio's distance from 1 (`scale_*`), cosine (`cosine_*`).
    Error that came in through the layer's inputs: at most `growth` times the largest relative error among them is laid
    to them, up to a relative error of `accumulated_fail`. `golden_ratio_warn` is for the error against golden of the
    board divided by that of the simulator.
    """

    lsb_warn_fraction: float = 0.001
    lsb_fail_fraction: float = 0.005
    lsb_warn_max: float = 3.0
    lsb_fail_max: float = 8.0
    lsb_warn_changed: float = 0.25
    mean_warn_lsb: float = 0.25
    mean_fail_lsb: float = 0.75
    relative_warn: float = 0.002
    relative_fail: float = 0.01
    ulp_warn_max: float = 8.0
    ulp_fail_max: float = 64.0
    integer_fail_fraction: float = 0.0
    scale_warn: float = 0.01
    scale_fail: float = 0.05
    cosine_warn: float = 0.999
    cosine_fail: float = 0.98
    growth: float = 4.0
    accumulated_fail: float = 0.20
    golden_ratio_warn: float = 1.5

    def to_json(self) -> dict[str, float]:
        """The limits by name."""
        return dataclasses.asdict(self)


LIMIT_NAMES = tuple(field.name for field in dataclasses.fields(Limits))
_COSINES = ("cosine_warn", "cosine_fail")


@dataclass(frozen=True)
class LayerRule:
    """Limits for the layers whose tensor name fits the glob `match` (and whose operator fits `op`)."""

    match: str
    op: str
    limits: Mapping[str, float]

    def applies(self, tensor: str, op_type: str) -> bool:
        """Whether the rule is for this layer; globs are case-sensitive and `*` also stands for `/`."""
        return fnmatchcase(tensor, self.match) and fnmatchcase(op_type, self.op)


# exp() makes a relative error of an absolute one, so a softmax may multiply what comes in (docs/thresholds.md).
BUILT_IN_RULES = (LayerRule("*", "*oftmax*", {"growth": 16.0}),)


@dataclass(frozen=True)
class Thresholds:
    """The default limits and the rules for some layers; of several fitting rules the later ones win, key by key."""

    default: Limits = Limits()
    rules: tuple[LayerRule, ...] = BUILT_IN_RULES
    source: str = "built-in"

    def for_layer(self, tensor: str, op_type: str) -> Limits:
        """The limits of one layer."""
        limits = self.default
        for rule in self.rules:
            if rule.applies(tensor, op_type):
                limits = dataclasses.replace(limits, **rule.limits)
        return limits

    def unused(self, layers: list[tuple[str, str]]) -> list[LayerRule]:
        """The rules that fit none of `layers` (tensor name, operator type): most likely a misspelt name."""
        return [
            rule
            for rule in self.rules
            if rule not in BUILT_IN_RULES and not any(rule.applies(tensor, op_type) for tensor, op_type in layers)
        ]

    def to_json(self) -> dict[str, Any]:
        """What was used, for the result."""
        return {
            "source": self.source,
            "default": self.default.to_json(),
            "layers": [{"match": rule.match, "op": rule.op, **rule.limits} for rule in self.rules],
        }


def read_thresholds(path: Path) -> Thresholds:
    """Reads a threshold file: a table `[default]` and any number of `[[layer]]` with `match` and/or `op`.

    Raises ConfigError naming the file, the key, the value and what is allowed.
    """
    value = read_toml(path, "threshold file")
    for key in value:
        if key not in ("default", "layer"):
            raise ConfigError(
                f"{path}: unknown table {key!r}", hint="a threshold file has [default] and [[layer]] tables"
            )
    default_table = value.get("default", {})
    if not isinstance(default_table, dict):
        raise ConfigError(f"{path}: default must be a table, not {default_table!r}", hint="write [default]")
    default = dataclasses.replace(Limits(), **_limits(default_table, f"{path}: [default]"))
    layers = value.get("layer", [])
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        raise ConfigError(f"{path}: layer must be a list of tables", hint="write [[layer]] with two brackets")
    rules: list[LayerRule] = []
    for number, layer in enumerate(layers, start=1):
        where = f"{path}: [[layer]] number {number}"
        match, op = layer.pop("match", None), layer.pop("op", None)
        for key, glob in (("match", match), ("op", op)):
            if glob is not None and (not isinstance(glob, str) or not glob):
                raise ConfigError(f"{where}: {key} must be a glob such as '*Softmax*', not {glob!r}")
        if match is None and op is None:
            raise ConfigError(
                f"{where}: has neither match nor op",
                hint="match is a glob on the tensor's name, op one on the operator's type",
            )
        rules.append(LayerRule(match or "*", op or "*", _limits(layer, where)))
    thresholds = Thresholds(default, (*BUILT_IN_RULES, *rules), str(path))
    for limits, where in [(default, f"{path}: [default]")] + [
        (dataclasses.replace(default, **rule.limits), f"{path}: [[layer]] number {number}")
        for number, rule in enumerate(rules, start=1)
    ]:
        _check_order(limits, where)
    return thresholds


def _limits(table: Mapping[str, Any], where: str) -> dict[str, float]:
    limits = {}
    for key, value in table.items():
        if key not in LIMIT_NAMES:
            raise ConfigError(f"{where}: unknown key {key!r}", hint=f"choices: {', '.join(LIMIT_NAMES)}")
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ConfigError(f"{where}: {key} must be a number, not {value!r}")
        low, high = (-1.0, 1.0) if key in _COSINES else (0.0, float("inf"))
        # NaN compares false with everything and so would switch the limit off.
        if not low <= value <= high:
            raise ConfigError(f"{where}: {key} is {value!r}; it must lie between {low:g} and {high:g}")
        limits[key] = float(value)
    return limits


def _check_order(limits: Limits, where: str) -> None:
    values = limits.to_json()
    for warn in [name for name in values if "_warn" in name]:
        fail = warn.replace("_warn", "_fail")
        if fail not in values:
            continue
        stricter = values[warn] >= values[fail] if warn in _COSINES else values[warn] <= values[fail]
        if not stricter:
            raise ConfigError(
                f"{where}: {warn} = {values[warn]:g} is looser than {fail} = {values[fail]:g}",
                hint="give both, the warning limit as the stricter one",
            )
