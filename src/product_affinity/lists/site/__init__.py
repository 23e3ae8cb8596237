"""The web page of a list: one static file for all and one an owner, readable offline."""

from __future__ import annotations

from product_affinity.lists.site.data import ACCOUNT_TABLES, PRODUCT_TABLES, SiteData, SiteHead
from product_affinity.lists.site.page import write_site

__all__ = ["ACCOUNT_TABLES", "PRODUCT_TABLES", "SiteData", "SiteHead", "write_site"]
