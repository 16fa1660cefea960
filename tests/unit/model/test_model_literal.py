from __future__ import annotations

import ast
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rkparity.model.literal import LiteralError, dictionary_entry

plain = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=20)
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(values, values)
def test_what_python_prints_is_read_back(first: object, second: object) -> None:
    text = repr({"other": first, "attrs": second, "later": first})
    assert dictionary_entry(text, "attrs") == second
    assert dictionary_entry(text, "absent") is None


def test_numbers_python_prints_but_does_not_read() -> None:
    value = dictionary_entry("{'attrs': [inf, -inf, nan, 1e-05, 1., .5]}", "attrs")
    assert value[:2] == [math.inf, -math.inf]
    assert math.isnan(value[2])
    assert value[3:] == [1e-05, 1.0, 0.5]


def test_tuples_read_as_lists_and_trailing_commas_are_taken() -> None:
    assert dictionary_entry("{'attrs': (1, 2,), }", "attrs") == [1, 2]
    assert dictionary_entry("{}", "attrs") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1]",
        "{",
        "{'a'",
        "{'a' 1}",
        "{'a': }",
        "{'a': 1 'attrs': 2}",
        "{'a': __import__('os'), 'attrs': 1}",
        "{'a': 'unclosed, 'attrs': 1}",
        "{'a': [1 2]}",
        "{'a': {[1]: 2}}",
        "{'a': " + "9" * 30 + "}",
        "{'a': " + "[" * 100_000,
        "{'a': " + "-" * 100_000 + "1}",
        "{'a': 1" + "+1" * 100_000 + "}",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(LiteralError):
        dictionary_entry(text, "attrs")


def test_a_long_literal_is_cut_off() -> None:
    started = time.perf_counter()
    with pytest.raises(LiteralError, match="longer than"):
        dictionary_entry("{'a': [" + "1," * 5_000_000 + "]}", "attrs")
    assert time.perf_counter() - started < 5


@given(st.text(alphabet="{}[]():,'\"\\0123456789.e-+nixTrueFalsNoattrs ", max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        dictionary_entry(text, "attrs")
    except LiteralError:
        return
    # What was read up to the key is what Python reads, when Python takes the whole text.
    try:
        whole = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return
    assert isinstance(whole, dict)
