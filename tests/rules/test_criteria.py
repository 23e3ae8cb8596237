from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from product_affinity.project.playbook import Gate
from product_affinity.rules import answer_gate

NAN = np.nan


def gate(*conditions):
    return Gate(
        code="G05",
        title="renewal at risk",
        table="health",
        blocks_when=conditions,
        evidence="{value:.0f}",
        unblocked_by="time",
    )


@pytest.mark.parametrize(
    ("bound", "blocks"),
    [
        ({"above": 2}, [False, False, True]),
        ({"at_least": 2}, [False, True, True]),
        ({"below": 2}, [True, False, False]),
        ({"at_most": 2}, [True, True, False]),
    ],
)
def test_bounds_below_at_and_above(bound, blocks):
    answers = answer_gate(gate({"column": "x", **bound}), pd.DataFrame({"x": [1.0, 2.0, 3.0]}))
    assert answers.fails.tolist() == blocks
    assert not answers.unknown.any()


def test_a_missing_value_is_unknown_unless_another_condition_lets_the_row_pass():
    rows = pd.DataFrame({"x": [1.0, NAN, NAN, NAN, 1.0], "y": [1.0, 1.0, 9.0, NAN, NAN]})
    answers = answer_gate(gate({"column": "x", "at_most": 5}, {"column": "y", "at_most": 5}), rows)
    assert answers.fails.tolist() == [True, False, False, False, False]
    assert answers.unknown.tolist() == [False, True, False, True, True]


def test_exactly_one_bound():
    with pytest.raises(ValidationError, match="exactly one of"):
        gate({"column": "x", "above": 1, "below": 2})
