"""Threshold files: what is accepted, what wins, what is refused and how it is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from rkparity.compare.thresholds import LIMIT_NAMES, Limits, Thresholds, read_thresholds
from rkparity.errors import ConfigError


def read(tmp_path: Path, text: str) -> Thresholds:
    path = tmp_path / "limits.toml"
    path.write_text(text, encoding="utf-8")
    return read_thresholds(path)


def test_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert read(tmp_path, "").for_layer("x", "Conv") == Limits()


def test_later_rules_win_key_by_key(tmp_path: Path) -> None:
    thresholds = read(
        tmp_path,
        "[default]\nlsb_fail_max = 16\n"
        '[[layer]]\nmatch = "/head/*"\nrelative_fail = 0.1\ngrowth = 2\n'
        '[[layer]]\nmatch = "/head/box*"\ngrowth = 3\n'
        '[[layer]]\nop = "exSoftmax*"\ncosine_fail = 0.9\n',
    )
    box = thresholds.for_layer("/head/box/Conv", "Conv")
    assert (box.lsb_fail_max, box.relative_fail, box.growth) == (16, 0.1, 3)
    assert thresholds.for_layer("/head/cls", "Conv").growth == 2
    assert thresholds.for_layer("/body", "Conv").growth == Limits().growth
    assert thresholds.for_layer("y", "exSoftmax13").cosine_fail == 0.9


def test_softmax_may_multiply_what_comes_in() -> None:
    assert Thresholds().for_layer("y", "exSoftmax13").growth == 16
    assert Thresholds().for_layer("y", "Conv").growth == 4


def test_unused_rules_are_found(tmp_path: Path) -> None:
    thresholds = read(tmp_path, '[[layer]]\nmatch = "a*"\ngrowth = 1\n[[layer]]\nmatch = "b*"\ngrowth = 1\n')
    assert [rule.match for rule in thresholds.unused([("abc", "Conv")])] == ["b*"]


def test_brackets_are_globs_and_names_are_case_sensitive(tmp_path: Path) -> None:
    thresholds = read(tmp_path, '[[layer]]\nmatch = "A/[bc]"\ngrowth = 9\n')
    assert [thresholds.for_layer(name, "x").growth for name in ("A/b", "A/c", "a/b", "A/d")] == [9, 9, 4, 4]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[default\n", "is not TOML"),
        ("[defaults]\n", "unknown table 'defaults'"),
        ("default = 3\n", "default must be a table"),
        ("[layer]\n", "layer must be a list of tables"),
        ("[default]\ncosine = 0.9\n", "unknown key 'cosine'"),
        ("[[layer]]\ngrowth = 1\n", "neither match nor op"),
        ("[[layer]]\nmatch = 3\n", "match must be a glob"),
        ('[[layer]]\nmatch = ""\n', "match must be a glob"),
        ('[default]\ngrowth = "4"\n', "growth must be a number"),
        ("[default]\ngrowth = true\n", "growth must be a number"),
        ("[default]\ngrowth = nan\n", "growth is nan"),
        ("[default]\nlsb_fail_max = -1\n", "lsb_fail_max is -1"),
        ("[default]\ncosine_fail = 1.5\n", "cosine_fail is 1.5"),
        ("[default]\nlsb_warn_max = 99\n", "lsb_warn_max = 99 is looser than lsb_fail_max = 8"),
        ("[default]\ncosine_warn = 0.5\n", "cosine_warn = 0.5 is looser than cosine_fail = 0.98"),
        ('[[layer]]\nmatch = "*"\nscale_warn = 1\n', "[[layer]] number 1: scale_warn = 1 is looser"),
    ],
)
def test_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert said in caught.value.message
    assert "limits.toml" in caught.value.message


def test_unknown_key_lists_the_choices(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "[default]\nx = 1\n")
    assert all(name in caught.value.hint for name in LIMIT_NAMES)


def test_unreadable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_thresholds(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"# \xe9\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_thresholds(tmp_path / "latin.toml")
    (tmp_path / "big.toml").write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(ConfigError, match="larger than"):
        read_thresholds(tmp_path / "big.toml")


def test_every_limit_is_documented() -> None:
    text = (Path(__file__).parents[3] / "docs" / "thresholds.md").read_text(encoding="utf-8")
    assert [name for name in LIMIT_NAMES if f"`{name}`" not in text] == []
    for name, value in Limits().to_json().items():
        assert f"`{name}` | {value:g} |" in text
