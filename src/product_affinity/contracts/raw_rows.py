"""What a source delivers for one of our tables, as far as a contract needs to know it.

Sources and contracts do not import each other: this is the shape they meet in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class RawRows(Protocol):
    """Rows as a source has them: untyped, under the source's column names, numbered by `_row` from 1."""

    @property
    def name(self) -> str:
        """Our name of the table."""

    @property
    def origin(self) -> str:
        """The file or query the rows come from."""

    @property
    def relation(self) -> str:
        """SQL relation of `_row` and the raw columns."""

    @property
    def columns(self) -> Mapping[str, str]:
        """Our column name to the raw column name."""

    @property
    def types(self) -> Mapping[str, str]:
        """Raw column name to the engine's type."""

    @property
    def numbered(self) -> bool:
        """Whether `_row` is the row's number in the source."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What should be known of the rows that were chosen."""
