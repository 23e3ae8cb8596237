from __future__ import annotations

import csv

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from product_affinity.lists.writers import (
    CELL_LIMIT,
    clean_lines,
    clean_text,
    cut_text,
    guard_cell,
    write_parquet,
    write_people_csv,
)


def read_back(path):
    with path.open(encoding="utf-8-sig", newline="") as handle:
        return list(csv.reader(handle))


def test_hostile_cells_are_shown_and_never_run(tmp_path):
    names = ["=1+1", "+44", "-2", "@SUM(A1)", "\t=1", "NA", "00012", "1E5", 'a,b"c', "Ünïcode 🚀", "x\ry"]
    write_people_csv(pd.DataFrame({"name": pd.Series(names, dtype="str"), "n": range(len(names))}), tmp_path / "a.csv")
    cells = [row[0] for row in read_back(tmp_path / "a.csv")[1:]]
    shown = ["'=1+1", "'+44", "'-2", "'@SUM(A1)", "' =1", "NA", "00012", "1E5", 'a,b"c', "Ünïcode 🚀", "x y"]
    assert cells == shown


def test_negative_numbers_stay_numbers(tmp_path):
    write_people_csv(pd.DataFrame({"value_usd": [-2.5]}), tmp_path / "a.csv")
    assert read_back(tmp_path / "a.csv")[1] == ["-2.5"]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=50))
def test_every_text_stays_in_its_cell(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    write_people_csv(pd.DataFrame({"a": pd.Series([text, "end"], dtype="str"), "b": ["1", "2"]}), path)
    rows = read_back(path)
    assert [len(row) for row in rows] == [2, 2, 2]
    assert rows[1][0] == guard_cell(text)
    assert not rows[1][0].lstrip().startswith(("=", "+", "-", "@"))


def test_right_to_left_marks_are_removed():
    assert clean_text("gpj\u202eexe") == "gpj exe"


def test_equal_frames_give_equal_bytes(tmp_path):
    frame = pd.DataFrame({"a": pd.Series(["x", None], dtype="str"), "b": [1.5, None]})
    write_parquet(frame, tmp_path / "a.parquet")
    write_parquet(frame.copy(), tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert pd.read_parquet(tmp_path / "a.parquet")["a"].tolist()[0] == "x"


@pytest.mark.parametrize("text", ["＝1", "＋1", "－1", "＠x", "\ufeff=1", "\u200b=1", "\u2060+1", "\xa0=1", "\x00=1"])
def test_formulas_behind_look_alikes_and_invisible_signs_are_guarded(text):
    assert guard_cell(text).startswith("'")


def test_a_cell_holds_no_more_than_a_spreadsheet_keeps():
    assert len(guard_cell("x" * 40_000)) == CELL_LIMIT
    assert guard_cell("x" * CELL_LIMIT) == "x" * CELL_LIMIT


@given(st.text(max_size=30), st.integers(1, 20))
def test_a_cut_text_fits_and_is_the_beginning(text, limit):
    cut = cut_text(text, limit)
    assert len(cut.encode("utf-16-le")) <= 2 * limit
    assert cut == text or text.startswith(cut.removesuffix("…"))
    assert (cut == text) == (len(text.encode("utf-16-le")) <= 2 * limit) or text.endswith("…")


def test_lines_are_kept_where_a_cell_has_several():
    assert clean_lines("a\r\nb\tc\u2028d") == "a \nb c d"
