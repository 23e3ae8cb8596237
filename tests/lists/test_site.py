"""What the page's files hold: figures by hand, whose rows, no arm, no name, the same bytes."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import html
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_affinity.errors import UsageError
from product_affinity.lists.site import SiteData, write_site
from product_affinity.lists.site.encode import json_table, to_json
from product_affinity.lists.site.overview import DISPOSITION_WORDS, summarise, why_not_listed
from product_affinity.lists.site.scope import within_bounds
from product_affinity.schema.lists import DISPOSITIONS
from tests import plays as made
from tests.lists.site_cases import empty_site, gone, histories, site_data


def block(page: str, name: str) -> dict[str, Any]:
    """Return one embedded data block as the browser would read it."""
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.DOTALL)
    assert found
    parsed: dict[str, Any] = json.loads(found[1])
    return parsed


def column(table: dict[str, Any], name: str) -> list[Any]:
    cells = table["columns"][name]
    if isinstance(cells, list):
        return cells
    return [None if code < 0 else cells["levels"][code] for code in cells["codes"]]


def write(folder: Path, data: SiteData) -> dict[str, str]:
    write_site(folder, data)
    return {path.relative_to(folder / "site").as_posix(): path.read_text("utf-8") for path in folder.rglob("*.html")}


@given(st.lists(st.one_of(st.none(), st.text(max_size=12)), max_size=12))
def test_texts_come_back_without_control_signs_and_cannot_end_a_script(texts: list[str | None]) -> None:
    frame = pd.DataFrame({"text": pd.Series(texts, dtype=object)})
    embedded = to_json(json_table(frame, ["text"]).encoded())
    assert not set(embedded) & set("<>&\u2028\u2029")
    back = column(json.loads(embedded), "text")
    for before, after in zip(texts, back, strict=True):
        if before is None:
            assert after is None
        else:
            assert not re.search("[\x00-\x09\x0b-\x1f\u202a-\u202e\u2066-\u2069]", after)
            if before.isalnum():
                assert after == before


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)), max_size=12))
def test_numbers_come_back_to_six_digits_and_missing_as_null(numbers: list[float | None]) -> None:
    frame = pd.DataFrame({"x": pd.Series(numbers, dtype=float)})
    back = column(json.loads(to_json(json_table(frame, ["x"]).encoded())), "x")
    for before, after in zip(numbers, back, strict=True):
        if before is None or not np.isfinite(before):
            assert after is None
        else:
            assert after == pytest.approx(before, rel=1e-5)


def test_ids_and_names_that_look_like_something_else_stay() -> None:
    words = ["00012", "1E5", "NA", "None", "null", "", "-1"]
    back = column(json_table(pd.DataFrame({"a": pd.Series(words, dtype="str")}), ["a"]).encoded(), "a")
    assert back == words


def test_overview_adds_up_by_hand() -> None:
    plays = made.plays(
        4,
        propensity=[0.5, 0.2, 0.1, 0.1],
        expected_arr_usd=[10_000.0, 20_000.0, 10_000.0, 5_000.0],
        product_id=["crm", "crm", "kb", "kb"],
        product_name=["CRM", "CRM", "Knowledge", "Knowledge"],
        tier=[1, 2, 2, 2],
        owner_id=["U-1", "U-1", None, "U-2"],
        owner_name=["Ada", "Ada", None, "Ben"],
        days_on_list=[13, 14, 30, 15],
        status=["", "", "", "contacted"],
        change=["new", "up", "up", "same"],
    )
    figures = summarise(plays, _watched(), gone(2))
    assert figures["expected_arr"] == 5_000 + 4_000 + 1_000 + 500
    assert figures["by_product"] == [
        {"key": "crm", "label": "CRM", "plays": 2, "expected_arr": 9_000.0},
        {"key": "kb", "label": "Knowledge", "plays": 2, "expected_arr": 1_500.0},
    ]
    assert [(row["label"], row["expected_arr"]) for row in figures["by_owner"]] == [
        ("Ada", 9_000.0),
        ("No owner", 1_000.0),
        ("Ben", 500.0),
    ]
    assert [(row["label"], row["plays"]) for row in figures["by_tier"]] == [("Tier 2", 3), ("Tier 1", 1)]
    # 13 days is one too few, and the last row was contacted
    assert figures["untouched"] == {"plays": 2, "expected_arr": 5_000.0}
    assert figures["changes"] == {"new": 1, "up": 2, "down": 0, "same": 1, "gone": 2}
    # account a at its better product, once a gate: .2 × 10,000, and not .2 + .1
    assert figures["blocked"] == [
        {"gate": "G02", "accounts": 2, "expected_arr": 3_000.0},
        {"gate": "R10", "accounts": 1, "expected_arr": 500.0},
    ]


def _watched() -> pd.DataFrame:
    return made.watchlist(4, account_id=["a", "a", "b", "a"], gate=["G02", "G02", "G02", "R10"],
                          propensity=[0.1, 0.2, 0.1, 0.05]).assign(expected_arr_usd=10_000.0)  # fmt: skip


def test_an_empty_list_is_told_in_words_for_every_disposition() -> None:
    assert set(DISPOSITION_WORDS) == set(DISPOSITIONS) - {"listed"}
    told = why_not_listed({name: 1 for name in DISPOSITIONS})
    assert sum(row["pairs"] for row in told) == len(DISPOSITIONS) - 1
    assert summarise(*(getattr(empty_site(), name) for name in ("plays", "watchlist", "gone")))["expected_arr"] == 0


def test_no_file_tells_an_arm(tmp_path: Path) -> None:
    for name, page in write(tmp_path, site_data()).items():
        data = "".join(json.dumps(block(page, part)) for part in ("lists", "accounts", "products"))
        assert not re.search(r"held_back|hold.?back|\barm\b|treated|\boutside\b", data, re.IGNORECASE), name
    counts = block(write(tmp_path / "again", site_data())["index.html"], "lists")["head"]["why_not_listed"]
    assert {"words": "not proposed this period", "pairs": 7} in counts


def test_an_owner_gets_the_own_accounts_and_nobody_elses(tmp_path: Path) -> None:
    data = site_data(40, 20, 9)
    pages = write(tmp_path, data)
    assert set(pages) == {"index.html", "owners/U-001.html", "owners/U-002.html", "owners/_unassigned.html"}
    for owner_id, file in (("U-001", "U-001"), ("U-002", "U-002"), (None, "_unassigned")):
        page = pages[f"owners/{file}.html"]
        lists, accounts = block(page, "lists"), block(page, "accounts")
        expected = set()
        for name in ("plays", "watchlist", "in_flight"):
            frame = getattr(data, name)
            own = frame[frame["owner_id"].isna() if owner_id is None else frame["owner_id"].eq(owner_id)]
            assert column(lists[name], "account_id") == list(own["account_id"])
            expected |= set(own["account_id"])
        for table in accounts.values():
            assert set(column(table, "account_id")) <= expected
        assert set(column(accounts["accounts"], "account_id")) == expected & set(data.plays["account_id"])
        others = data.plays.loc[~data.plays["account_id"].isin(expected), "play_id"]
        assert not any(play in page for play in others)


def test_no_page_names_a_contact(tmp_path: Path) -> None:
    data = site_data(12)
    names = data.plays["stakeholder_name"]
    quoting = data.plays.assign(next_step="Ask " + names.fillna("somebody") + " about it")
    quoted = data.accounts["checks"].merge(data.plays[["account_id", "stakeholder_name"]], on="account_id")
    checks = data.accounts["checks"].assign(evidence=quoted["stakeholder_name"].fillna("nobody") + " was named")
    pages = write(tmp_path, replace(data, plays=quoting, accounts={**data.accounts, "checks": checks}))
    assert not any(name in pages["index.html"] for name in names.dropna())
    assert "Ask the Head of Marketing about it" in pages["index.html"]
    assert "the Head of Marketing was named" in pages["index.html"]
    assert len(pages) > 2
    assert not any(name in page for page in pages.values() for name in names.dropna())


def test_the_common_page_is_bounded_most_valuable_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("product_affinity.lists.site.scope.MOST_ACCOUNTS", 3)
    monkeypatch.setattr("product_affinity.lists.site.scope.MOST_WATCHED", 5)
    data = site_data(12)
    cut = within_bounds(data)
    best = data.plays.nlargest(3, "value_usd")["account_id"]
    assert set(cut.accounts["usage"]["account_id"]) == set(best)
    assert len(cut.plays) == 12
    assert list(cut.watchlist["account_id"]) == list(data.watchlist["account_id"][:5])


def test_the_policy_allows_just_what_the_page_holds(tmp_path: Path) -> None:
    for page in write(tmp_path, site_data(4)).values():
        found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
        assert found
        policy = dict(part.split(" ", 1) for part in html.unescape(found[1]).split("; "))
        for directive, tag in (("style-src", "<style>(.*?)</style>"), ("script-src", "<script>(.*?)</script>")):
            (inline,) = re.findall(tag, page, re.DOTALL)
            digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
            assert policy[directive] == f"'sha256-{digest}'"
        assert policy["default-src"] == "'none'"
        assert not re.search(r"\son\w+=|style=|src=|@import|url\(", page.split("<script type")[0])


def test_same_data_gives_the_same_bytes(tmp_path: Path) -> None:
    assert write(tmp_path / "a", site_data(20)) == write(tmp_path / "b", site_data(20))


def test_a_hostile_owner_id_builds_no_path(tmp_path: Path) -> None:
    write_site(tmp_path, site_data(3, owner_id=["../../x", "a/b", "CON aux"]))
    files = [path.relative_to(tmp_path / "site" / "owners").as_posix() for path in tmp_path.rglob("*.html")
             if path.name != "index.html"]  # fmt: skip
    assert len(files) >= 3
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+\.html", name) for name in files)


def test_a_missing_column_or_table_is_named() -> None:
    data = site_data(2)
    with pytest.raises(UsageError, match="plays has no column propensity"):
        replace(data, plays=data.plays.drop(columns="propensity"))
    with pytest.raises(UsageError, match=r"usages is no table of the page \(did you mean usage\?\)"):
        replace(data, accounts={"usages": histories(data.plays)["usage"]})


def test_dates_of_any_type_are_days() -> None:
    frame = pd.DataFrame({
        "a": pd.to_datetime(["2026-01-02", None]),
        "b": [dt.date(2026, 1, 2), None],
        "c": pd.Series(pd.array([True, None], dtype="boolean")),
    })  # fmt: skip
    assert json_table(frame, ["a", "b", "c"]).columns == {
        "a": ["2026-01-02", None],
        "b": ["2026-01-02", None],
        "c": [1, None],
    }
