"""A launched product teaches who, not how many: its offset could not know it yet."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from product_affinity.models import PropensityClassifier
from product_affinity.models.launches import launch_rows, level_launches
from product_affinity.models.rows import Rows

DAYS = np.array([0, 30, 60, 90, 120, 150])


def rows_of(codes, days, target, offset):
    ones = np.ones(len(target))
    return Rows(np.zeros((len(target), 1)), target, ones, ones, 0.0, offset, codes, None, days)


def test_rows_before_the_first_label_has_closed_are_launch_rows():
    codes = np.array([0, 0, 0, 1, 1, 1, 1])
    days = np.array([0, 30, 60, 30, 90, 126, 127])
    rows = rows_of(codes, days, np.zeros(7), np.zeros(7))
    assert launch_rows(rows, 97).tolist() == [3, 4, 5]  # product 1 began on day 30; 30 + 97 = 127


def test_offsets_of_a_launch_meet_what_was_observed_at_each_date():
    # product 0 adopts as its offset says; product 1 is launched on day 30 and adopts ten times and twice as often
    target = np.concatenate([np.repeat([1.0, 0.0], [100, 900]), np.repeat([1.0, 0.0], [100, 900]),
                             np.repeat([1.0, 0.0], [20, 980])])  # fmt: skip
    codes, days = np.repeat([0, 1, 1], 1000), np.repeat([0, 30, 60], 1000)
    offset = np.repeat(logit([0.1, 0.01, 0.01]), 1000)
    moved = level_launches(rows_of(codes, days, target, offset), 97)
    assert (moved.offset[:1000] == offset[:1000]).all()
    ratio = moved.offset[1000] - moved.offset[2000]
    assert ratio == pytest.approx(logit(0.1) - logit(0.02), abs=0.02)
    assert len(np.unique(moved.offset[1000:2000])) == 1


def test_without_a_launch_or_dates_nothing_changes():
    settled = rows_of(np.array([0, 1]), np.array([0, 0]), np.array([0.0, 1.0]), np.zeros(2))
    undated = rows_of(np.array([0, 1]), None, np.array([0.0, 1.0]), np.zeros(2))
    assert level_launches(settled, 97) is settled
    assert level_launches(undated, 97) is undated


def lagging_launch(seed):
    """Pairs of four products; the fourth is launched late, sells at 6 %, and its offset says 1 % for two months."""
    rng = np.random.default_rng(seed)
    frame = pd.MultiIndex.from_product([range(600), range(4), DAYS], names=["account", "product", "day"]).to_frame(
        index=False
    )
    frame = frame[(frame["product"] < 3) | (frame["day"] >= 90)].reset_index(drop=True)
    frame["size"] = rng.normal(size=600)[frame["account"]]
    known = np.array([0.03, 0.02, 0.04, 0.06])[frame["product"]]
    lagging = (frame["product"] == 3) & (frame["day"] < 150)
    frame["offset"] = logit(np.where(lagging, 0.01, known))
    frame["truth"] = expit(logit(known) + 0.8 * frame["size"] - 0.3)
    frame["adopted"] = (rng.random(len(frame)) < frame["truth"]).astype(int)
    return frame


def test_a_launched_product_is_not_raised_twice_when_its_offset_has_caught_up():
    ratios = []
    for seed in range(3):
        frame = lagging_launch(seed)
        train, test = frame[frame["day"] < 150], frame[(frame["day"] == 150) & (frame["product"] == 3)]
        model = PropensityClassifier(offset="offset", gap_days=60, horizon_days=30, n_seeds=1)
        columns = ["size", "offset"]
        model.fit(
            train[columns], train["adopted"], product=train["product"], account=train["account"], as_of=train["day"]
        )
        probability = model.predict_proba(test[columns], product=test["product"])[:, 1]
        ratios.append(probability.sum() / test["truth"].sum())
        assert np.corrcoef(logit(probability), test["size"])[0, 1] > 0.8
    # the offset is right by then; learnt as the product's own, the lag of 1.8 in log-odds would count twice
    assert 0.75 < np.mean(ratios) < 1.35, ratios
