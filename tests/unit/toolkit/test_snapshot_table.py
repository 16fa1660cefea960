"""The toolkit's tables, as its versions print them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rkparity.errors import DataError
from rkparity.toolkit.snapshot_table import PrintedCell, PrintedRow, parse_row, read_name_map, read_table

DATA = Path(__file__).resolve().parents[2] / "data" / "toolkit"


def by_name(rows: tuple[PrintedRow, ...]) -> dict[str, PrintedRow]:
    return {row.name: row for row in rows}


def test_wide_values_that_run_together_are_told_apart() -> None:
    rows = by_name(read_table(DATA / "fp16_overflow_int8_error_analysis.txt"))
    assert rows["r1_big"].entire == PrintedCell(0.99991, 84612.75)
    assert rows["r1_big"].single == PrintedCell(0.99996, 57389.84375)
    assert [name for name, row in rows.items() if row.is_blank] == ["c0", "c1_big"]
    assert rows["x_int8"].op_type == "exDataConvert"


def test_special_cells_are_kept_as_such() -> None:
    rows = by_name(read_table(DATA / "fp16_overflow_fp16_error_analysis.txt"))
    assert rows["c1_big"].entire == PrintedCell(None, None, "q_inf")
    assert rows["y"].entire == PrintedCell(None, None, "q_nan")
    assert rows["y"].single == PrintedCell(1.0, 0.01227)
    assert not any(row.is_blank for row in rows.values())


def test_the_four_columns_of_a_connected_board() -> None:
    rows = by_name(read_table(DATA / "multi_input_int8_fakeboard_error_analysis.txt"))
    both = [row for row in rows.values() if row.entire is not None and row.runtime_entire is not None]
    simulator_only = [row for row in rows.values() if row.entire is not None and row.runtime_entire is None]
    assert (len(rows), len(both), len(simulator_only)) == (25, 15, 8)
    assert rows["image_int8"].runtime_entire is None
    assert rows["meta"].runtime_single is not None
    assert sum(row.is_blank for row in rows.values()) == 2


HEADER_2_3 = """layer_name                     simulator_error                             runtime_error
                           entire              single                  entire           single_sim            
                        cos      euc        cos      euc            cos      euc        cos      euc          
------------------------------------------------------------------------------------------------------
"""  # noqa: W291  as printed


def test_distances_cut_to_six_characters_as_up_to_2_3_2(tmp_path: Path) -> None:
    table = tmp_path / "error_analysis.txt"
    table.write_text(
        HEADER_2_3
        + "[Input] in           1.00000 | 0.0       1.00000 | 0.0           0.99995 | 0.1627    0.99995 | 0.1627    \n"
        + "[Conv] a b           0.99999 | 1.0755    0.99999 | 4.9545        \n"
        + "[Relu] r             0.99998 | 531.01    1.00000 | 8282.7        q_nan   | q_nan     rt_inf  | rt_inf    \n"
        + "[Add] blank          \n"
    )
    rows = by_name(read_table(table))
    assert rows["in"].runtime_entire == PrintedCell(0.99995, 0.1627)
    assert rows["a b"].single == PrintedCell(0.99999, 4.9545)
    assert rows["a b"].runtime_entire is None
    assert rows["r"].runtime_single == PrintedCell(None, None, "rt_inf")
    assert rows["blank"].is_blank


def test_the_cosine_only_table_of_1_4(tmp_path: Path) -> None:
    table = tmp_path / "error_analysis.txt"
    table.write_text(
        "layer_name                entire_error   single_error\n"
        "-----------------------------------------------------\n"
        "Conv_0 out                0.999989       0.999991\n"
        "Relu_1:0                  0.9871         nan\n"
    )
    first, second = read_table(table)
    assert (first.op_type, first.name, first.entire) == ("", "Conv_0 out", PrintedCell(0.999989, None))
    assert second.name == "Relu_1:0"
    assert second.single is not None
    assert second.single.cosine is not None
    assert second.single.cosine != second.single.cosine


def test_a_line_that_is_no_row_is_an_error_naming_it(tmp_path: Path) -> None:
    table = tmp_path / "error_analysis.txt"
    table.write_text("layer_name\n------------------\n[Conv] a  1.00000 | 0.5\nI saved to somewhere\n")
    with pytest.raises(DataError, match=r"error_analysis.txt:4: is no row .*I saved to somewhere"):
        read_table(table)
    table.write_text("nothing here\n")
    with pytest.raises(DataError, match="has no rows"):
        read_table(table)
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path / "absent")


def test_names_with_blanks_and_other_letters_map_to_their_files() -> None:
    pairs = {pair.name: pair.stem for pair in read_name_map(DATA / "odd_names_int8_map_name_to_file.txt")}
    assert pairs["with space"] == "with space"
    assert pairs["模型/输出"] == "模型_输出"
    assert pairs["q\"uote's|<>*?\\;"] == "q\"uote's|<>*?\\_"
    assert [name for name, stem in pairs.items() if stem == "a_b"] == ["a/b", "a_b", "a:b"]
    assert len(pairs) == 13


def test_a_map_line_that_fits_no_rule_is_an_error(tmp_path: Path) -> None:
    table = tmp_path / "map_name_to_file.txt"
    table.write_text("layer_name   file_name\n--------------------\na/b   something_else.txt\n")
    with pytest.raises(DataError, match=r":3: is no pair"):
        read_name_map(table)


@given(
    st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=40)
    .map(str.strip)
    .filter(bool),
    st.floats(0, 1),
    st.floats(0, 1e9),
    st.booleans(),
)
def test_any_name_with_2_5_0_cells_is_read_back(name: str, cosine: float, distance: float, blank: bool) -> None:
    cell = f"{cosine:.5f} | {distance:<10.5f}"
    row = parse_row(f"[Conv] {name}      " + ("" if blank else cell + cell + "    "))
    assert row is not None
    if blank:
        # A name may itself look like cells; then it cannot be told, and nothing prints such names.
        assert row.op_type == "Conv"
        return
    assert row.single == PrintedCell(float(f"{cosine:.5f}"), float(f"{distance:.5f}"))
    assert row.entire == row.single


@given(st.text(max_size=200))
def test_any_text_is_a_row_or_none(text: str) -> None:
    row = parse_row(text)
    assert row is None or row.name
