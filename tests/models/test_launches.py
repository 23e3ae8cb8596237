"""A launched product teaches who, not how many: its offset could not know it yet."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from product_affinity.models import PropensityClassifier
from product_affinity.models.launches import at_observed_levels, launch_groups
from product_affinity.models.rows import Rows


def rows_of(codes, days, target, offset):
    ones = np.ones(len(target))
    rows = Rows(np.zeros((len(target), 1)), target, ones, ones, 0.0, offset, codes, None, days)
    return rows, launch_groups(codes, days, ones > 0, 97)


def test_rows_before_the_first_label_has_closed_tell_of_a_launch():
    codes = np.array([0, 0, 0, 1, 1, 1, 1])
    days = np.array([0, 130, 160, 130, 190, 226, 227])
    groups = launch_groups(codes, days, np.ones(7, dtype=bool), 97)
    assert (groups >= 0).tolist() == [False, False, False, True, True, True, False]  # 130 + 97 = 227
    assert len(set(groups[3:6])) == 3  # months 0, 2 and 3


def test_rows_without_weight_say_nothing_of_when_a_product_began():
    codes, days = np.array([0, 1, 1]), np.array([0, 0, 150])
    assert launch_groups(codes, days, np.array([True, False, True]), 97)[2] >= 0
    assert (launch_groups(codes, days, np.ones(3, dtype=bool), 97) == -1).all()


def test_what_begins_soon_after_the_table_may_have_been_there_before():
    codes, days = np.array([0, 1, 2]), np.array([0, 97, 98])
    assert (launch_groups(codes, days, np.ones(3, dtype=bool), 97) >= 0).tolist() == [False, False, True]


@pytest.mark.parametrize("launched", [1, 3])
def test_a_launch_starts_from_what_was_observed_beyond_settled_products(launched):
    # product 0 adopts as its offset says; the others are launched and adopt ten times and twice as often
    target = np.tile(np.repeat([1.0, 0.0, 1.0, 0.0], [100, 900, 20, 980]), launched)
    target = np.append(np.repeat([1.0, 0.0], [10, 990]), target)
    codes = np.append(np.zeros(1000, dtype=int), np.repeat(1 + np.arange(launched), 2000))
    days = np.append(np.zeros(1000, dtype=int), np.tile(np.repeat([130, 160], 1000), launched))
    moved = at_observed_levels(*rows_of(codes, days, target, np.full(len(target), logit(0.01))))
    assert (moved.offset[:1000] == logit(0.01)).all()
    for at in range(1000, len(target), 2000):
        assert moved.offset[at] == pytest.approx(logit(0.1), abs=0.03)
        assert moved.offset[at + 1000] == pytest.approx(logit(0.02), abs=0.05)


def test_a_single_row_is_not_told_its_own_label():
    codes, days = np.append(np.zeros(2000, dtype=int), [1, 2]), np.append(np.zeros(2000, dtype=int), [130, 130])
    target = np.append(np.repeat([1.0, 0.0], [200, 1800]), [1.0, 0.0])
    moved = at_observed_levels(*rows_of(codes, days, target, np.zeros(2002)))
    assert abs(moved.offset[2000] - moved.offset[2001]) < 1


def test_without_a_launch_or_dates_nothing_changes():
    settled, none = rows_of(np.array([0, 1]), np.array([0, 0]), np.array([0.0, 1.0]), np.zeros(2))
    assert at_observed_levels(settled, none) is settled
    undated = replace(settled, days=None)
    assert at_observed_levels(undated, none) is undated


DAYS = np.arange(0, 301, 30)


def lagging_launch(seed, launched):
    """Pairs of four products; some are launched late, sell at 6 %, and their offset says 1 % until the last day."""
    rng = np.random.default_rng(seed)
    frame = pd.MultiIndex.from_product([range(500), range(4), DAYS], names=["account", "product", "day"]).to_frame(
        index=False
    )
    late = frame["product"] > 3 - launched
    frame = frame[~late | (frame["day"] >= 240)].reset_index(drop=True)
    late = (frame["product"] > 3 - launched).to_numpy()
    frame["size"] = rng.normal(size=500)[frame["account"]]
    known = np.where(late, 0.06, np.array([0.03, 0.02, 0.04, 0.03])[frame["product"]])
    frame["offset"] = logit(np.where(late & (frame["day"] < 300), 0.01, known))
    frame["truth"] = expit(logit(known) + 0.8 * frame["size"] - 0.3)
    frame["adopted"] = (rng.random(len(frame)) < frame["truth"]).astype(int)
    return frame.assign(late=late)


@pytest.mark.parametrize("launched", [1, 3])
def test_a_launched_product_is_not_raised_twice_when_its_offset_has_caught_up(launched):
    ratios = []
    for seed in range(3):
        frame = lagging_launch(seed, launched)
        train, test = frame[frame["day"] < 300], frame[(frame["day"] == 300) & frame["late"]]
        model = PropensityClassifier(offset="offset", gap_days=60, horizon_days=30, n_seeds=1)
        columns = ["size", "offset"]
        model.fit(
            train[columns], train["adopted"], product=train["product"], account=train["account"], as_of=train["day"]
        )
        probability = model.predict_proba(test[columns], product=test["product"])[:, 1]
        ratios.append(probability.sum() / test["truth"].sum())
        assert np.corrcoef(logit(probability), test["size"])[0, 1] > 0.8
    # the offset is right by then; learnt as the product's own, its lag of 1.8 in log-odds would count twice
    assert 0.8 < np.mean(ratios) < 1.2, ratios


def test_which_product_is_launched_does_not_depend_on_the_draw_of_negatives():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, 80_000)
    days = 30 * rng.integers(0, 10, len(codes))
    early = (codes == 2) & (days < 150)
    codes[early] = 0
    codes[np.flatnonzero((days == 0) & (codes == 1))[:1]] = 2  # product 2 was there all along, in one row
    X = pd.DataFrame({"size": rng.normal(size=len(codes)), "offset": np.full(len(codes), -4.0)})
    chance = expit(-4 + 0.5 * X["size"] + 1.0 * (codes == 2))
    target = (rng.random(len(codes)) < chance).astype(int)
    target[days == 0] = 0
    levels = []
    for seed in range(6):
        model = PropensityClassifier(offset="offset", candidates=["ridge"], random_state=seed)
        model.fit(X, target, product=codes, as_of=days)
        levels.append(logit(model.predict_proba(X[:1], product=[2])[0, 1]))
    assert np.ptp(levels) < 0.3, levels
