"""What the terminal shows: no control characters, no markup, fixed columns."""

from __future__ import annotations

import io

import pytest

from rkparity.compare.alignment import MatchRule, PairRole
from rkparity.compare.comparison import Comparison, NotCompared, PairResult
from rkparity.compare.judge import Kind
from rkparity.compare.thresholds import Thresholds
from rkparity.compare.verdict import Origin, Verdict
from rkparity.report.terminal import print_comparison, printable


def layer(order: int, tensor: str, verdict: Verdict, origin: Origin = Origin.NONE) -> PairResult:
    reasons = ("because",) if verdict is not Verdict.PASS else ()
    return PairResult(
        f"{order:03d}_x.npy",
        tensor,
        MatchRule.EXACT_NAME,
        PairRole.LAYER,
        "Conv",
        order,
        (1,),
        Kind.FLOAT,
        verdict,
        reasons,
        origin=origin,
    )


def comparison(*pairs: PairResult, not_compared: tuple[NotCompared, ...] = (), emulated: bool = False) -> Comparison:
    return Comparison(
        "dumps", "reference", (), pairs, not_compared, Thresholds(), emulated=emulated, model_path="m.rknn"
    )


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(result: Comparison, *, every_layer: bool = False, tty: bool = False) -> str:
    stream = Terminal() if tty else io.StringIO()
    print_comparison(result, every_layer=every_layer, file=stream)
    return stream.getvalue()


def test_verdict_is_the_first_word() -> None:
    passing, warning = layer(1, "a", Verdict.PASS), layer(1, "a", Verdict.WARN)
    failing = layer(2, "b", Verdict.FAIL, Origin.OWN)
    hole = NotCompared("003_y.npy", None, "damaged-dump", "truncated", True)
    left = NotCompared(None, "t", "fused-away", "part of ConvRelu", False)
    assert shown(comparison(passing)).startswith("PASS: ")
    assert shown(comparison(warning)).startswith("PASS, with warnings: ")
    assert shown(comparison(passing, failing)).startswith("FAIL: first divergence at 002_x.npy (b): because")
    assert shown(comparison(passing, not_compared=(hole,))).startswith("INCOMPLETE: ")
    assert shown(comparison(passing, not_compared=(left,))).startswith("PASS: ")
    assert shown(comparison(failing, not_compared=(hole,))).startswith("FAIL: ")


@pytest.mark.parametrize(("result", "code"), [(Verdict.PASS, 0), (Verdict.WARN, 0), (Verdict.FAIL, 1)])
def test_exit_codes(result: Verdict, code: int) -> None:
    assert comparison(layer(1, "a", result)).exit_code == code


def test_only_remarkable_layers_unless_all() -> None:
    result = comparison(layer(1, "fine", Verdict.PASS), layer(2, "bad", Verdict.FAIL, Origin.OWN))
    assert "fine" not in shown(result)
    assert "fine" in shown(result, every_layer=True)
    assert "FAIL own" in shown(result)


def test_many_rows_are_counted_not_hidden() -> None:
    result = comparison(*(layer(number, f"t{number}", Verdict.FAIL) for number in range(40)))
    text = shown(result)
    assert "... and 25 more; --all lists every layer" in text
    assert "40 fail" in text
    assert "t39" in shown(result, every_layer=True)


@pytest.mark.parametrize("tty", [False, True])
def test_names_cannot_write_to_the_terminal(tty: bool) -> None:
    result = comparison(layer(1, "\x1b]0;owned\x07[bold]x[/nothing]", Verdict.FAIL), emulated=True)
    text = shown(result, tty=tty)
    assert "\x1b]" not in text
    assert "\x07" not in text
    assert "[bold]x" in text
    assert "EMULATED" in text


def test_printable() -> None:
    assert printable("模型/输出 a.b") == "模型/输出 a.b"
    assert printable("a\nb\x1b") == "a\\x0ab\\x1b"
