"""What an adoption is worth, and how many plays a team can work."""

from __future__ import annotations

from product_affinity.value.capacity import fill_capacity
from product_affinity.value.expected_arr import expected_arr

__all__ = ["expected_arr", "fill_capacity"]
