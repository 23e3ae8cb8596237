"""Contracts: what a source table must satisfy, and the checked facts that come of it."""

from __future__ import annotations

from product_affinity.contracts.report import TableReport, Violation

__all__ = ["TableReport", "Violation"]
