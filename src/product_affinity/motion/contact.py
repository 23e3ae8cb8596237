"""Steps 1 and 3: whom nobody may contact, and what is no customer-success motion at all."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from product_affinity.motion.checks import CONTACT, NET_NEW, Check, RowWords, make_check


def check_contact(rows: pd.DataFrame) -> list[Check]:
    """Ask whether the account may be contacted and who it is.

    Parameters
    ----------
    rows : do_not_contact, name (null where the account's attributes were not known at the as-of date).
    """
    marked = rows["do_not_contact"].astype("boolean").fillna(False).to_numpy(dtype=bool)
    nameless = rows["name"].isna().to_numpy() if "name" in rows else np.zeros(len(rows), dtype=bool)
    return [
        make_check(
            CONTACT,
            "G01",
            "do not contact",
            "account",
            marked,
            RowWords(
                lambda row: "account is marked do not contact" if marked[row] else "no such mark",
                lambda row: "the mark in the CRM is removed",
            ),
        ),
        make_check(
            CONTACT,
            "I01",
            "unresolved identity",
            "account",
            nameless,
            RowWords(
                lambda row: "the account is not in the accounts table" if nameless[row] else "known account",
                lambda row: "the account and its name reach the accounts table",
            ),
        ),
    ]


def check_net_new(quadrant: pd.Series, anchor: pd.Series, names: Mapping[str, str]) -> Check:
    """Ask whether the product is a new-logo sale to this account: low ICP overlap, low workflow integration.

    Parameters
    ----------
    quadrant, anchor : of each row; null where the catalogue gives no adjacency, which is taken as none.
    names : product_id to name.
    """
    blocks = quadrant.eq("net_new").to_numpy(dtype=bool, na_value=False)

    quadrants, anchors = quadrant.astype(object).to_numpy(), anchor.astype(object).to_numpy()

    def said(row: int) -> str:
        if pd.isna(quadrants[row]):
            return "the catalogue gives no adjacency to what is owned"
        return f"quadrant {quadrants[row].replace('_', '-')} beside {names.get(anchors[row], anchors[row])}"

    return make_check(
        NET_NEW,
        "N01",
        "net-new motion",
        "pair",
        blocks,
        RowWords(said, lambda row: "nothing: sold as to a new logo, by sales"),
    )
