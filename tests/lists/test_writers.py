from __future__ import annotations

import csv

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from product_affinity.lists.writers import clean_text, guard_cell, write_parquet, write_people_csv


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
