"""Names and shapes others rely on: source tables and the columns of what is published."""

from __future__ import annotations

from product_affinity.schema.tables import KNOWN_AT, TABLES, Column, Table

__all__ = ["KNOWN_AT", "TABLES", "Column", "Table"]
