"""One whole night of hand-made rows whose counts balance."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pandas as pd

from product_affinity.lists import ListContent, PublishedList, build_in_flight, build_watchlist, find_gone
from product_affinity.lists.privacy import protect_plays
from product_affinity.lists.track import TRACK_COLUMNS
from product_affinity.schema.lists import WORKLIST_COLUMNS
from tests.plays import AS_OF, in_flight, plays, watchlist

YESTERDAY = AS_OF - dt.timedelta(days=1)
KEYS = ["account_id", "product_id"]


def scored(frame, disposition, gate=None, status="white_space"):
    """Score rows for the pairs of a frame."""
    return frame[KEYS].assign(
        status=pd.Series(status, index=frame.index, dtype="str"),
        disposition=pd.Series(disposition, index=frame.index, dtype="str"),
        first_gate=pd.Series(gate, index=frame.index, dtype="str"),
    )


def others(disposition, n, *, status="white_space", prefix="X"):
    """Score rows of further accounts that no list shows."""
    frame = pd.DataFrame({"account_id": [f"{prefix}{k}" for k in range(n)], "product_id": "analytics"})
    return scored(frame, disposition, status=status)


def published(frame, day=YESTERDAY, flying=None):
    """The list of an earlier day with these plays."""
    return PublishedList(day, frame[list(WORKLIST_COLUMNS)], flying)


def track():
    rows = [
        ("", pd.Timestamp("2026-03-30"), 90, 24, 5.4, 2.1, 8.7, 6, 9, pd.Timestamp("2026-06-28"), "complete"),
        ("U-001", pd.Timestamp("2026-03-30"), 90, 10, 2.4, 0.1, 4.7, 2, 4, pd.Timestamp("2026-06-28"), "complete"),
        ("", pd.Timestamp("2026-05-31"), 90, 20, 4.0, 1.1, 6.9, 1, 2, pd.Timestamp("2026-08-29"), "open"),
    ]
    return pd.DataFrame(rows, columns=list(TRACK_COLUMNS))


def night(n=12, *, held=8, flying=3, previous=None, draws=None, extra=(), **changes):
    """Content with `n` plays, `held` watched and `flying` pairs; `extra` score rows; `changes` of plays."""
    listed = protect_plays(plays(n, **changes))
    watched = build_watchlist(watchlist(held).rename(columns={"gate": "first_gate"}))
    scores = pd.concat(
        [
            scored(listed, "listed"),
            scored(watched, "watchlist", watched["gate"]),
            scored(in_flight(flying), "in_flight", status="in_pipeline"),
            others(None, 5, status="owned", prefix="O"),
            *extra,
        ],
        ignore_index=True,
    )
    work = build_in_flight(in_flight(flying), previous, AS_OF)
    owners = pd.concat([listed, watched, work])[[*KEYS, "owner_id"]]
    return ListContent(
        as_of=AS_OF,
        scores=scores,
        plays=listed,
        watchlist=watched,
        in_flight=work,
        gone=find_gone(previous, listed, scores, watched),
        track=track(),
        decided=scores[scores["status"].ne("owned")].merge(owners, on=KEYS, how="left"),
        draws=draws,
        gate_titles={"G02": "Open P1/P2 tickets"},
        company="Acme",
        model_version="fbdd9801cd52",
        trained_as_of="2026-06-01",
        freshness=(("usage", "newest row 2026-06-29"),),
    )


def without_track(content):
    return replace(content, track=content.track.iloc[:0])
