"""`python -m product_affinity` is the `affinity` command."""

from __future__ import annotations

from product_affinity.cli import main

if __name__ == "__main__":
    main()
