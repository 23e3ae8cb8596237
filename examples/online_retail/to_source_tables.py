"""Turn the public Online Retail file into source tables: `python to_source_tables.py FILE [DATA_FOLDER]`.

FILE is the published table of order lines as Parquet, CSV or Excel, columns as published (InvoiceNo, StockCode,
Description, Quantity, InvoiceDate, UnitPrice, CustomerID, Country). Every line that is left out is counted.

A product is a *family*: the first rule of families.csv that matches the description; lines without one belong to
`other`, which is sold to nobody and only keeps its buyers active. An account owns a family from an order until 180
days after the last re-order. That end lies in the future until it has passed, so the point-in-time rule for closing
columns keeps later orders out of earlier as-of dates.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

ACTIVE_DAYS = 180
TEXT = {"InvoiceNo": "str", "StockCode": "str", "Description": "str", "CustomerID": "str", "Country": "str"}


def read_lines(path: Path) -> pd.DataFrame:
    """Read the published file with its ids as text."""
    if path.suffix == ".parquet":
        lines = pd.read_parquet(path)
    elif path.suffix == ".csv":
        lines = pd.read_csv(path, dtype=TEXT, keep_default_na=False)
    else:
        lines = pd.read_excel(path, dtype=TEXT, keep_default_na=False)
    lines["InvoiceDate"] = pd.to_datetime(lines["InvoiceDate"])
    # Excel stores the ids as numbers: 17850.0 is customer 17850
    lines["CustomerID"] = lines["CustomerID"].fillna("").str.removesuffix(".0")
    return lines


def split_lines(lines: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, int]]:
    """Separate orders from cancellations and say what was left out and why."""
    left_out = {"lines": len(lines)}
    has_customer = lines["CustomerID"] != ""
    left_out["without a customer"] = int((~has_customer).sum())
    known = lines[has_customer]
    cancelled = known["InvoiceNo"].str.startswith("C")
    orders = known[~cancelled]
    goods = orders["StockCode"].str.match(r"\d{5}") & (orders["Quantity"] > 0) & (orders["UnitPrice"] > 0)
    left_out["no goods, quantity or price"] = int((~goods).sum())
    left_out["cancellations (kept as signals)"] = int(cancelled.sum())
    return orders[goods], known[cancelled], left_out


def name_families(lines: pd.DataFrame, rules: pd.DataFrame) -> pd.DataFrame:
    """Add product_id: the first rule whose pattern the description contains, else `other`."""
    family = pd.Series("other", index=lines.index, dtype="str")
    for rule in rules[::-1].itertuples():
        family = family.mask(lines["Description"].fillna("").str.contains(rule.pattern, regex=True), rule.product_id)
    return lines.assign(
        product_id=family,
        account_id=lines["CustomerID"],
        date=lines["InvoiceDate"].dt.normalize(),
        value=(lines["Quantity"] * lines["UnitPrice"]).abs().round(2),
    )


def subscriptions(orders: pd.DataFrame) -> pd.DataFrame:
    """Chain order days of (account, family) into intervals that end 180 days after the last one.

    The price of an interval is the value of its first day: what was known when it began.
    """
    keys = ["account_id", "product_id"]
    days = orders.groupby([*keys, "date"], as_index=False)["value"].sum()
    gap = days.groupby(keys)["date"].diff().dt.days
    days["chain"] = (gap.isna() | (gap > ACTIVE_DAYS)).cumsum()
    chains = days.groupby("chain").agg(
        account_id=("account_id", "first"),
        product_id=("product_id", "first"),
        start_on=("date", "first"),
        last_on=("date", "last"),
        arr_usd=("value", "first"),
    )
    chains["end_on"] = chains["last_on"] + pd.Timedelta(days=ACTIVE_DAYS)
    return chains.drop(columns="last_on").sort_values([*keys, "start_on"], ignore_index=True)


def source_tables(lines: pd.DataFrame, rules: pd.DataFrame) -> tuple[dict[str, pd.DataFrame], dict[str, int]]:
    """Build all source tables and the counts of what was left out."""
    orders, cancellations, left_out = split_lines(lines)
    orders, cancellations = name_families(orders, rules), name_families(cancellations, rules)
    by_account = orders.groupby("account_id")
    accounts = pd.DataFrame(
        {"country": by_account["Country"].first(), "created_on": by_account["date"].min()}
    ).reset_index()
    accounts["name"] = "Customer " + accounts["account_id"]
    usage = (
        orders.groupby(["account_id", "product_id", "date"])
        .agg(lines=("StockCode", "size"), quantity=("Quantity", "sum"), value=("value", "sum"))
        .reset_index()
    )
    cancelled = cancellations[cancellations["account_id"].isin(accounts["account_id"])]
    signals = cancelled.groupby(["account_id", "date"], as_index=False)["value"].sum()
    signals = signals.rename(columns={"date": "happened_on", "value": "amount"}).assign(kind="cancellation")
    left_out["cancellations of customers without an order"] = len(cancellations) - len(cancelled)
    tables = {
        "accounts": accounts,
        "subscriptions": subscriptions(orders),
        "usage": usage,
        "signals": signals,
    }
    return tables, left_out


def main() -> None:
    """Read the file, write the tables, print what was left out."""
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    here = Path(__file__).parent
    folder = Path(sys.argv[2]) if len(sys.argv) == 3 else here / "data"
    folder.mkdir(parents=True, exist_ok=True)
    tables, left_out = source_tables(read_lines(Path(sys.argv[1])), pd.read_csv(here / "families.csv", dtype="str"))
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet", index=False)
    print("; ".join(f"{what}: {count:,}" for what, count in left_out.items()))
    print("; ".join(f"{name}: {len(table):,} rows" for name, table in tables.items()), f"written to {folder}")


if __name__ == "__main__":
    main()
