"""All benchmarks of the classifier: ``python -m benchmarks.classifier`` (well over an hour)."""

from __future__ import annotations

from benchmarks import demo_pairs, new_products, pairs, single_tables, speed, which_next


def main() -> None:
    """Print every table, the quick ones first."""
    which_next.main()
    speed.main()
    single_tables.main(tables=4)
    pairs.main()
    demo_pairs.main()
    new_products.main()


if __name__ == "__main__":
    main()
