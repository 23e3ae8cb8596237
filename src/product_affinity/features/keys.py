"""The feature rows as small integers: accounts, products, dates and what was owned, for SQL and for numpy."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd

from product_affinity.contracts.facts import Facts, as_known, usable
from product_affinity.features.scans import ACCOUNT_ROLES
from product_affinity.project.catalog import Catalog
from product_affinity.project.signals import TARGET_LISTS
from product_affinity.spine.accounts import PAID

SCORED = ("in_pipeline", "white_space")
ACCOUNT_KEYS = ["account_id", "as_of"]
PAIR_KEYS = ["account_id", "product_id", "as_of"]


@dataclass(frozen=True)
class FeatureRows:
    """The rows features are built for, with integer codes.

    Attributes
    ----------
    account : the spine sorted by account_id, as_of; columns `account` and `t` are codes.
    pair : pairs in pipeline and white space sorted by account_id, product_id, as_of; codes `account`, `k`,
        `t` and `spine_row`, the position of the account's row in `account`.
    owned : owned pairs; codes and `spine_row`.
    barred : per date and product, pairs neither owned nor open to adoption.
    as_ofs : ascending as-of dates; their positions are the codes `t`.
    product_ids : in catalogue order; their positions are the codes `k`.
    account_ids : sorted; their positions are the codes `account`.
    """

    account: pd.DataFrame
    pair: pd.DataFrame
    owned: pd.DataFrame
    barred: np.ndarray
    as_ofs: tuple[dt.date, ...]
    product_ids: tuple[str, ...]
    account_ids: pd.Index

    def of_role(self, role: str) -> pd.DataFrame:
        """Return the feature rows that a scan's role writes to."""
        return self.account if role in ACCOUNT_ROLES else self.pair


def build_rows(catalog: Catalog, spine: pd.DataFrame, pairs: pd.DataFrame) -> FeatureRows:
    """Sort the spine and its pairs and give accounts, products and dates their codes."""
    account = spine.sort_values(ACCOUNT_KEYS, kind="stable").reset_index(drop=True)
    dates = pd.Index(np.sort(account["as_of"].unique()))
    ids, products = pd.Index(np.sort(account["account_id"].unique())), pd.Index(catalog.product_ids)
    account["account"] = ids.get_indexer(pd.Index(account["account_id"]))
    account["t"] = dates.get_indexer(pd.Index(account["as_of"]))
    place = np.full((len(ids), len(dates)), -1)
    place[account["account"], account["t"]] = np.arange(len(account))

    coded = pairs[[*PAIR_KEYS, "status"]].assign(
        account=ids.get_indexer(pd.Index(pairs["account_id"])),
        k=products.get_indexer(pd.Index(pairs["product_id"])),
        t=dates.get_indexer(pd.Index(pairs["as_of"])),
    )
    coded = coded[(coded[["account", "k", "t"]] >= 0).all(axis=1)]
    coded["spine_row"] = place[coded["account"], coded["t"]]
    coded = coded[coded["spine_row"] >= 0]
    scored = coded[coded["status"].isin(SCORED)].sort_values(PAIR_KEYS, kind="stable").reset_index(drop=True)
    barred = np.zeros((len(dates), len(products)))
    closed = coded[coded["status"] == "not_eligible"]
    np.add.at(barred, (closed["t"], closed["k"]), 1)
    return FeatureRows(
        account=account,
        pair=scored.drop(columns="status"),
        owned=coded.loc[coded["status"] == "owned", ["account", "k", "t", "spine_row"]].reset_index(drop=True),
        barred=barred,
        as_ofs=tuple(pd.Timestamp(day).date() for day in dates),
        product_ids=catalog.product_ids,
        account_ids=ids,
    )


@contextmanager
def registered(facts: Facts, catalog: Catalog, rows: FeatureRows) -> Iterator[None]:
    """Make the rows visible to SQL as the temporary tables `fe_…` while features are built."""
    matches = _matches(catalog)
    targets = matches[["code", "target"]]
    frames = {
        "fe_dates": pd.DataFrame({"t": range(len(rows.as_ofs)), "as_of": pd.to_datetime(list(rows.as_ofs))}),
        "fe_accounts": pd.DataFrame({"code": range(len(rows.account_ids)), "account_id": rows.account_ids}),
        "fe_products": pd.DataFrame({"code": range(len(rows.product_ids)), "product_id": list(rows.product_ids)}),
        "fe_spine": rows.account[["account", "t"]].assign(row=rows.account.index),
        "fe_pairs": rows.pair[["account", "k", "t"]].assign(row=rows.pair.index),
        "fe_match_targets": targets,
        "fe_matches": matches[["list", "value", "code"]].drop_duplicates(),
        "fe_held": rows.owned.rename(columns={"spine_row": "row"}),
    }
    for name, frame in frames.items():
        facts.connection.register("fe_frame", frame)
        facts.connection.execute(f"create or replace temp table {name} as from fe_frame")
        facts.connection.unregister("fe_frame")
    facts.connection.execute("alter table fe_dates alter as_of type date")
    facts.connection.execute(_OWNED)
    try:
        yield
    finally:
        for name in (*frames, "fe_owned"):
            facts.connection.execute(f"drop table if exists {name}")


def _matches(catalog: Catalog) -> pd.DataFrame:
    """Every value on a list of a product, the list, a code for the two, and the product."""
    rows = [
        (name, value, position)
        for position, product in enumerate(catalog)
        for name in TARGET_LISTS
        for value in dict.fromkeys(getattr(product, name))
    ]
    frame = pd.DataFrame(rows, columns=["list", "value", "target"]).astype({"list": "str", "value": "str"})
    return frame.assign(target=frame["target"].astype("int64"), code=frame.groupby(["list", "value"]).ngroup())


_OWNED = f"""
-- grain: account × owned product × as-of date
create or replace temp table fe_owned as
with arr as (
    select
        a.code as account, p.code as k, dates.t,
        coalesce(sum(cast(sub.arr_usd as decimal(18, 6))), 0) as arr_usd
    from facts.subscriptions as sub
    join fe_accounts as a on a.account_id = sub.account_id
    join fe_products as p on p.product_id = sub.product_id
    join fe_dates as dates on {usable("sub", "dates.as_of")}
        and ({as_known("subscriptions", "end_on", "sub", "dates.as_of")}) is null
    where {PAID}
    group by all
)
select
    held.account, held.k, held.t, held.row,
    row_number() over (partition by held.row order by coalesce(arr.arr_usd, 0) desc, p.product_id) = 1
        as is_core
from fe_held as held
join fe_products as p on p.code = held.k
left join arr using (account, k, t)
"""
