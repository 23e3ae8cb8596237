from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from product_affinity.errors import UsageError
from product_affinity.project.playbook.routing import Routing, load_routing
from product_affinity.project.playbook.sequencing import Sequencing, load_sequencing
from product_affinity.project.playbook.thresholds import Threshold

PLAYBOOK = Path(__file__).parents[2] / "playbook"
PRODUCTS = ("crm", "mail")


def written(folder, name, text):
    (folder / f"{name}.yml").write_text(text, encoding="utf-8")
    return folder


def test_the_shipped_files_hold_the_defaults_of_the_field():
    spec = load_sequencing(PLAYBOOK, PRODUCTS)
    days = {name: getattr(spec, f"{name}_days").bound for name in ("not_now", "not_a_fit", "lost", "contacted", "gap")}
    assert days == {"not_now": 90, "not_a_fit": 365, "lost": 180, "contacted": 30, "gap": 45}
    assert (spec.upsell_first_from.bound, spec.upsell_waits_to.bound, spec.limit_days) == (0.85, 0.6, 28)
    assert (spec.campaign_tiers, spec.quarter_plan.tiers) == ((3,), (1,))
    routing = load_routing(PLAYBOOK, PRODUCTS)
    assert routing.specialist_quadrants == ("specialist",)
    both = pd.Series(["smb", "enterprise"])
    hand_off = routing.hand_off_above_usd.per_row(both, pd.Series(["crm", "crm"]))
    # the field's range is $10,000 to $25,000
    assert hand_off.tolist() == [10_000, 25_000]


def test_without_files_nothing_is_asked(tmp_path):
    assert load_sequencing(tmp_path, PRODUCTS) == Sequencing()
    assert load_routing(tmp_path, PRODUCTS) == Routing()
    asked = [name for name, value in Sequencing() if isinstance(value, Threshold) and value.bound]
    assert asked == []


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("sequencing", "gap_day: 45", "playbook/sequencing.yml: gap_day: unknown key (did you mean gap_days?)"),
        ("sequencing", "gap_days: -1", "-1 is no bound of 0 or more"),
        ("sequencing", "upsell_first_from: .nan", "nan is no bound"),
        (
            "sequencing",
            "gap_days: {bound: 45, overrides: [{product: crn, bound: 1}]}",
            "gap_days.overrides: crn is not in the catalogue (did you mean crm?)",
        ),
        ("sequencing", "gap_days: {bound: 45, overrides: [{bound: 1}]}", "give segment or product"),
        ("sequencing", "{upsell_waits_to: 0.9, upsell_first_from: 0.8}", "upsell_waits_to: 0.9 lies above"),
        ("sequencing", "new_triggers: [problems]", "problems is none of problem, usage, event"),
        ("sequencing", "quarter_plan: {adoption_months: 13}", "ends before adoption_months does"),
        ("routing", "ae_play: 3", "playbook/routing.yml: ae_play: unknown key (did you mean ae_plays?)"),
        ("routing", "specialist_quadrants: [special]", "specialist_quadrants.0"),
        ("routing", "plays_per_implementation_slot: 0", "plays_per_implementation_slot"),
        (
            "routing",
            "hand_off_above_usd: {bound: 1, overrides: [{product: male, bound: 1}]}",
            "hand_off_above_usd.overrides: male is not in the catalogue (did you mean mail?)",
        ),
    ],
)
def test_a_fault_names_file_key_and_closest_match(tmp_path, name, text, message):
    load = {"sequencing": load_sequencing, "routing": load_routing}[name]
    with pytest.raises(UsageError) as error:
        load(written(tmp_path, name, text), PRODUCTS)
    assert message in str(error.value)
    assert f"playbook/{name}.yml" in str(error.value)


def test_the_last_override_that_matches_counts():
    overrides = [
        {"segment": "smb", "bound": 30},
        {"product": "crm", "bound": 20},
        {"segment": "smb", "product": "crm", "bound": None},
    ]
    gap = Threshold.model_validate({"bound": 45, "overrides": overrides})
    segments = pd.Series(["smb", "enterprise", "smb", None, None], dtype="str")
    products = pd.Series(["mail", "crm", "crm", "mail", "crm"], dtype="str")
    found = gap.per_row(segments, products)
    np.testing.assert_array_equal(found, [30, 20, np.nan, 45, 20])
