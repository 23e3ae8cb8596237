"""The files of one list: scores, worklist, watchlist, one file an owner and one a product, and their counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from product_affinity.errors import RefusedError
from product_affinity.lists.worklist import file_key, owner_key
from product_affinity.lists.writers import write_parquet, write_people_csv


def write_list_files(
    folder: Path,
    scores: pd.DataFrame,
    worklist: pd.DataFrame,
    watchlist: pd.DataFrame,
    provenance: Mapping[str, object],
) -> dict[str, object]:
    """Write a list's files into `folder` and return its manifest, without checksums.

    Parameters
    ----------
    folder : an empty folder.
    scores, worklist, watchlist : the published frames.
    provenance : inputs, fingerprints and model version for the manifest.

    Raises
    ------
    RefusedError : the counts do not balance: a pair would have disappeared.
    """
    write_parquet(scores, folder / "scores.parquet")
    for name, frame in (("worklist", worklist), ("watchlist", watchlist)):
        write_parquet(frame, folder / f"{name}.parquet")
        write_people_csv(frame, folder / f"{name}.csv")
    owners = worklist.groupby(worklist["owner_id"].map(owner_key, na_action=None), sort=True)
    _write_parts(folder / "owners", owners)
    by_value = worklist.sort_values(["value_usd", "account_id"], ascending=[False, True], kind="stable")
    by_value["rank"] = by_value.groupby("product_id").cumcount() + 1
    _write_parts(folder / "products", by_value.groupby(by_value["product_id"].map(file_key), sort=True))
    return {**provenance, "counts": balance(scores, worklist, watchlist), "owners": owners.ngroups}


def balance(scores: pd.DataFrame, worklist: pd.DataFrame, watchlist: pd.DataFrame) -> dict[str, object]:
    """Count every pair once and check that nothing disappeared.

    ``pairs = owned + not owned`` and ``not owned = not eligible + Σ dispositions``; the lists hold as many rows
    as the scores say.

    Raises
    ------
    RefusedError : a count does not add up; the message shows both sides.
    """
    statuses = scores["status"].value_counts()
    dispositions = scores["disposition"].value_counts().sort_index()
    not_owned = int(len(scores) - statuses.get("owned", 0))
    accounted = int(statuses.get("not_eligible", 0) + dispositions.sum())
    pairs = {
        "pairs without a disposition": (not_owned, accounted),
        "worklist rows": (len(worklist), int(dispositions.get("listed", 0))),
        "watchlist rows": (len(watchlist), int(dispositions.get("watchlist", 0))),
    }
    for what, (found, expected) in pairs.items():
        if found != expected:
            raise RefusedError(f"lists not published, counts do not balance: {what}: {found:,} against {expected:,}")
    gates = watchlist["gate"].value_counts().sort_index()
    return {
        "pairs": len(scores),
        "owned": int(statuses.get("owned", 0)),
        "not_owned": not_owned,
        "not_eligible": int(statuses.get("not_eligible", 0)),
        "dispositions": {str(name): int(n) for name, n in dispositions.items()},
        "watchlist_by_gate": {str(name): int(n) for name, n in gates.items()},
        "listed_without_owner": int(worklist["owner_id"].isna().sum()),
    }


def _write_parts(folder: Path, parts: Iterable[tuple[Any, pd.DataFrame]]) -> None:
    folder.mkdir()
    for key, rows in parts:
        write_parquet(rows, folder / f"{key}.parquet")
        write_people_csv(rows, folder / f"{key}.csv")
