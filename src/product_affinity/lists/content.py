"""What one night's files are made of."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pandas as pd

from product_affinity.lists.changes import WHY, why_not_listed
from product_affinity.lists.track import EVERYBODY
from product_affinity.lists.worklist import UNASSIGNED, owner_key


@dataclass(frozen=True)
class ListContent:
    """Everything the files of a list show.

    Attributes
    ----------
    as_of : date of the list.
    scores : every account × product with `SCORE_COLUMNS`.
    plays : from `build_worklist`.
    watchlist : from `build_watchlist`.
    in_flight : from `build_in_flight`.
    gone : from `find_gone`.
    track : from `build_track_record`.
    decided : status, disposition and owner_id of every scored pair: an owner's empty list explains itself.
    campaign : plays of the digital campaign, or None where there are none.
    net_new : pairs sold like new business, for a sales export, or None.
    draws : the hold-back's arms, for the file only measurers may read, or None.
    gate_titles : words for the codes of gates.
    company, currency, horizon_days, model_version, trained_as_of : what the read-me says.
    ranked_by : what every reader must know of who ranked the list; empty where a champion did.
    freshness : per source table, how new it is, in words.
    problem_text_in_crm : whether CRM files may carry the problem's statement.
    """

    as_of: dt.date
    scores: pd.DataFrame
    plays: pd.DataFrame
    watchlist: pd.DataFrame
    in_flight: pd.DataFrame
    gone: pd.DataFrame
    track: pd.DataFrame
    decided: pd.DataFrame
    campaign: pd.DataFrame | None = None
    net_new: pd.DataFrame | None = None
    draws: pd.DataFrame | None = None
    gate_titles: Mapping[str, str] = field(default_factory=dict)
    company: str = ""
    currency: str = "USD"
    horizon_days: int = 90
    model_version: str = ""
    trained_as_of: str = ""
    ranked_by: str = ""
    freshness: tuple[tuple[str, str], ...] = ()
    problem_text_in_crm: bool = False

    def emptiness(self) -> str:
        """Say in one sentence why no play is listed; empty where there are plays."""
        if len(self.plays):
            return ""
        return "No play is listed today: " + "; ".join(why_not_listed(self.decided)) + "."

    def gate_words(self, code: str) -> str:
        """Return a gate's code with its title where it is known."""
        return f"{code} {self.gate_titles[code]}" if code in self.gate_titles else code


@dataclass(frozen=True)
class OwnerContent:
    """One owner's part.

    Attributes
    ----------
    key : the owner's file key.
    name : what the owner is called.
    content : the owner's rows.
    """

    key: str
    name: str
    content: ListContent

    @property
    def is_person(self) -> bool:
        """Whether somebody owns the rows: only then are contacts named."""
        return self.key != UNASSIGNED


def by_owner(content: ListContent) -> list[OwnerContent]:
    """Split the content by owner, sorted by key; whoever had or has anything to read gets a part."""
    parts = {name: _split(getattr(content, name)) for name in ("plays", "watchlist", "in_flight", "gone", "decided")}
    names = owner_names(content)
    keys = sorted(set().union(*(parts[name] for name in ("plays", "watchlist", "in_flight", "gone"))))
    found = []
    for key in keys:
        frames = {name: split.get(key, getattr(content, name).iloc[:0]) for name, split in parts.items()}
        track = content.track[content.track["owner_key"].isin([EVERYBODY, key])]
        found.append(OwnerContent(key, names.get(key, key), replace(content, **frames, track=track)))
    return found


def owner_names(content: ListContent) -> dict[str, str]:
    """Return what each owner is called, by file key."""
    names = {UNASSIGNED: "nobody"}
    for frame in (content.gone, content.in_flight, content.watchlist, content.plays):
        known = frame[["owner_id", "owner_name"]].dropna().drop_duplicates("owner_id")
        names |= {owner_key(owner): str(name) for owner, name in known.itertuples(index=False)}
    return names


def published_dispositions(scores: pd.DataFrame) -> dict[str, int]:
    """Count dispositions in the words of `WHY`, most frequent first; listed pairs are not among them."""
    found = scores["disposition"].dropna().replace({"held_back": "not_proposed", "beyond_capacity": "not_proposed"})
    return {WHY[str(name)]: int(n) for name, n in found.value_counts().items() if name in WHY}


def _split(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    keys = frame["owner_id"].map({owner: owner_key(owner) for owner in frame["owner_id"].dropna().unique()})
    return {str(key): rows for key, rows in frame.groupby(keys.fillna(UNASSIGNED).astype("str"), sort=True)}
