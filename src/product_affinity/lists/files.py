"""The files of one list, and the counts that prove nothing disappeared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from product_affinity.errors import RefusedError
from product_affinity.lists.changes import count_changes
from product_affinity.lists.content import ListContent, by_owner
from product_affinity.lists.crm import crm_counts, write_crm_files
from product_affinity.lists.digest import digest_lines
from product_affinity.lists.privacy import mark_plays
from product_affinity.lists.workbook import write_owner_workbook, write_team_workbook
from product_affinity.lists.worklist import IN_FLIGHT_COLUMNS, file_key, owner_key
from product_affinity.lists.writers import write_parquet, write_parts, write_people_csv
from product_affinity.schema.lists import DISPOSITIONS, WATCHLIST_COLUMNS, WORKLIST_COLUMNS

MEASUREMENT = "measurement.parquet"


def write_list_files(folder: Path, content: ListContent, provenance: Mapping[str, object]) -> dict[str, object]:
    """Write a list's files into `folder` and return its manifest, without checksums.

    Parameters
    ----------
    folder : an empty folder.
    content : what the night found.
    provenance : inputs, fingerprints and model version for the manifest.

    Raises
    ------
    RefusedError : the counts do not balance: a pair would have disappeared.
    """
    counts = balance(content)
    worklist = content.plays[list(WORKLIST_COLUMNS)]
    marked = mark_plays(content.plays)[list(WORKLIST_COLUMNS)]
    _write_tables(folder, content, worklist, marked)
    keys = worklist["owner_id"].map(owner_key, na_action=None)
    by_value = worklist.sort_values(["value_usd", "account_id"], ascending=[False, True], kind="stable")
    by_value["rank"] = by_value.groupby("product_id").cumcount() + 1
    write_parts(worklist, keys, folder / "owners", marked)
    by_product = marked.loc[by_value.index].assign(rank=by_value["rank"])
    write_parts(by_value, by_value["product_id"].map(file_key), folder / "products", by_product)
    write_team_workbook(folder / "worklist.xlsx", content)
    owners = by_owner(content)
    for part in owners:
        write_owner_workbook(folder / "owners" / f"{part.key}.xlsx", part)
    crm = write_crm_files(folder / "crm", content.plays, content.gone, problem_text=content.problem_text_in_crm)
    (folder / "digest.md").write_text("\n".join(digest_lines(content)) + "\n", "utf-8")
    return {**provenance, "counts": {**counts, **crm_counts(crm)}, "owners": len(owners)}


def balance(content: ListContent) -> dict[str, object]:
    """Count every pair once and check that nothing disappeared.

    ``pairs = owned + not owned`` and ``not owned = not eligible + Σ dispositions``; the lists hold as many rows
    as the scores say, and every pair held back was drawn.

    Raises
    ------
    RefusedError : a count does not add up; the message shows both sides.
    """
    scores = content.scores
    statuses = scores["status"].value_counts()
    dispositions = {name: int(scores["disposition"].eq(name).sum()) for name in DISPOSITIONS}
    not_owned = int(len(scores) - statuses.get("owned", 0))
    not_eligible = int(statuses.get("not_eligible", 0))
    pairs = {
        "pairs without a disposition": (not_owned, not_eligible + sum(dispositions.values())),
        "worklist rows": (len(content.plays), dispositions["listed"]),
        "watchlist rows": (len(content.watchlist), dispositions["watchlist"]),
        "in-flight rows": (len(content.in_flight), dispositions["in_flight"]),
        "pairs drawn to be held back": (_drawn(content), dispositions["held_back"]),
    }
    if content.campaign is not None:
        pairs["campaign rows"] = (len(content.campaign), dispositions["campaign"])
    if content.net_new is not None:
        pairs["net-new rows"] = (len(content.net_new), dispositions["net_new"])
    for what, (found, expected) in pairs.items():
        if found != expected:
            raise RefusedError(f"lists not published, counts do not balance: {what}: {found:,} against {expected:,}")
    gates = content.watchlist["gate"].value_counts().sort_index()
    return {
        "pairs": len(scores),
        "owned": int(statuses.get("owned", 0)),
        "not_owned": not_owned,
        "not_eligible": not_eligible,
        "dispositions": dispositions,
        "watchlist_by_gate": {str(name): int(n) for name, n in gates.items()},
        "changes": count_changes(content.plays, content.gone),
        "listed_without_owner": int(content.plays["owner_id"].isna().sum()),
    }


def _drawn(content: ListContent) -> int:
    """Count the held-back pairs for which the log of draws has that arm."""
    keys = ["account_id", "product_id"]
    held = content.scores.loc[content.scores["disposition"].eq("held_back"), keys]
    if content.draws is None:
        return 0
    drawn = content.draws.loc[content.draws["arm"].eq("held_back"), keys]
    return len(held.merge(drawn.drop_duplicates(), on=keys, validate="1:1"))


def _write_tables(folder: Path, content: ListContent, worklist: pd.DataFrame, marked: pd.DataFrame) -> None:
    write_parquet(content.scores, folder / "scores.parquet")
    write_parquet(worklist, folder / "worklist.parquet")
    write_people_csv(_or_why(marked, content), folder / "worklist.csv")
    write_parquet(content.watchlist[list(WATCHLIST_COLUMNS)], folder / "watchlist.parquet")
    write_people_csv(content.watchlist, folder / "watchlist.csv")
    write_parquet(content.in_flight[list(IN_FLIGHT_COLUMNS)], folder / "in_flight.parquet")
    write_parquet(content.gone, folder / "gone.parquet")
    write_people_csv(content.gone, folder / "gone.csv")
    if content.campaign is not None:
        campaign = content.campaign[list(WORKLIST_COLUMNS)]
        write_parquet(campaign, folder / "campaign.parquet")
        write_people_csv(mark_plays(content.campaign)[list(WORKLIST_COLUMNS)], folder / "campaign.csv")
    if content.net_new is not None:
        write_people_csv(content.net_new, folder / "net_new.csv")
    if content.draws is not None:
        path = folder / MEASUREMENT
        path.touch(mode=0o600)
        write_parquet(content.draws, path)


def _or_why(worklist: pd.DataFrame, content: ListContent) -> pd.DataFrame:
    """Return the worklist, or one row that explains to a reader why it is empty."""
    if not content.emptiness():
        return worklist
    return pd.DataFrame({"next_step": [content.emptiness()]}).reindex(columns=list(WORKLIST_COLUMNS))
