"""The command line: parse, call, print. It decides nothing, and it is the only place that reads the clock."""

from __future__ import annotations

from product_affinity.cli.app import main

__all__ = ["main"]
