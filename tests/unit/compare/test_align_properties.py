"""Whatever the names are: nothing is lost or paired twice, and no pair is made of names that do not allow it."""

from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from alignment_data import compose_dump_name, entries, reference, tensor
from rkparity.compare.align import align
from rkparity.compare.alignment import Alignment, MatchRule, PairRole
from rkparity.errors import UsageError
from rkparity.runs.dump_names import DumpSuffix, sanitize
from rkparity.runs.manifest import Manifest

# Few and similar names, so that collisions, twins and synthetic names are common.
names = st.sampled_from(
    [
        "x",
        "x_int8",
        "a/b",
        "a_b",
        "a:b",
        "a",
        "a-rs",
        "a_rs",
        "a_mm",
        "a_int8",
        "New_input_x",
        "/m/s/c",
        "/s/c",
        "y",
        "out",
        "cst",
    ]
)
types = st.sampled_from(
    ["Conv", "ConvRelu", "Relu", "Reshape", "exDataConvert", "InputOperator", "OutputOperator", "cst"]
)
rows = st.sampled_from(["Input", "Conv", "Relu", "Reshape", "exDataConvert", ""])
shapes = st.sampled_from([(1, 4), (1, 4, 1, 1), (1, 2, 2)])
suffixes = st.sampled_from([DumpSuffix.FLOAT, DumpSuffix.UINT8, DumpSuffix.INT8])

dump_lists = st.lists(
    st.builds(compose_dump_name, st.integers(0, 6), types, names, shapes, suffixes), min_size=1, max_size=8, unique=True
)


@st.composite
def references(draw: st.DrawFn) -> Manifest:
    drawn = draw(st.lists(st.tuples(names, rows, shapes, st.booleans()), max_size=8, unique_by=lambda row: row[0]))
    return reference(
        *(
            tensor(name, op_type, shape, order, file=f"npy/{sanitize(name)}.npy" if shared else "")
            for order, (name, op_type, shape, shared) in enumerate(drawn)
        )
    )


def check(alignment: Alignment, dumps: list[str], given_reference: Manifest) -> None:
    paired = [pair.dump.name.raw for pair in alignment.pairs]
    refused = [item.dump.name.raw for item in alignment.unmatched_dumps]
    assert sorted([*paired, *refused]) == sorted(dumps)
    with_dump = {pair.tensor.name for pair in alignment.pairs}
    without = [item.tensor.name for item in alignment.unmatched_tensors]
    assert sorted([*with_dump, *without]) == sorted(record.name for record in given_reference.tensors)
    assert all(item.text for item in (*alignment.unmatched_dumps, *alignment.unmatched_tensors))
    assert not {item.tensor.name for item in alignment.suggestions} & with_dump


@settings(max_examples=400, deadline=None)
@given(dump_lists, references())
def test_every_dump_and_every_tensor_is_accounted_for(dumps: list[str], given_reference: Manifest) -> None:
    with contextlib.suppress(UsageError):
        check(align(entries(*dumps), given_reference), dumps, given_reference)


@settings(max_examples=400, deadline=None)
@given(dump_lists, references())
def test_exact_pairs_have_one_name_that_nothing_else_has(dumps: list[str], given_reference: Manifest) -> None:
    with contextlib.suppress(UsageError):
        for pair in align(entries(*dumps), given_reference).pairs:
            by_name = pair.match_rule in (MatchRule.EXACT_NAME, MatchRule.FUSED_LAST)
            if by_name and not pair.dump.name.op_type.startswith("cst"):
                assert sanitize(pair.tensor.name) == pair.dump.name.tensor
            namesakes = [
                record for record in given_reference.tensors if sanitize(record.name) == sanitize(pair.tensor.name)
            ]
            # Only a model input may share its look with a layer: the dump's role tells it.
            assert len(namesakes) == 1 or pair.role in (PairRole.INPUT, PairRole.DUPLICATE_INPUT)
