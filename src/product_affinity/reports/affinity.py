r"""The affinity matrix, owned product → target product, learnt from what was tried and what was bought.

Attempts to sell B to accounts that owned A when the attempt began, with :math:`w` won of :math:`n` closed:

.. math:: \text{shrunk}_{AB} = \frac{w_{AB} + k\, r_B}{n_{AB} + k}, \qquad r_B = \frac{w_B + k_0\, r}{n_B + k_0},
          \qquad r = \frac{w + 1/2}{n + 1}

Both strengths are empirical Bayes: with :math:`Q = \sum_i n_i (p_i - m_i)^2 / (m_i (1 - m_i))` over the G groups that
have an attempt, and their prior means :math:`m_i`, the share of the spread that chance does not explain is
:math:`\rho = (Q / G - 1) / \overline{(n - 1)}` and :math:`k = 1/\rho - 1`, kept within 2 and 500 (moments of the
beta-binomial, Kleinman 1973); a target's rate weighs at most what it was learnt from, :math:`n_B + k_0`. The interval
of a shrunk rate holds 95 % of Beta(w + k r, n − w + k (1 − r)).
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
from scipy.stats import beta

from product_affinity.contracts.facts import Facts, as_known, usable
from product_affinity.features.affinity import day_number, fit_affinity, read_intervals
from product_affinity.project.catalog import Catalog
from product_affinity.reports.attempts import owned_at_opening, read_attempts
from product_affinity.reports.intervals import LEVEL, Vector, median_duration, wilson
from product_affinity.reports.reference import AffinityReference
from product_affinity.spine.accounts import PAID

STRENGTHS = (2.0, 500.0)
ADOPTION_LOOKBACK_DAYS, ADOPTION_STRENGTH = 365, 20.0
KEYS = ["owned_product", "target_product"]


def learn_affinity(facts: Facts, catalog: Catalog, reference: AffinityReference, as_of: dt.date) -> pd.DataFrame:
    """Learn the affinity matrix of a date and set it beside what the company and the field say.

    Parameters
    ----------
    facts : checked source tables.
    catalog : products with the company's own adjacency.
    reference : known rates and the attach rates that quadrants promise.
    as_of : only facts strictly before it are used.

    Returns
    -------
    DataFrame
        One row per ordered pair of products, in the order of the catalogue:

        won, lost, open : attempts; conversion_rate, conversion_low, conversion_high : won ÷ closed, Wilson;
        shrunk_rate, shrunk_low, shrunk_high : formulas of the module;
        days_to_close, days_low, days_high : Kaplan–Meier median of opportunities, open ones censored;
        exposed, adopted, adoption_rate, shrunk_adoption_rate : owners of the one over the last year and those who
        took up the other, attempted or not (formulas: `features.affinity`);
        owners, owners_of_both, attach_rate, attach_low, attach_high : active users now, Wilson;
        quadrant, reference_rate, reference_days : what company and field say, missing where nothing;
        differs : where the figures' own interval excludes what was said, in words; empty where none does.
    """
    attempts = read_attempts(facts, as_of)
    table = _every_pair(catalog)
    paired = owned_at_opening(facts, attempts, as_of)
    table = table.merge(_counts(paired, KEYS), on=KEYS, how="left").merge(_times(paired, as_of), on=KEYS, how="left")
    table[["won", "lost", "open"]] = table[["won", "lost", "open"]].fillna(0).astype("int64")
    table = pd.concat([table, _rates(table, attempts)], axis=1)
    table = table.merge(_bought(facts, catalog, as_of), on=KEYS, how="left")
    table = table.merge(_attached(facts, as_of), on=KEYS, how="left")
    table["owners"] = table["owned_product"].map(_owners(facts, as_of))
    counted = ["exposed", "adopted", "owners", "owners_of_both"]
    table[counted] = table[counted].fillna(0).astype("int64")
    table["attach_rate"] = (table["owners_of_both"] / table["owners"]).where(table["owners"] > 0)
    table["attach_low"], table["attach_high"] = wilson(table["owners_of_both"], table["owners"])
    table = table.merge(_said(catalog, reference), on=KEYS, how="left")
    table["differs"] = _differences(table)
    return table[list(COLUMNS)]


COLUMNS = (
    *KEYS, "won", "lost", "open", "conversion_rate", "conversion_low", "conversion_high",
    "shrunk_rate", "shrunk_low", "shrunk_high", "days_to_close", "days_low", "days_high",
    "exposed", "adopted", "adoption_rate", "shrunk_adoption_rate",
    "owners", "owners_of_both", "attach_rate", "attach_low", "attach_high",
    "quadrant", "reference_rate", "reference_days", "differs",
)  # fmt: skip


def shrinkage_strength(won: Vector, closed: Vector, prior: Vector) -> float:
    """Return how many attempts the prior mean is worth: k of the module's text.

    Parameters
    ----------
    won, closed : counts per group.
    prior : prior mean of each group, 0–1.

    Returns
    -------
    float
        2 (groups truly differ) to 500 (they differ by chance alone, or cannot be told apart).

    >>> shrinkage_strength(np.array([0.0, 50.0]), np.array([50.0, 50.0]), np.array([0.5, 0.5]))
    2.0
    >>> shrinkage_strength(np.array([25.0, 25.0]), np.array([50.0, 50.0]), np.array([0.5, 0.5]))
    500.0
    """
    tried = closed > 0
    w, n, m = won[tried], closed[tried], np.clip(prior[tried], 1e-6, 1 - 1e-6)
    if not len(n) or (n <= 1).all():
        return STRENGTHS[1]
    spread = float((n * (w / n - m) ** 2 / (m * (1 - m))).mean())
    rho = (spread - 1) / float((n - 1).mean())
    return float(np.clip(1 / rho - 1, *STRENGTHS)) if rho > 0 else STRENGTHS[1]


def _every_pair(catalog: Catalog) -> pd.DataFrame:
    ids = catalog.product_ids
    pairs = [(owned, target) for owned in ids for target in ids if owned != target]
    return pd.DataFrame(pairs, columns=KEYS, dtype="str")


def _counts(attempts: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    marks = {"won": attempts["result"].eq("won"), "lost": attempts["result"].eq("lost")}
    marks["open"] = ~(marks["won"] | marks["lost"])
    return attempts.assign(**marks).groupby(by, as_index=False)[["won", "lost", "open"]].sum()


def _rates(table: pd.DataFrame, attempts: pd.DataFrame) -> pd.DataFrame:
    by_target = _counts(attempts, ["product_id"]).set_index("product_id")[["won", "lost"]].astype(float)
    target_won, target_closed = by_target["won"], by_target["won"] + by_target["lost"]
    overall = (target_won.sum() + 0.5) / (target_closed.sum() + 1)
    strength = shrinkage_strength(target_won.to_numpy(), target_closed.to_numpy(), np.full(len(by_target), overall))
    rate = (target_won + strength * overall) / (target_closed + strength)
    prior = table["target_product"].map(rate).fillna(overall).to_numpy(dtype=float)
    won, closed = table["won"].to_numpy(dtype=float), (table["won"] + table["lost"]).to_numpy(dtype=float)
    learnt_from = table["target_product"].map(target_closed + strength).fillna(strength).to_numpy(dtype=float)
    k = np.minimum(shrinkage_strength(won, closed, prior), learnt_from)
    with np.errstate(invalid="ignore"):
        plain = np.where(closed > 0, won / np.maximum(closed, 1), np.nan)
    low, high = wilson(won, closed)
    first, second = won + k * prior, closed - won + k * (1 - prior)
    return pd.DataFrame(
        {
            "conversion_rate": plain,
            "conversion_low": low,
            "conversion_high": high,
            "shrunk_rate": first / (closed + k),
            "shrunk_low": beta.ppf((1 - LEVEL) / 2, first, second),
            "shrunk_high": beta.ppf((1 + LEVEL) / 2, first, second),
        },
        index=table.index,
    )


def _times(paired: pd.DataFrame, as_of: dt.date) -> pd.DataFrame:
    """Median days from opening to close; only opportunities, as an outcome tells nothing of plays still open."""
    deals = paired[paired["source"] == "opportunity"]
    rows = []
    for (owned, target), part in deals.groupby(KEYS, sort=True):
        ended = part["closed_on"].notna()
        days = (part["closed_on"].fillna(pd.Timestamp(as_of)) - part["opened_on"]).dt.days
        found = median_duration(days.to_numpy(), ended.to_numpy())
        rows.append((owned, target, found.days, found.low, found.high))
    return pd.DataFrame(rows, columns=[*KEYS, "days_to_close", "days_low", "days_high"])


def _bought(facts: Facts, catalog: Catalog, as_of: dt.date) -> pd.DataFrame:
    fitted = fit_affinity(
        read_intervals(facts, catalog.product_ids), day_number(as_of), ADOPTION_LOOKBACK_DAYS, ADOPTION_STRENGTH
    )
    exposed, adopted = fitted.exposed.ravel(), fitted.adopted.ravel()
    every = pd.MultiIndex.from_product([catalog.product_ids, catalog.product_ids], names=KEYS).to_frame(index=False)
    return every.assign(
        exposed=exposed,
        adopted=adopted,
        adoption_rate=np.divide(adopted, exposed, out=np.full(len(exposed), np.nan), where=exposed > 0),
        shrunk_adoption_rate=fitted.shrunk.ravel(),
    )


_HELD = f"""
-- grain: account × product that runs at the date
select distinct sub.account_id, sub.product_id
from facts.subscriptions as sub
where {usable("sub", "$as_of")} and {PAID} and ({as_known("subscriptions", "end_on", "sub", "$as_of")}) is null
"""


def _owners(facts: Facts, as_of: dt.date) -> pd.Series:
    query = f"with held as ({_HELD}) select product_id, count(*) as owners from held group by all"
    return facts.connection.execute(query, {"as_of": as_of}).df().set_index("product_id")["owners"]


def _attached(facts: Facts, as_of: dt.date) -> pd.DataFrame:
    query = f"""
        with held as ({_HELD})
        select one.product_id as owned_product, other.product_id as target_product, count(*) as owners_of_both
        from held as one
        join held as other using (account_id)
        group by all
    """
    return facts.connection.execute(query, {"as_of": as_of}).df()


def _said(catalog: Catalog, reference: AffinityReference) -> pd.DataFrame:
    known = {(row.owned, row.target): row for row in reference.reference}
    rows = []
    for target in catalog:
        for owned in catalog:
            adjacency, row = target.adjacency.get(owned.product_id), known.get((owned.product_id, target.product_id))
            quadrant = adjacency.quadrant if adjacency else None
            # who owns a product owns what it requires: that is no surprise about the pair
            required = target.product_id in owned.prerequisites
            band = reference.attach_bands.get(quadrant) if quadrant and not required else None
            rows.append(
                {
                    "owned_product": owned.product_id,
                    "target_product": target.product_id,
                    "quadrant": quadrant,
                    "reference_rate": row.conversion_rate if row else None,
                    "reference_days": row.days_to_close if row else None,
                    "band_low": band.low if band else None,
                    "band_high": band.high if band else None,
                }
            )
    numbers = ("reference_rate", "reference_days", "band_low", "band_high")
    return pd.DataFrame(rows).astype({"quadrant": "str"} | dict.fromkeys(numbers, "float64"))


def _differences(table: pd.DataFrame) -> list[str]:
    said = {
        "converts less than the reference": table["conversion_high"] < table["reference_rate"],
        "converts more than the reference": table["conversion_low"] > table["reference_rate"],
        "closes faster than the reference": table["days_high"] < table["reference_days"],
        "closes slower than the reference": table["days_low"] > table["reference_days"],
        "attached less than its quadrant promises": table["attach_high"] < table["band_low"],
        "attached more than its quadrant promises": table["attach_low"] > table["band_high"],
    }
    flags = np.column_stack([mask.to_numpy(dtype=bool) for mask in said.values()])
    return ["; ".join(np.array(list(said))[row]) for row in flags]
