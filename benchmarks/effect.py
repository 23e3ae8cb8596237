"""Does the interval of the lists' effect cover the truth, and how wide is it beside Neyman's?

The demo company's truth gives every pair two chances of adoption, held back and proposed. Units are drawn as a list
would: of each account the best pair by a noisy score. Outcomes of both arms are drawn once (*fixed*) or anew each
time (*fresh*), then arms are drawn 200 times and the effect is estimated each time from what that draw shows.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from product_affinity.demo.products import shift_catalog
from product_affinity.demo.simulation import IDLE, simulate
from product_affinity.demo.truth import true_pairs
from product_affinity.project.catalog import Catalog
from product_affinity.project.reading import read_yaml, validate
from product_affinity.reports.effect import estimate_effect, neyman_width

UNTIL = dt.date(2026, 6, 30)
EPOCH_MONTHS = 6
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Units:
    """Accounts in an epoch, and their chances of adopting within 90 days.

    Attributes
    ----------
    held_back, proposed : chance in either arm.
    propensity : a noisy score known before the draw.
    arr_usd : what an adoption brings.
    """

    held_back: Vector
    proposed: Vector
    propensity: Vector
    arr_usd: Vector

    @property
    def effect(self) -> float:
        """True mean effect on the chance of adoption."""
        return float((self.proposed - self.held_back).mean())


def demo_units(accounts: int, months: int, seed: int, *, slots: int = 0) -> Units:
    """Simulate a demo company and pick, every epoch, each account's best pair by a noisy score.

    Parameters
    ----------
    accounts, months, seed : of the demo company.
    slots : accounts an epoch's list has room for, the best first; 0 for all.
    """
    source = Path(__file__).parents[1] / "models" / "catalog.yml"
    catalog = shift_catalog(validate(Catalog, read_yaml(source), str(source)), months, UNTIL)
    history = simulate(catalog, accounts=accounts, months=months, until=UNTIL, seed=seed)
    prices = np.array([product.list_arr_usd or 0.0 for product in catalog])
    rng, frames = np.random.default_rng(seed), []
    for point in range(1, history.clock.periods + 1, EPOCH_MONTHS):
        pairs = true_pairs(history, point, paths=2)
        idle = history.status[point][pairs.account, pairs.product] == IDLE
        low = np.clip(pairs.p[90], 0, 1)
        frame = pd.DataFrame(
            {
                "account": pairs.account,
                "product": pairs.product,
                "held_back": low,
                "proposed": np.clip(low + pairs.uplift_90d, 0, 1),
                "propensity": low * rng.lognormal(0.0, 0.7, len(low)),
                "arr_usd": prices[pairs.product],
            }
        )[idle]
        best = frame.sort_values(["propensity", "account", "product"], ascending=[False, True, True], kind="stable")
        best = best.drop_duplicates("account")
        frames.append(best.head(slots) if slots else best)
    units = pd.concat(frames, ignore_index=True)
    return Units(*(units[name].to_numpy(dtype=float) for name in ("held_back", "proposed", "propensity", "arr_usd")))


def coverage(
    units: Units, *, share_held_back: float, draws: int, seed: int, fresh: bool, adjust: bool, dollars: bool = False
) -> tuple[float, float]:
    """Share of re-randomisations whose interval covers the true effect, and mean width ÷ Neyman's.

    Parameters
    ----------
    units : who is drawn.
    share_held_back : probability of the held-back arm.
    draws, seed : re-randomisations.
    fresh : draw what would come of each arm anew each time, and compare with the mean true effect; else draw it
        once and compare with its mean over these very units.
    adjust : use the propensity as a covariate.
    dollars : measure ARR instead of adoption.
    """
    rng = np.random.default_rng(seed)
    covered, ratios = 0, []
    value = units.arr_usd if dollars else np.ones(len(units.arr_usd))
    luck = rng.random(len(value))
    covariates = np.column_stack([units.propensity * value, np.log(units.propensity)]) if adjust else None
    for _ in range(draws):
        if fresh:
            luck = rng.random(len(value))
        low, high = value * (luck < units.held_back), value * (luck < units.proposed)
        truth = float((value * (units.proposed - units.held_back)).mean() if fresh else (high - low).mean())
        treated = rng.random(len(value)) >= share_held_back
        seen = np.where(treated, high, low)
        estimate = estimate_effect(seen, treated, np.full(len(value), 1 - share_held_back), covariates)
        covered += truth in estimate
        ratios.append((estimate.high - estimate.low) / neyman_width(seen, treated))
    return covered / draws, float(np.mean(ratios))


@dataclass(frozen=True)
class Design:
    """How one line of the table is drawn."""

    share_held_back: float
    dollars: bool
    fresh: bool
    adjust: bool

    def __str__(self) -> str:
        outcome, luck = "ARR" if self.dollars else "adoption", "fresh" if self.fresh else "fixed"
        return f"{self.share_held_back:9.0%}  {outcome:8}  {luck:8}  {'yes' if self.adjust else 'no':8}"


def main(accounts: int = 2000, months: int = 30, draws: int = 200) -> None:
    """Print coverage and width ratio for several designs."""
    designs = [Design(*choice) for choice in product((0.1, 0.3), (False, True), (False, True), (False, True))]
    print("units     held back  outcome   outcomes  adjusted  coverage  width ÷ Neyman")
    for name, slots in (("all", 0), ("best 500", 500)):
        units = demo_units(accounts, months, seed=7, slots=slots)
        print(f"{name}: {len(units.held_back):,} units, true effect {units.effect:.4f}")
        for design in designs:
            covered, ratio = coverage(units, draws=draws, seed=11, **vars(design))
            print(f"{name:8} {design}  {covered:8.1%}  {ratio:14.2f}")


if __name__ == "__main__":
    main()
