from __future__ import annotations

import datetime as dt
import json

import pandas as pd
import pytest

from product_affinity.lists.track import COMPLETE, OPEN, SETTLING, TRACK_COLUMNS, build_track_record

AS_OF = dt.date(2026, 6, 30)
PROPENSITIES = {"A": 0.5, "B": 0.25, "C": 0.25}


def publish(lists, day, *, p30=0.1, owners=("u", "u", None)):
    folder = lists / str(day)
    folder.mkdir(parents=True)
    keys = pd.DataFrame({"account_id": list(PROPENSITIES), "product_id": "x"})
    worklist = keys.assign(play_id=[f"P{a}" for a in PROPENSITIES], owner_id=pd.Series(owners, dtype="str"))
    worklist.to_parquet(folder / "worklist.parquet")
    keys.assign(propensity_30d=p30, propensity_90d=list(PROPENSITIES.values())).to_parquet(folder / "scores.parquet")
    (folder / "manifest.json").write_text(json.dumps({"as_of": str(day)}))
    (folder / "_SUCCESS").write_text("")


def adopted(*rows):
    return pd.DataFrame(rows, columns=["account_id", "product_id", "adopted_on"])


def record(lists, adoptions=(), outcomes=None, as_of=AS_OF):
    found = build_track_record(lists, as_of, adopted(*adoptions), outcomes)
    return found.set_index(["owner_key", "listed_on", "window_days"])


def test_predicted_is_the_sum_and_observed_what_was_bought_inside_the_window(tmp_path):
    day = AS_OF - dt.timedelta(days=97)
    publish(tmp_path, day)
    last, after = day + dt.timedelta(days=89), day + dt.timedelta(days=90)
    found = record(tmp_path, [("A", "x", day), ("B", "x", last), ("C", "x", after), ("Z", "x", day), ("A", "y", day)])
    row = found.loc[("", pd.Timestamp(day), 90)]
    assert row["plays"] == 3
    assert row["predicted"] == 1.0
    half = 1.645 * (1 / 4 + 3 / 16 + 3 / 16) ** 0.5
    assert row["predicted_low"] == max(0, 1 - half) == 0
    assert row["predicted_high"] == pytest.approx(1 + half)
    assert row["observed"] == 2
    assert row["state"] == COMPLETE
    assert found.loc[("u", pd.Timestamp(day), 90), "predicted"] == 0.75
    assert found.loc[("_unassigned", pd.Timestamp(day), 90), "observed"] == 0
    assert found.loc[("", pd.Timestamp(day), 30), "observed"] == 1


def test_a_purchase_before_the_list_is_none_of_its_merit(tmp_path):
    day = AS_OF - dt.timedelta(days=97)
    publish(tmp_path, day)
    assert record(tmp_path, [("A", "x", day - dt.timedelta(days=1))])["observed"].eq(0).all()


@pytest.mark.parametrize(("age", "state"), [(30, SETTLING), (36, SETTLING), (37, COMPLETE)])
def test_windows_say_whether_they_are_closed(tmp_path, age, state):
    day = AS_OF - dt.timedelta(days=age)
    publish(tmp_path, day)
    found = record(tmp_path)
    assert found.loc[("", pd.Timestamp(day), 30), "state"] == state
    assert found.loc[("", pd.Timestamp(day), 90), "state"] == OPEN


def test_the_newest_list_old_enough_is_taken(tmp_path):
    for age in (29, 31, 40, 95, 120):
        publish(tmp_path, AS_OF - dt.timedelta(days=age))
    days = {str(day.date()) for day in record(tmp_path).index.get_level_values("listed_on")}
    assert days == {str(AS_OF - dt.timedelta(days=age)) for age in (31, 95)}


def test_an_outcome_counts_once_a_play(tmp_path):
    publish(tmp_path, AS_OF - dt.timedelta(days=30))
    outcomes = pd.DataFrame({"play_id": ["PA", "PA", "PC", "other", None]})
    assert record(tmp_path, outcomes=outcomes)["outcomes"].groupby("owner_key").max().to_dict() == {
        "": 2,
        "_unassigned": 1,
        "u": 1,
    }


def test_a_window_without_prediction_is_left_out(tmp_path):
    publish(tmp_path, AS_OF - dt.timedelta(days=90), p30=None)
    assert set(record(tmp_path).index.get_level_values("window_days")) == {90}


def test_without_old_lists_there_is_no_record(tmp_path):
    publish(tmp_path, AS_OF - dt.timedelta(days=29))
    found = build_track_record(tmp_path, AS_OF, adopted(), None)
    assert found.empty
    assert list(found.columns) == list(TRACK_COLUMNS)
