"""Rules measured: what happened to the accounts on either side of each threshold.

Nothing here says that a rule *causes* what is seen: accounts that pass differ in many ways from those that fail.
It says whether a threshold tells accounts apart that fare differently, which is what a threshold is for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from product_affinity.reports.intervals import clustered_shares
from product_affinity.rules.criteria import FAIL, NOT_ASKED, PASS, UNKNOWN, Answer

SIDES = {PASS: "pass", FAIL: "fail", UNKNOWN: "unknown"}
FIGURES = {"adopted": "adoption", "won": "win", "churned": "churn"}


def measure_rules(answers: Sequence[Answer], pairs: pd.DataFrame, happened: pd.DataFrame) -> pd.DataFrame:
    """Measure adoption, win rate and later churn on either side of every criterion and gate.

    Parameters
    ----------
    answers : criteria or gates over the rows of `pairs`, at one or many as-of dates.
    pairs : account_id, same rows.
    happened : adopted, opened, won, churned as returned by `build_happened`, same rows.

    Returns
    -------
    DataFrame
        One row an answer and side (pass, fail, unknown) that occurs, in the order of `answers`: code, title, scope,
        side; pairs and accounts on that side; open_horizons (pairs not yet observed, in no rate); then for
        adoption (of observed pairs), win (of opportunities opened within the horizon and closed) and churn (of
        adoptions observed for a year): <figure>_rows, <figure>_ones, <figure>_rate, <figure>_low, <figure>_high,
        95 %, account-clustered; open_opportunities : opened within the horizon and not closed, in no rate.

    Raises
    ------
    ValueError : an answer has another number of rows than `pairs`.
    """
    # whole numbers group several times faster than ids
    accounts = pd.factorize(pairs["account_id"])[0]
    parts = [_measure(answer, accounts, happened) for answer in answers]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(RULE_COLUMNS))


RULE_COLUMNS = (
    "code", "title", "scope", "side", "pairs", "accounts", "open_horizons",
    *(f"{figure}_{part}" for figure in FIGURES.values() for part in ("rows", "ones", "rate", "low", "high")),
    "open_opportunities",
)  # fmt: skip


def _measure(answer: Answer, accounts: np.ndarray, happened: pd.DataFrame) -> pd.DataFrame:
    if len(answer.state) != len(accounts) or len(happened) != len(accounts):
        raise ValueError(f"{answer.code}: {len(answer.state)} answers for {len(accounts)} pairs")
    asked = answer.state != NOT_ASKED
    rows = happened.loc[asked].assign(
        account_id=accounts[asked],
        side=_sides(answer.state[asked]),
    )
    sides = rows.groupby("side", observed=True)
    table = pd.DataFrame(
        {
            "pairs": sides.size(),
            "accounts": sides["account_id"].nunique(),
            "open_horizons": sides["adopted"].apply(lambda column: int(column.isna().sum())),
            "open_opportunities": sides.apply(_open_deals),
        }
    )
    for column, figure in FIGURES.items():
        shares = clustered_shares(rows, ["side"], column).rename(columns={"share": "rate"})
        table = table.join(shares[["rows", "ones", "rate", "low", "high"]].add_prefix(f"{figure}_"))
        table[[f"{figure}_rows", f"{figure}_ones"]] = (
            table[[f"{figure}_rows", f"{figure}_ones"]].fillna(0).astype("int64")
        )
    table = table.reset_index().astype({"side": "str"})
    return table.assign(code=answer.code, title=answer.title, scope=answer.scope)[list(RULE_COLUMNS)]


def _sides(state: np.ndarray) -> pd.Categorical[str]:
    return pd.Categorical(pd.Series(state).map(SIDES), categories=list(SIDES.values()))


def _open_deals(rows: pd.DataFrame) -> int:
    return int(((rows["opened"] == 1).fillna(False) & rows["won"].isna()).sum())


VALUE_COLUMNS = (
    "column",
    "band",
    "lowest",
    "highest",
    "pairs",
    "accounts",
    "observed",
    "adopted",
    "rate",
    "low",
    "high",
)
BANDS = 5


def measure_values(
    evidence: pd.DataFrame, columns: Iterable[str], pairs: pd.DataFrame, happened: pd.DataFrame
) -> pd.DataFrame:
    """Measure adoption along the values that criteria compare, so that a bound can be set where it turns.

    Parameters
    ----------
    evidence : numeric columns, same rows as `pairs`; missing is unknown and in no band.
    columns : which of them, such as those that readiness criteria name.
    pairs : account_id.
    happened : adopted (1, 0 or missing), same rows.

    Returns
    -------
    DataFrame
        One row a column and band: band 1 to 5 of about equally many pairs (fewer where values tie), lowest and
        highest value in it, pairs, accounts and observed pairs, adopted, rate with its account-clustered 95 %
        interval; in the order of `columns`.
    """
    parts = [_bands(name, evidence[name], pairs, happened) for name in dict.fromkeys(columns)]
    known = [part for part in parts if not part.empty]
    return pd.concat(known, ignore_index=True) if known else pd.DataFrame(columns=list(VALUE_COLUMNS))


def _bands(name: str, values: pd.Series, pairs: pd.DataFrame, happened: pd.DataFrame) -> pd.DataFrame:
    value = values.to_numpy(dtype=float)
    known = ~np.isnan(value)
    if not known.any():
        return pd.DataFrame(columns=list(VALUE_COLUMNS))
    # a value is in the band of its lowest rank, so equal values never part
    share = (pd.Series(value[known]).rank(method="min").to_numpy() - 1) / known.sum()
    rows = pd.DataFrame(
        {
            "account_id": pd.factorize(pairs["account_id"])[0][known],
            "adopted": happened["adopted"].to_numpy()[known],
            "value": value[known],
            "band": pd.factorize((share * BANDS).astype(int), sort=True)[0] + 1,
        }
    )
    bands = rows.groupby("band")
    table = pd.DataFrame({"lowest": bands["value"].min(), "highest": bands["value"].max(), "pairs": bands.size()}).join(
        bands["account_id"].nunique().rename("accounts")
    )
    shares = clustered_shares(rows, ["band"], "adopted").drop(columns="accounts")
    table = table.join(shares.rename(columns={"rows": "observed", "ones": "adopted", "share": "rate"}))
    table[["observed", "adopted"]] = table[["observed", "adopted"]].fillna(0).astype("int64")
    return table.reset_index().assign(column=name)[list(VALUE_COLUMNS)]


def disagreement(measured: pd.DataFrame) -> pd.DataFrame:
    """Name the rules whose passing side adopts less than their failing side, by intervals that do not overlap.

    Parameters
    ----------
    measured : as returned by `measure_rules`.

    Returns
    -------
    DataFrame
        code, title, pass_rate, fail_rate of such rules.
    """
    keys, figures = ["code", "title"], ["adoption_rate", "adoption_low", "adoption_high"]
    passes, fails = (measured.loc[measured["side"] == side, [*keys, *figures]] for side in ("pass", "fail"))
    both = passes.merge(fails, on=keys, suffixes=("_pass", "_fail"), validate="1:1")
    found = both[both["adoption_high_pass"] < both["adoption_low_fail"]].reset_index(drop=True)
    return found.rename(columns={"adoption_rate_pass": "pass_rate", "adoption_rate_fail": "fail_rate"})[
        ["code", "title", "pass_rate", "fail_rate"]
    ]
