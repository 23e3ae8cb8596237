"""Ranked account lists: built, written safely, published whole or not at all."""

from __future__ import annotations

from product_affinity.lists.previous import PublishedList, latest_before
from product_affinity.lists.publish import publish_lists, verify_list
from product_affinity.lists.worklist import build_watchlist, build_worklist, owner_key

__all__ = [
    "PublishedList",
    "build_watchlist",
    "build_worklist",
    "latest_before",
    "owner_key",
    "publish_lists",
    "verify_list",
]
