"""Ranked account lists: built, written safely, published whole or not at all."""

from __future__ import annotations

from product_affinity.lists.changes import find_gone
from product_affinity.lists.content import ListContent
from product_affinity.lists.previous import PublishedList, latest_before, published_before
from product_affinity.lists.publish import publish_lists, verify_list
from product_affinity.lists.track import build_track_record
from product_affinity.lists.worklist import build_in_flight, build_watchlist, build_worklist, owner_key

__all__ = [
    "ListContent",
    "PublishedList",
    "build_in_flight",
    "build_track_record",
    "build_watchlist",
    "build_worklist",
    "find_gone",
    "latest_before",
    "owner_key",
    "publish_lists",
    "published_before",
    "verify_list",
]
