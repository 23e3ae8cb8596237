from __future__ import annotations

from pathlib import Path

import pytest

from product_affinity.errors import UsageError
from product_affinity.project import load_project
from product_affinity.reports.reference import AffinityReference, load_affinity_reference
from tests.company import catalog

PRODUCTS = catalog("base", "crm")


def load(folder: Path, text: str) -> AffinityReference:
    (folder / "affinity.yml").write_text(text, encoding="utf-8")
    return load_affinity_reference(folder, PRODUCTS)


def test_an_absent_file_knows_nothing(tmp_path):
    assert load_affinity_reference(tmp_path, PRODUCTS) == AffinityReference()


def test_a_product_we_do_not_sell_is_declared(tmp_path):
    row = "reference: [{owned: base, target: other, conversion_rate: 0.4}]\n"
    assert load(tmp_path, row + "not_sold: [other]").reference[0].target == "other"
    with pytest.raises(UsageError, match=r"reference\.0\.target: other is neither in the catalogue nor in not_sold"):
        load(tmp_path, row)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("reference: [{owned: base, target: crn, conversion_rate: 0.4}]", r"crn is neither .* \(did you mean crm\?\)"),
        ("reference: [{owned: base, target: crm, conversion_rat: 0.4}]", r"did you mean conversion_rate\?"),
        ("reference: [{owned: base, target: crm, conversion_rate: 35}]", r"conversion_rate: .* \(found 35\)"),
        ("attach_bands: {primary: {low: 0.5, high: 0.2}}", "low 0.5 lies above high 0.2"),
        ("attach_bands: {primry: {low: 0.1, high: 0.2}}", "primary"),
        ("adjacency: {icp_overlap: 1}", r"did you mean icp_overlap_above\?"),
        (
            "reference:\n" + "  - {owned: base, target: crm, conversion_rate: 0.4}\n" * 2,
            r"reference.1: base → crm is given twice",
        ),
    ],
)
def test_a_typo_stops_with_file_key_and_closest_match(tmp_path, text, message):
    with pytest.raises(UsageError, match=message) as raised:
        load(tmp_path, text)
    assert str(raised.value).startswith("playbook/affinity.yml: ")


def test_the_shipped_file_holds_the_rates_of_the_field():
    root = Path(__file__).parents[2]
    shipped = load_affinity_reference(root / "playbook", load_project(root).catalog)
    rows = {(row.owned, row.target): (row.conversion_rate, row.days_to_close) for row in shipped.reference}
    assert rows == {
        ("email_marketing", "marketing_automation"): (0.35, 45),
        ("marketing_automation", "customer_data_platform"): (0.28, 60),
        ("sales_crm", "sales_intelligence"): (0.42, 30),
        ("support_desk", "knowledge_base"): (0.38, 30),
        ("analytics", "data_warehouse"): (0.25, 90),
    }
    assert set(shipped.attach_bands) == {"primary", "problem_first", "specialist"}
