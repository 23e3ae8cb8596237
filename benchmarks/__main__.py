"""``python -m benchmarks``: every benchmark, one after the other."""

from __future__ import annotations

from benchmarks import classifier

if __name__ == "__main__":
    classifier.main()
