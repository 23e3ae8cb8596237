"""Sources: where raw tables live, and how their names and columns map to ours.

A source is a folder of Parquet and CSV files (the file's stem is the table's name), a DuckDB file or a PostgreSQL
server. What leaves this package is text and native values exactly as written; the contracts decide what they mean.
"""

from __future__ import annotations

from product_affinity.sources.mapping import SourceTable, load_rows, map_tables
from product_affinity.sources.opening import RawTable, RawTables, open_sources

__all__ = ["RawTable", "RawTables", "SourceTable", "load_rows", "map_tables", "open_sources"]
