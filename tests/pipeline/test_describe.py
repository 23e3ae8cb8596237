"""`affinity features --explain COLUMN` on the demo company."""

from __future__ import annotations

import json

import pytest
from rich.console import Console

from product_affinity.errors import UsageError
from product_affinity.pipeline.describe import describe_column
from tests.pipeline.conftest import UNTIL, silent


def _shown(report) -> str:
    console = Console(width=200, record=True, file=None, quiet=False)
    with console.capture() as capture:
        console.print(report.render())
    return capture.get()


@pytest.mark.parametrize("name", ["usage_seats_used_share", "anchor_quadrant", "commercial_affinity_max"])
def test_a_column_is_explained_to_people_and_to_machines(demo, name):
    report = describe_column(demo.project, UNTIL, name, progress=silent, jobs=1)
    told = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert told["column"] == name
    assert 0 < told["overall"]["coverage"] <= 1
    assert sum(spread["rows"] for spread in told["by_segment"].values()) == told["overall"]["rows"]
    shown = _shown(report)
    for words in (name, told["unit"], told["missing"], told["definition"], f"values as of {UNTIL}", "smb"):
        assert words in shown


def test_a_typo_is_told_before_anything_is_computed(demo):
    with pytest.raises(UsageError, match="did you mean anchor_quadrant"):
        describe_column(demo.project, UNTIL, "anchor_quadrent", progress=lambda _: pytest.fail("computed"), jobs=1)
