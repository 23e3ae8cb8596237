"""Sums of true probabilities are adoptions, within intervals clustered by account."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from product_affinity.demo import History, simulate, true_pairs
from product_affinity.demo.clock import HORIZONS_DAYS
from product_affinity.demo.simulation import OPEN

UNTIL = dt.date(2026, 6, 30)
SEEDS = (11, 12, 13, 14, 15)


def adopted(history: History, account, product, as_of: int, horizon: int) -> np.ndarray:
    events = history.adoptions
    within = (events["via"] > 0) & (events["day"] >= as_of) & (events["day"] < as_of + horizon)
    happened = np.zeros(history.status.shape[1:], dtype=bool)
    happened[events["account"][within], events["product"][within]] = True
    return happened[account, product]


def observed(catalog, world: str, seeds=SEEDS) -> pd.DataFrame:
    """One row a pair, as-of date and horizon: true probability and what happened."""
    frames = []
    for seed in seeds:
        history = simulate(catalog, accounts=1500, months=24, until=UNTIL, seed=seed, world=world)
        for point in range(1, history.clock.periods, 4):
            pairs = true_pairs(history, point, paths=4)
            status = history.status[point][pairs.account, pairs.product]
            for horizon in HORIZONS_DAYS:
                if pairs.as_of + horizon > history.clock.until:
                    continue
                columns = {
                    "account": pairs.account + seed * 10**6,
                    "product": pairs.product,
                    "horizon": horizon,
                    "p": pairs.p[horizon],
                    "is_open": status == OPEN,
                    "silenced": history.loss_wait[point][pairs.account, pairs.product] > 0,
                    "adopted": adopted(history, pairs.account, pairs.product, pairs.as_of, horizon),
                }
                frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="module", params=["shared", "specific"])
def rows(request, catalog) -> pd.DataFrame:
    return observed(catalog, request.param)


def deviation(rows: pd.DataFrame) -> tuple[float, float]:
    """Standard errors between sum and expectation, and the standard error as a share of the expectation."""
    gap = (rows["adopted"] - rows["p"]).groupby(rows["account"]).sum()
    error = float(np.sqrt((gap**2).sum()))
    return float(gap.sum()) / error, error / float(rows["p"].sum())


def test_mean_probability_equals_the_observed_rate_at_every_horizon(rows):
    for horizon, part in rows.groupby("horizon"):
        errors, width = deviation(part)
        assert abs(errors) < 2.5, horizon
        assert width < 0.03, "the interval would be too wide to see a wrong truth"


@pytest.mark.parametrize("by", ["product", "is_open", "silenced", "band"])
def test_calibrated_within_every_stratum(rows, by):
    part = rows[rows["horizon"] == 90].assign(
        band=lambda frame: pd.cut(frame["p"], [-1, 0.003, 0.01, 0.03, 0.1, 0.3, 1]).cat.codes
    )
    for value, stratum in part.groupby(by):
        if stratum["p"].sum() > 20:
            assert abs(deviation(stratum)[0]) < 3.5, (by, value)


def test_base_rates_are_those_of_cross_selling(rows):
    rate = rows[rows["horizon"] == 90].groupby("product")["adopted"].mean()
    assert 0.01 < rows.loc[rows["horizon"] == 90, "adopted"].mean() < 0.04
    assert rate.min() < 0.007
    assert rate.max() > 2 * rate.median() or rate.max() > 0.02


def test_a_longer_horizon_is_never_less_likely(catalog):
    history = simulate(catalog, accounts=400, months=6, until=UNTIL, seed=1)
    for point in range(history.clock.periods + 1):
        pairs = true_pairs(history, point, paths=2)
        p = [pairs.p[horizon] for horizon in HORIZONS_DAYS]
        assert (p[0] <= p[1]).all()
        assert (p[1] <= p[2]).all()
        assert (p[0] >= 0).all()
        assert (p[2] < 1).all()


def test_more_paths_change_little(catalog):
    history = simulate(catalog, accounts=300, months=3, until=UNTIL, seed=2)
    few, many = true_pairs(history, 3, paths=8), true_pairs(history, 3, paths=256)
    assert few.p[90].mean() == pytest.approx(many.p[90].mean(), rel=0.02)
    assert np.corrcoef(np.log(few.p[90] + 1e-9), np.log(many.p[90] + 1e-9))[0, 1] > 0.99


@pytest.mark.parametrize("world", ["shared", "specific"])
def test_forcing_outreach_changes_adoption_by_the_stated_uplift(catalog, world):
    rates, uplifts, variance = {"treated": [], "held_back": []}, [], 0.0
    for seed in (21, 22, 23):
        for arm in rates:
            history = simulate(catalog, accounts=8000, months=10, until=UNTIL, seed=seed, world=world, force_arm=arm)
            plays = pd.DataFrame(history.plays)
            assert plays["treated"].eq(arm == "treated").all()
            for point in range(1, 7):
                chosen = plays[plays["period"] == point]
                account, product = chosen["account"].to_numpy(), chosen["product"].to_numpy()
                start = int(history.clock.starts[point])
                rates[arm].append(adopted(history, account, product, start, 90))
                if arm == "treated":
                    pairs = true_pairs(history, point, paths=2)
                    stated = np.full(history.status.shape[1:], np.nan)
                    stated[pairs.account, pairs.product] = pairs.uplift_90d
                    uplifts.append(stated[account, product])
    happened = {arm: np.concatenate(parts) for arm, parts in rates.items()}
    variance = sum(part.mean() * (1 - part.mean()) / len(part) for part in happened.values())
    difference = happened["treated"].mean() - happened["held_back"].mean()
    stated = np.concatenate(uplifts)
    assert not np.isnan(stated).any(), "plays are decided for white-space pairs only"
    assert difference == pytest.approx(stated.mean(), abs=2.5 * np.sqrt(variance))
    assert 2.5 * np.sqrt(variance) < 0.3 * stated.mean()
    assert np.std(stated) > 0.3 * stated.mean(), "the effect differs between pairs"


def test_open_opportunities_have_no_uplift(catalog):
    history = simulate(catalog, accounts=800, months=6, until=UNTIL, seed=4)
    pairs = true_pairs(history, 6, paths=2)
    opened = history.status[6][pairs.account, pairs.product] == OPEN
    assert opened.any()
    assert (pairs.uplift_90d[opened] == 0).all()
    assert (pairs.uplift_90d[~opened] >= 0).all()


def test_a_forced_arm_leaves_the_world_as_it_is(catalog):
    free = simulate(catalog, accounts=200, months=4, until=UNTIL, seed=6)
    forced = simulate(catalog, accounts=200, months=4, until=UNTIL, seed=6, force_arm="treated")
    np.testing.assert_array_equal(free.effects.play_chance, forced.effects.play_chance)
    np.testing.assert_array_equal(free.latent.need, forced.latent.need)
    assert not free.plays["treated"].all()
