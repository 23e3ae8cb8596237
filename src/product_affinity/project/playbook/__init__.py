"""The motion as data: what `playbook/` says, read strictly. One module a file."""

from __future__ import annotations

from product_affinity.project.playbook.gates import DO_NOT_CONTACT, IN_FLIGHT, Condition, Gate, load_gates

__all__ = ["DO_NOT_CONTACT", "IN_FLIGHT", "Condition", "Gate", "load_gates"]
