"""`playbook/gates.yml` and `playbook/readiness.yml`: what ships, what is refused and what an absent file means."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from product_affinity.errors import UsageError
from product_affinity.project.playbook.conditions import check_template
from product_affinity.project.playbook.evidence_columns import EVIDENCE_COLUMNS
from product_affinity.project.playbook.gates import Gates, load_gate_rules
from product_affinity.project.playbook.readiness import Definitions, ReadinessSpec, load_readiness

ROOT = Path(__file__).parents[2]
PRODUCTS = ("sales_crm", "analytics")
LOADERS = {"gates.yml": load_gate_rules, "readiness.yml": load_readiness}


@pytest.fixture
def playbook(tmp_path):
    for name in LOADERS:
        shutil.copy(ROOT / "playbook" / name, tmp_path / name)
    return tmp_path


def test_an_absent_file_asks_nothing(tmp_path):
    assert load_gate_rules(tmp_path, PRODUCTS) == Gates()
    assert load_readiness(tmp_path, PRODUCTS) == ReadinessSpec()


def test_the_shipped_definitions_are_the_defaults_and_points_make_a_hundred(playbook):
    spec = load_readiness(playbook, PRODUCTS)
    assert spec.definitions == Definitions()
    assert sum(criterion.points for criterion in spec.scorecard.criteria) == 100
    assert (spec.scorecard.qualified_above, spec.scorecard.waived_by_request) == (60, True)


G, R = "gates.yml", "readiness.yml"
FAULTS = [
    (
        G,
        "column: open_urgent,",
        "column: open_urgents,",
        r"safety\.0.*open_urgents is no column.*did you mean open_urgent",
    ),
    (
        G,
        "blocks_when:\n      - {column: open_u",
        "block_when:\n      - {column: open_u",
        r"block_when: unknown key .did you mean blocks_when",
    ),
    (G, "above: 0}", "abov: 0}", r"abov: unknown key .did you mean above"),
    (G, "code: G03", "code: G02", r"code G02 is used twice"),
    (G, "code: G03", "code: G01", r"code G01 is used twice or reserved"),
    (G, "code: G03", "code: R03", r"code: String should match"),
    (G, "{open_urgent} open", "{open_urgnt} open", r"\{open_urgnt\} is unknown .did you mean open_urgent"),
    (G, "{open_urgent:ticket|tickets}", "{open_urgent:ticket}", r"no number format such as"),
    (G, "rule_set: motion, bound: 6", "rule_set: motions, bound: 6", r"rule_set: Input should be"),
    (G, "at_most: 30}", "at_most: 30, above: 3}", r"exactly one of above, at_least, below, at_most and one_of"),
    (G, "one_of: [problem_first]", "above: 3", r"quadrant is no number: use one_of"),
    (G, "at_most: 30}", "one_of: [a]}", r"escalated_days_ago is a number: compare"),
    (
        G,
        "at_most: 30}",
        "at_most: 30, overrides: [{product: analytic, bound: 3}]}",
        r"G03\.blocks_when\.overrides: analytic is not in the catalogue .did you mean analytics",
    ),
    (G, "at_most: 30}", "at_most: 30, overrides: [{bound: 3}]}", r"give segment, product or rule_set"),
    (G, "{column: escalated_days_ago, at", "{at", r"give either a column or a clock"),
    (R, "points: 20", "points: 25", r"the points add up to 105, not to 100"),
    (R, "rule_set: motion, tier", "rule_set: motion, teir", r"choose\.0\.teir: unknown key .did you mean tier"),
    (R, "advisory: [R05]", "advisory: [R55]", r"choose: advisory R55 is no criterion .did you mean R15"),
    (
        R,
        "{rule_set: playbook, advisory: [R05]}",
        "{rule_set: playbook, tier: [3]}",
        r"the last entry must hold for every row",
    ),
    (R, "nps_days: 365", "nps_day: 365", r"definitions\.nps_day: unknown key .did you mean nps_days"),
    (R, "code: R12", "code: R11", r"code R11 is used twice"),
    (
        R,
        "clock: first_purchase, above: 9",
        "clock: first_purchse, above: 9",
        r"clock\.0: Input should be 'first_purchase'",
    ),
    (
        R,
        "needs: [{column: milestones",
        "needs_all: [{column: milestones",
        r"needs_all: unknown key .did you mean needs",
    ),
    (
        R,
        "is_need: true\n      needs: [{column: problems",
        "is_need: true\n      needs_any: [{column: milestones, above: 1}]\n      needs: [{column: problems",
        r"either needs .* or needs_any",
    ),
    (
        R,
        "above: 9}",
        "above: 9, overrides: [{product: crm, bound: 12}]}",
        r"R12\.needs\.overrides: crm is not in the catalogue .did you mean sales_crm",
    ),
]


@pytest.mark.parametrize(("file", "old", "new", "message"), FAULTS)
def test_a_fault_names_file_key_and_closest_match(playbook, file, old, new, message):
    path = playbook / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UsageError, match=message) as caught:
        LOADERS[file](playbook, PRODUCTS)
    assert all(line.startswith(f"playbook/{file}: ") for line in str(caught.value).splitlines())


def test_thresholds_may_differ_per_segment_and_product(playbook):
    path = playbook / R
    override = "above: 9, overrides: [{segment: enterprise, product: analytics, bound: 12}]}"
    path.write_text(path.read_text("utf-8").replace("above: 9}", override), encoding="utf-8")
    condition = load_readiness(playbook, PRODUCTS).motion.criteria[1].needs[0]
    assert (condition.bound, condition.overrides[0].bound) == (9, 12)


@pytest.mark.parametrize("text", ["{", "a } b", "{Bound}", "{bound!r}", "{tenure_months.x}", "{0}", "{{bound}}"])
def test_templates_hold_nothing_but_placeholders(text):
    with pytest.raises(ValueError, match=r"brace|unknown"):
        check_template(text)


def test_the_guide_tells_every_column_code_and_definition():
    guide = (ROOT / "docs" / "readiness.md").read_text("utf-8")
    gates, spec = load_gate_rules(ROOT / "playbook", ()), load_readiness(ROOT / "playbook", ())
    codes = [q.code for q in (*gates.safety, *gates.decline, *spec.criteria)]
    for name in (*EVIDENCE_COLUMNS, *codes, *Definitions.model_fields):
        assert re.search(rf"\b{name}\b", guide), name
