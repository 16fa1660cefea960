from __future__ import annotations

import io
import sys

import pytest

from rkparity.console import EscapingStream, escaped_output, printable, unescaped


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, \u00e9\u4e2d", "plain, \u00e9\u4e2d"),
        ("\x1b[2J\x7f\x9b", "\\x1b[2J\\x7f\\x9b"),
        ("a\nb\tc\rd", "a\\x0ab\\x09c\\x0dd"),
        ("\u202e\u2066\ufeff\u200b", "\\u202e\\u2066\\ufeff\\u200b"),
        ("\u2028\u2029\u0085", "\\u2028\\u2029\\x85"),
        ("\udcff\U000e0041", "\\udcff\\U000e0041"),
        ("no-break\u00a0space", "no-break\u00a0space"),
    ],
)
def test_what_steers_a_terminal_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_line_ends_can_be_kept() -> None:
    assert printable("a\n\x1bb\t", keep="\n\t") == "a\n\\x1bb\t"


def test_a_stream_escapes_what_its_encoding_lacks_and_leads_to_the_one_below() -> None:
    raw = io.BytesIO()
    below = io.TextIOWrapper(raw, encoding="ascii")
    stream = EscapingStream(below)
    print("\x1b[0m \u4e2d", file=stream, flush=True)  # type: ignore[call-overload]
    assert raw.getvalue() == b"\\x1b[0m \\u4e2d\n"
    unescaped(stream).write("\x1b[0m")  # type: ignore[arg-type]
    below.flush()
    assert raw.getvalue().endswith(b"\x1b[0m")


def test_output_is_wrapped_once_and_given_back() -> None:
    before = sys.stdout
    with escaped_output(), escaped_output():
        assert unescaped(sys.stdout) is before
    assert sys.stdout is before
