"""``python -m benchmarks``: every benchmark, one after the other."""

from __future__ import annotations

from benchmarks import classifier, effect, features, motion

if __name__ == "__main__":
    classifier.main()
    features.main()
    motion.main()
    effect.main()
