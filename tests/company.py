"""A company made of a few rows, so that a test builds only what it is about."""

from __future__ import annotations

import pandas as pd

from product_affinity.contracts.facts import Facts
from product_affinity.project.catalog import Catalog

Row = tuple[str, dict[str, object]]


def account(account_id: str, **attributes: object) -> Row:
    return "accounts", {"account_id": account_id, "name": account_id, **attributes}


def subscription(account_id: str, product: str, start: str, end: str | None = None, **attributes: object) -> Row:
    row = {
        "account_id": account_id,
        "product_id": product,
        "start_on": start,
        "end_on": end,
        "arr_usd": 1000.0,
    }
    return "subscriptions", row | attributes


def opportunity(opportunity_id: str, account_id: str, product: str, created: str, **attributes: object) -> Row:
    row = {
        "opportunity_id": opportunity_id,
        "account_id": account_id,
        "product_id": product,
        "kind": "cross_sell",
        "created_on": created,
    }
    return "opportunities", row | attributes


def company(*rows: Row, timezone: str = "UTC", lag_days: dict[str, int] | None = None) -> Facts:
    tables: dict[str, list[dict[str, object]]] = {}
    for table, row in rows:
        tables.setdefault(table, []).append(row)
    frames = {table: pd.DataFrame(found).convert_dtypes() for table, found in tables.items()}
    for frame in frames.values():
        for name in frame.columns:
            if name.endswith(("_on", "_at")) or name in ("date", "valid_from", "as_of"):
                frame[name] = pd.to_datetime(frame[name])
    return Facts.from_frames(frames, timezone=timezone, lag_days=lag_days)


def catalog(*products: str, **changes: dict[str, object]) -> Catalog:
    """A catalogue of products without any rule, except for what `changes` says of one."""
    lines = [{"product_id": name, "name": name.upper(), **changes.get(name, {})} for name in products]
    return Catalog.model_validate({"products": lines})
