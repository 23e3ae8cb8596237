"""What the read-me sheet of a workbook says."""

from __future__ import annotations

from collections.abc import Sequence

from product_affinity.lists.changes import count_changes
from product_affinity.lists.content import ListContent
from product_affinity.lists.sheets import Column
from product_affinity.schema.tables import OUTCOME_STATUSES

_STATUS_WORDS = {
    "accepted": "you will work it",
    "not_now": "not now; it comes back later, or on the date you give",
    "not_a_fit": "this product does not suit them; it stays away for a year",
    "contacted": "you reached out",
    "meeting": "a meeting is agreed",
    "won": "they bought",
    "lost": "they decided against it",
}


def readme_rows(
    content: ListContent, title: str, columns: Sequence[Column], watchlist_rows: int
) -> list[tuple[str, str]]:
    """Return the read-me as label and text; a label without text is a heading."""
    return [
        (f"{title}, as of {content.as_of}", ""),
        *_about(content),
        *_counts(content, watchlist_rows),
        ("", ""),
        ("How to read a chance", ""),
        *_chance(content),
        ("", ""),
        ("Columns", ""),
        *((column.header, column.meaning) for column in columns if column.meaning),
        ("Empty cell", "Not known."),
        ("", ""),
        ("How to give feedback", ""),
        *_feedback(),
        *(("", ""), ("How new the data is", "")) * bool(content.freshness),
        *content.freshness,
    ]


def _about(content: ListContent) -> list[tuple[str, str]]:
    trained = f", trained on what was known on {content.trained_as_of}" if content.trained_as_of else ""
    known = [
        ("Company", content.company),
        ("As of", f"{content.as_of}: what was known before the start of that day."),
        ("Ranked by", f"{content.ranked_by.removeprefix('ranked by ')}." if content.ranked_by else ""),
        ("Model", f"version {content.model_version}{trained}" if content.model_version else ""),
    ]
    return [(label, text) for label, text in known if text]


def _counts(content: ListContent, watchlist_rows: int) -> list[tuple[str, str]]:
    changes = count_changes(content.plays, content.gone)
    held = len(content.watchlist)
    cut = f"; the {watchlist_rows:,} most valuable are shown, watchlist.csv has all" if held > watchlist_rows else ""
    unowned = int(content.plays["owner_id"].isna().sum())
    rows = [
        (
            "Worklist",
            content.emptiness()
            or f"{len(content.plays):,} plays: {changes['new']:,} new, {changes['up']:,} up, {changes['down']:,} down, "
            f"{changes['same']:,} as before"
            + (f"; {unowned:,} have no owner and wait in the file _unassigned." if unowned else "."),
        ),
        ("In flight", f"{len(content.in_flight):,} in work already; they keep their slot."),
        ("Why not", f"{held:,} blocked by a gate, each with what would open it{cut}."),
        ("Gone", f"{changes['gone']:,} of the last list that are not on this one, each with why."),
    ]
    if content.track.empty:
        rows.append(("Track record", "No list is 30 days old yet."))
    return rows


def _chance(content: ListContent) -> list[tuple[str, str]]:
    return [
        (
            "12 %",
            f"is a chance of buying: of 100 such rows about 12 buy within {content.horizon_days} days. "
            "It is not readiness, and it is no promise about one account.",
        ),
        ("Rank", "goes by worth: chance × ARR if bought − what a play costs."),
        ("Why", "tells what the model weighs, compared with the average customer. It is not a cause."),
    ]


def _feedback() -> list[tuple[str, str]]:
    statuses = "; ".join(f"{name}: {_STATUS_WORDS[name]}" for name in OUTCOME_STATUSES)
    return [
        ("Fill in", "the three yellow columns of Worklist and In flight, save, and hand the file back."),
        ("Status", statuses + "."),
        ("Keep", "the hidden columns: by them a row finds its play again. Sorting and filtering do no harm."),
        ("Stays", "What you reported is shown again as long as the play is open."),
    ]
