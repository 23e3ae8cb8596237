"""Write the page: one self-contained file under a content-security policy that allows nothing from outside."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, Template

from product_affinity.lists.site.data import ACCOUNT_TABLES, LIST_COLUMNS, PRODUCT_TABLES, SiteData
from product_affinity.lists.site.encode import JsonTable, json_table, to_json
from product_affinity.lists.site.overview import UNTOUCHED_AFTER_DAYS, summarise, why_not_listed
from product_affinity.lists.site.scope import rows_by_owner, within_bounds, without_contacts
from product_affinity.lists.worklist import UNASSIGNED

# In the order they are concatenated: each may use what comes before it.
SCRIPTS = (
    "dom",
    "frames",
    "words",
    "bars",
    "lines",
    "table",
    "overview",
    "worklist",
    "story",
    "history",
    "account",
    "product",
    "watchlist",
    "router",
)


def write_site(folder: Path, data: SiteData) -> int:
    """Write `site/index.html` and `site/owners/<owner_key>.html`; equal data give equal bytes.

    The common page and that of rows without an owner name no contact; an owner's page holds that owner's
    accounts alone. Neither tells an arm of
    a hold-back: pairs that merely lost a choice all read "not proposed this period".

    Parameters
    ----------
    folder : folder of the list; `site/` is made in it.
    data : what to show.

    Returns
    -------
    int
        Number of owners' pages.
    """
    owners = folder / "site" / "owners"
    owners.mkdir(parents=True)
    products = to_json({name: _table(data.products, name, PRODUCT_TABLES).encoded() for name in data.products})
    # a page is passed on: contacts are named in the owner's own workbook alone
    data = without_contacts(data)
    common = within_bounds(data)
    # the figures are those of everything, also where the tables are cut
    summary = summarise(data.plays, data.watchlist, data.gone)
    page = _page(common, _tables_of(common), products, summary, owner=None)
    (folder / "site" / "index.html").write_text(page, "utf-8")
    tables, pages = _tables_of(data), 0
    for key, lists, accounts in rows_by_owner(data):
        own = replace(data, **{name: getattr(data, name).iloc[rows] for name, rows in lists.items()})
        summary = summarise(own.plays, own.watchlist, own.gone)
        cut = tables.take(lists, accounts)
        page = _page(own, cut, products, summary, owner=_owner_name(own, key))
        (owners / f"{key}.html").write_text(page, "utf-8")
        pages += 1
    return pages


@dataclass(frozen=True)
class _Tables:
    """The tables of a page, ready to be embedded."""

    lists: dict[str, JsonTable]
    accounts: dict[str, JsonTable]

    def take(self, lists: Mapping[str, np.ndarray], accounts: Mapping[str, np.ndarray]) -> _Tables:
        """Return the rows at these positions of each table."""
        return _Tables(
            {name: self.lists[name].take(rows) for name, rows in lists.items()},
            {name: self.accounts[name].take(rows) for name, rows in accounts.items()},
        )


def _tables_of(data: SiteData) -> _Tables:
    return _Tables(
        {name: json_table(getattr(data, name), columns) for name, columns in LIST_COLUMNS.items()},
        {name: _table(data.accounts, name, ACCOUNT_TABLES) for name in data.accounts},
    )


def _table(frames: Mapping[str, pd.DataFrame], name: str, known: Mapping[str, Sequence[str]]) -> JsonTable:
    return json_table(frames[name], known[name])


def _page(data: SiteData, tables: _Tables, products: str, summary: Mapping[str, object], *, owner: str | None) -> str:
    style, script = _assets()
    lists = {
        "head": _head(data, owner),
        "summary": summary,
        **{name: table.encoded() for name, table in tables.lists.items()},
    }
    accounts = {name: table.encoded() for name, table in tables.accounts.items()}
    return _template().render(
        title=f"{owner or 'All owners'} · product affinity · {data.head.project}",
        policy=_policy(style, script),
        style=style,
        script=script,
        lists=to_json(lists),
        accounts=to_json(accounts),
        products=products,
    )


def _head(data: SiteData, owner: str | None) -> dict[str, object]:
    head = data.head
    return {
        "project": head.project,
        "owner": owner,
        "as_of": str(head.as_of),
        "previous_as_of": None if head.previous_as_of is None else str(head.previous_as_of),
        "horizon_days": head.horizon_days,
        "currency": head.currency,
        "model_version": head.model_version,
        **({"ranked_by": head.ranked_by} if head.ranked_by else {}),
        "gate_titles": dict(sorted(head.gate_titles.items())),
        "weeks": head.weeks,
        "months": head.months,
        "untouched_after_days": UNTOUCHED_AFTER_DAYS,
        # an owner's page has all of that owner's rows; the common one may be cut
        "waiting": int(head.dispositions.get("watchlist", len(data.watchlist))) if owner is None else None,
        "why_not_listed": why_not_listed(head.dispositions) if owner is None else [],
    }


def _owner_name(own: SiteData, key: str) -> str:
    for frame in (own.plays, own.watchlist, own.in_flight):
        named = frame["owner_name"].dropna()
        if len(named):
            return str(named.iloc[0])
    return "No owner" if key == UNASSIGNED else key


@cache
def _assets() -> tuple[str, str]:
    here = files("product_affinity.lists.site")
    parts = [(here / "js" / f"{name}.js").read_text("utf-8") for name in SCRIPTS]
    script = "'use strict';\n(() => {\n" + "\n".join(parts) + "})();\n"
    return (here / "templates" / "style.css").read_text("utf-8"), script


@cache
def _template() -> Template:
    text = (files("product_affinity.lists.site") / "templates" / "page.html.j2").read_text("utf-8")
    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(text)


def _policy(style: str, script: str) -> str:
    """Return the content-security policy: this style, this script, pictures inside the page, and nothing else."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src {_source_hash(style)}",
            f"script-src {_source_hash(script)}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
        )
    )


def _source_hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
