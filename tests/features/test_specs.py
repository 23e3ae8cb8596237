"""The shipped families, their documentation, and what a typo in one answers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from product_affinity.errors import UsageError
from product_affinity.features import build_features
from product_affinity.project import signals as forms
from product_affinity.project.families import FeatureFamily, feature_columns, load_families
from product_affinity.project.queries import RELATIONS
from tests.company import account, catalog, company, subscription
from tests.features.builders import DESCRIBED, build, family, pairs_of, spine_of

ROOT = Path(__file__).parents[2]
FAMILIES = load_families(ROOT / "features")
COLUMNS = feature_columns(FAMILIES)
DOCS = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")


def write(folder: Path, text: str, name: str = "usage") -> Path:
    (folder / f"{name}.yml").write_text(text, encoding="utf-8")
    return folder


def signal(**changes: object) -> str:
    """A family file with one signal."""
    lines = {"of": "active_users", "ops": "[mean]", "windows": "[28]"} | DESCRIBED | changes
    body = "\n".join(f"    {key}: {text}" for key, text in lines.items() if text is not None)
    return f"family: usage\ngrain: account\nsource: usage\nsignals:\n  users:\n{body}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (signal(ops="[maen]"), "signals.users.ops: unknown operation maen (did you mean mean?)"),
        (signal(window="[28]"), "signals.users.window: unknown key (did you mean windows?)"),
        (signal(windows="[28d]"), "signals.users.windows.0: Input should be a valid integer"),
        (signal(windows="[28d]"), "(found '28d') (did you mean 28?)"),
        (signal(windows="28"), "(did you mean [28]?)"),
        (signal(windows="[0]"), "signals.users.windows.0: Input should be greater than 0"),
        (signal(source="useage"), "signals.users: source: useage is unknown (did you mean usage?)"),
        (
            signal(source="tickets", of="priorty", ops="[distinct]"),
            "signals.users: of: tickets has no column priorty (did you mean priority?)",
        ),
        (signal(source="tickets", of=None, ops="[count]", where="{prority: P1}"), "(did you mean priority?)"),
        (signal(event="dat"), "event: usage has no column dat (did you mean date?)"),
        (signal(direction="upp"), "signals.users.direction: Input should be 'up', 'down' or 'none' (found 'upp') (did"),
        (signal(across="summ"), "(found 'summ') (did you mean sum?)"),
        (signal(reason='"{valeu} users"'), "reason: unknown placeholder {valeu}"),
        (signal(reason='"{value users"'), "reason: "),
        (signal(reason="{men: x}"), "reason: men is none of the operations (did you mean mean?)"),
        (signal(of=None), "operation mean needs `of: <column>`"),
        (signal(ops="[trend]", windows=None), "operation trend needs `windows`"),
        (signal(ops="[age]"), "operation age has no windows"),
        (signal(ops="[slope]", windows="[1]"), "slope needs windows of at least 2 days"),
        (signal(ops="[mean, mean]"), "an operation is named twice"),
        (signal(ops="[change, mean]"), "declare it as a signal of its own"),
        (signal(running="true"), "only `change` takes windows"),
        (signal(running="true", windows=None), "running: usage has no end"),
        (
            signal(match="{product_id: target.solvs}", grain="pair"),
            "match: target.solvs is unknown (did you mean target.solves?)",
        ),
        (signal(match="{product_id: target.solves}"), "match: compares with the target product"),
        (signal(grain="pair", across="sum"), "across: brings rows of owned products to grain: account"),
        (signal(grain="pair", source="surveys", of="score"), "surveys has no product_id; say with `match`"),
        (signal(source="spine", of="segmnt", ops="[last]", windows=None), "(did you mean segment?)"),
        (signal(source="spine", of="segment"), "spine.segment takes ops: [last] and nothing else"),
        (
            signal(where="{events: {abov: 0}}"),
            "features/usage.yml: signals.users.where.events.abov: unknown key (did you mean above?)",
        ),
        (signal(where="{events: {above: x}}"), "signals.users.where.events.above: Input should be a valid number"),
        (signal(where="{events: {}}"), "signals.users.where.events: give above, at_least, below or at_most"),
        (signal(where="{date: 2026-01-01}"), "signals.users.where.date: give a text, a number, true, false or null"),
        (signal(where="{events: [[1]]}"), "signals.users.where.events: give a text, a number, true, false or null"),
        (
            signal(source="opportunities", of=None, ops="[count]", where="{result: losst}"),
            "signals.users: where: result is never losst (did you mean lost?)",
        ),
        (
            signal(source="opportunities", of=None, ops="[count]", where="{kind: [crosssell, new]}"),
            "signals.users: where: kind is never crosssell (did you mean cross_sell?)",
        ),
        (
            signal(source="tickets", of=None, ops="[count]", where="{priority: {above: 1}}"),
            "signals.users: where: priority is never > 1",
        ),
        (
            signal(source="opportunities", of=None, ops="[count]", windows=None, where="{result: null}"),
            "where: result is empty while a row runs",
        ),
        (
            signal(source="subscriptions", of="end_on", ops="[days_until]", windows=None),
            "known only once it has passed",
        ),
        (signal() + "  users:\n    of: x\n", "found duplicate key"),
        (
            "family: other\ngrain: account\n",
            "features/usage.yml: family: other must be the file's name, usage",
        ),
        ("family: usage\ngrian: account\n", "grian: unknown key (did you mean grain?)"),
        ("- a\n- b\n", "features/usage.yml"),
        ("", "family: missing"),
    ],
)
def test_a_typo_stops_the_run_with_file_key_and_closest_match(tmp_path, text, message):
    with pytest.raises(UsageError) as error:
        load_families(write(tmp_path, text))
    assert message in str(error.value)
    assert str(error.value).startswith(("features/usage.yml", str(tmp_path)))


@pytest.mark.parametrize("wanted", ["{abov: 0}", "{above: 0, bellow: 1}", "[[1]]", "2026-01-01"])
def test_one_fault_of_a_condition_is_one_line(tmp_path, wanted):
    with pytest.raises(UsageError) as error:
        load_families(write(tmp_path, signal(where=f"{{events: {wanted}}}")))
    assert "\n" not in str(error.value)


def test_a_condition_keeps_its_form_and_an_open_column_its_words(tmp_path):
    text = signal(source="signals", of=None, ops="[count]", where="{kind: [fundng, 1, null], amount: {above: 0}}")
    (loaded,) = load_families(write(tmp_path, text))
    assert loaded.signals["users"].where == {"kind": ("fundng", 1, None), "amount": forms.Bound(above=0)}


def test_what_a_missing_number_of_seats_means_is_so():
    """Nothing owned, or no seats known of what is owned: never 0."""
    own = next(family for family in FAMILIES if family.family == "ownership")
    facts = company(
        account("A"),
        subscription("A", "crm", "2025-01-01", seats=0),
        subscription("B", "crm", "2025-01-01"),
        subscription("C", "crm", "2025-01-01", "2025-06-01", seats=2),
    )
    tables = build(facts, own, as_ofs=["2026-01-01"], accounts=("A", "B", "C"), owned={"A": ["crm"], "B": ["crm"]})
    for name in ("ownership_seats_sum", "ownership_core_seats_sum"):
        assert tables.account[name].fillna(-1).tolist() == [0, -1, -1]
        assert next(column for column in COLUMNS if column.name == name).missing.startswith(
            "nothing owned, or no seats"
        )


DERIVED = "derived:\n  share: {value: %s, unit: share, missing: unknown, direction: none, reason: none}\n"


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (
            "users_maen_28d / 2",
            "derived.share: no column usage_users_maen_28d (did you mean usage_users_mean_28d?)",
        ),
        ("ownership.seats", "derived.share: no column ownership_seats"),
        ("__import__('os')", "only names, numbers, + - * / and parentheses are allowed"),
        ("users ** 2", "only names, numbers, + - * / and parentheses are allowed"),
        ("share + 1", "derived signals refer to each other in a circle: usage_share → usage_share"),
    ],
)
def test_a_derived_signal_refers_to_what_exists(tmp_path, expression, message):
    with pytest.raises(UsageError) as error:
        load_families(write(tmp_path, signal() + DERIVED % f'"{expression}"'))
    assert message in str(error.value)


def test_a_name_that_stands_for_two_columns_is_refused(tmp_path):
    with pytest.raises(UsageError, match="users stands for usage_users_mean_28d, usage_users_mean_90d; name one"):
        load_families(write(tmp_path, signal(windows="[28, 90]") + DERIVED % "users / 2"))


ENCODING = {
    "rate_of": "adoption",
    "given": "owned_product",
    "lookback_days": 365,
    "shrink_to": "target_product",
    "strength": 20,
    "combine": ["max"],
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shrink_to": "segment"}, "needs rate_of: adoption and shrink_to: target_product"),
        ({"combine": []}, "`combine` belongs to given: owned_product"),
        ({"lookback_days": None}, "`lookback_days` belongs to rate_of: adoption"),
        ({"given": "target_product", "shrink_to": "all_products", "combine": []}, "role: offset belongs to"),
        (
            {
                "given": ["segment", "indstry"],
                "rate_of": "ownership",
                "shrink_to": "segment",
                "lookback_days": None,
                "combine": [],
            },
            "given: indstry is unknown (did you mean industry?)",
        ),
        ({"strength": 0}, "encodings.affinity.strength"),
        ({"given": "owned_products"}, "encodings.affinity.given"),
    ],
)
def test_an_encoding_is_one_of_three_forms(changes, message):
    with pytest.raises(UsageError) as error:
        family("deals", grain="pair", encodings={"affinity": ENCODING | changes})
    assert message in str(error.value)


def test_a_column_no_source_row_has_is_found_when_the_data_is_there():
    facts = company(
        account("A"), ("usage", {"account_id": "A", "product_id": "crm", "date": "2026-01-01", "lines": 1.0})
    )
    spine = spine_of(["A"], ["2026-02-01"])
    lines = family("usage", source="usage", signals={"lines": {"of": "linse", "ops": ["sum"], "windows": [7]}})
    with pytest.raises(
        UsageError, match=r"features/usage.yml: signals.lines: usage has no column linse \(did you mean lines"
    ):
        build_features(facts, catalog("crm"), (lines,), spine, pairs_of(spine, ["crm"], {}))


@pytest.mark.parametrize("make", [lambda p: p / "features", lambda p: p], ids=["missing", "empty"])
def test_a_project_without_families_gets_one_clear_line(tmp_path, make):
    with pytest.raises(UsageError, match="A project declares its signals there") as error:
        load_families(make(tmp_path))
    assert "\n" not in str(error.value)


def test_the_fingerprint_follows_the_meaning_not_the_layout(tmp_path):
    first = load_families(write(tmp_path, signal()))[0].fingerprint
    lines = signal().splitlines()
    moved = "\n".join([*lines[:5], *reversed(lines[5:]), "# a comment", ""])
    assert load_families(write(tmp_path, moved))[0].fingerprint == first
    assert load_families(write(tmp_path, signal(windows="[29]")))[0].fingerprint != first
    assert re.fullmatch("[0-9a-f]{64}", first)


def test_every_column_says_what_it_is():
    for column in COLUMNS:
        assert column.name.startswith(f"{column.family}_{column.signal}")
        assert all((column.unit, column.missing, column.definition)), column.name
        assert (column.kind == "category") == (column.unit == "category")
        words = column.say("x" if column.kind == "category" else 2.0, product="CRM")
        assert words is None or (words and "{" not in words), column.name


def test_names_are_derived():
    names = [column.name for column in COLUMNS]
    assert len(set(names)) == len(names)
    for name in (
        "usage_active_users_mean_28d",
        "usage_active_users_trend_90d",
        "usage_adjacent_uses_sum_28d",
        "usage_seats_used_share",
        "commercial_affinity_max",
        "commercial_affinity_log_odds_sum",
        "commercial_peers",
        "commercial_recent_rate",
        "commercial_lost_count_365d",
        "commercial_lost_days_since_365d",
        "ownership_seats_sum",
    ):
        assert name in names
    offsets = [column for column in COLUMNS if column.role == "offset"]
    assert [column.name for column in offsets] == ["commercial_recent_rate"]


def test_what_is_built_is_what_is_declared_in_both_directions():
    spine = spine_of(["A"], ["2026-02-01"])
    tables = build_features(company(account("A")), catalog("crm"), FAMILIES, spine, pairs_of(spine, ["crm"], {}))
    for grain, frame in (("account", tables.account), ("pair", tables.pair)):
        declared = [column.name for column in COLUMNS if column.grain == grain]
        assert [name for name in frame if name not in ("account_id", "product_id", "as_of")] == declared


def _first_cells(heading: str) -> list[str]:
    section = DOCS.split(f"## {heading}\n")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [name for cell in cells for name in re.findall(r"`([a-z_]+)`", cell)]


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("Keys of a family", FeatureFamily),
        ("Keys of a signal", forms.Signal),
        ("Derived signals", forms.Derived),
    ],
)
def test_the_form_and_its_documentation_agree_in_both_directions(heading, model):
    own = set(model.model_fields) - (set(forms.Described.model_fields) if model is forms.Derived else set())
    assert set(_first_cells(heading)) == own


def test_operations_and_frame_columns_are_documented():
    assert _first_cells("Operations") == list(forms.OPS)
    for name in (
        *forms.SPINE_COLUMNS,
        *forms.CATALOG_COLUMNS,
        *forms.Encoding.model_fields,
        *forms.QueryColumn.model_fields,
        *forms.RUNNING_UNTIL,
        *RELATIONS,
    ):
        assert name in DOCS, name


def test_every_column_the_documentation_names_is_there():
    named = re.findall(r"`([a-z_0-9]+_[a-z_0-9]*\*?)`", DOCS.split("## Where each signal of the field is\n")[1])
    names = [column.name for column in COLUMNS]
    for name in named:
        assert any(one == name or (name.endswith("*") and one.startswith(name[:-1])) for one in names), name
    assert len(named) > 40
