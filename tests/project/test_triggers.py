"""What a typo in triggers and talk tracks answers, and that the shipped files are complete."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from product_affinity.errors import UsageError
from product_affinity.project.catalog import Catalog
from product_affinity.project.playbook.talk_tracks import TalkTracks, load_talk_tracks
from product_affinity.project.playbook.triggers import Triggers, load_triggers
from product_affinity.project.reading import read_yaml, validate

ROOT = Path(__file__).parents[2]
CATALOG = validate(Catalog, read_yaml(ROOT / "models" / "catalog.yml"), "catalog.yml")

TRIGGER = """triggers:
  - code: T01
    title: exports
    kind: usage
    when:
      - table: feature_usage
        where: {feature: export}
        op: sum
        of: uses
        window_days: 28
        holds: {at_least: 4}
        evidence: "{value:.0f} times, last on {date}"
    points_to: [analytics]
    say: You export.
"""


@pytest.fixture
def playbook(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "playbook", tmp_path / "playbook")
    return tmp_path / "playbook"


def spoilt(folder: Path, old: str, new: str) -> str:
    """The message of the small trigger file with one thing changed."""
    assert TRIGGER.count(old) == 1
    (folder / "triggers.yml").write_text(TRIGGER.replace(old, new), encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_triggers(folder, CATALOG)
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title:", "titel:", "triggers.0.titel: unknown key (did you mean title?)"),
        ("window_days", "window_day", "window_day: unknown key (did you mean window_days?)"),
        ("code: T01", "code: T1", "triggers.0.code:"),
        ("kind: usage", "kind: useage", "triggers.0.kind: Input should be 'problem', 'usage' or 'event'"),
        ("table: feature_usage", "table: feature_useage", "no source table (did you mean feature_usage?)"),
        ("{feature: export}", "{featur: export}", "where: feature_usage has no column featur (did you mean feature?)"),
        ("of: uses", "of: usess", "of: feature_usage has no column usess (did you mean uses?)"),
        ("of: uses", "of: feature", "of: feature_usage.feature is no number"),
        ("of: uses", "date: uses", "date: feature_usage.uses is no date"),
        ("        of: uses\n", "", "op: sum needs `of: <column>`"),
        ("op: sum", "op: count", "op: count takes no `of: <column>`"),
        ("op: sum", "op: smu", "triggers.0.when.0.op: Input should be 'count', 'sum'"),
        ("op: sum", "op: share", "per: belongs to op: share, and it needs one"),
        ("op: sum\n", "op: weeks\n        next_days: 3\n", "give window_days or next_days, not both"),
        ("window_days: 28", "next_days: 28", "next_days: needs `date: <column>`"),
        ("        holds: {at_least: 4}\n", "", "op: sum needs `holds`"),
        ("{at_least: 4}", "{atleast: 4}", "atleast: unknown key (did you mean at_least?)"),
        ("{value:.0f}", "{valeu:.0f}", "evidence: unknown placeholder {valeu} (did you mean value?)"),
        ("{value:.0f}", "{value:>9}", "evidence: {value} takes no form but"),
        ("{value:.0f}", "{value!r}", "evidence: {value} takes no form but"),
        ("{value:.0f}", "{feature:.0f}", "evidence: {feature} is no number"),
        ("{value:.0f}", "{value.__class__}", "evidence: unknown placeholder"),
        ("{value:.0f}", "{weeks}", "evidence: {weeks} belongs to op: weeks"),
        ("{value:.0f}", "{value", "evidence: "),
        ("window_days: 28", "yearly: true", "yearly: needs window_days"),
        ("window_days: 28", "running: true", "running: feature_usage has no end"),
        ("window_days: 28", "window_days: 0", "window_days: Input should be greater than 0"),
        ("op: sum", "months: [13]", "unknown key"),
        ("[analytics]", "[analitycs]", "analitycs is not in models/catalog.yml (did you mean analytics?); name one of"),
        ("[analytics]", "[]", "points_to: name at least one product"),
        ("[analytics]", "same_produt", "points_to: same_produt is unknown (did you mean same_product?)"),
        ("[analytics]", "solved_by_tag", "points_to: solved_by_tag needs a tag, which feature_usage has none of"),
        ("say: You export.", "say: You export {product}.", "say: takes no placeholders"),
        ("    say: You export.\n", "", "triggers.0.say: missing"),
    ],
)
def test_a_typo_names_the_file_the_key_and_the_closest_match(tmp_path, old, new, message):
    told = spoilt(tmp_path, old, new)
    assert told.startswith("playbook/triggers.yml: ")
    assert message in told


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("{table: tickets, where: {priority: P5}, evidence: x}", "where: priority is never P5 (did you mean P4?)"),
        ("{table: problems, where: {solved_at: null}, evidence: x}", "say `running: true` without it"),
        (
            "{table: problems, where: {tag: slow_reply}, evidence: x}",
            "is called slow_reply (did you mean slow_replies?)",
        ),
        ("{table: usage, where: {product_id: sales_crn}, evidence: x}", "sales_crn (did you mean sales_crm?)"),
        ("{table: surveys, evidence: '{product}'}", "{product} needs a product_id, which surveys has none of"),
        ("{table: surveys, evidence: '{window_days}'}", "{window_days} needs window_days"),
        (
            "{table: usage, op: weeks, window_days: 30, holds: {at_least: 4}, evidence: x}",
            "op: weeks needs window_days of whole weeks",
        ),
    ],
)
def test_a_condition_that_can_never_hold_is_refused(tmp_path, condition, message):
    text = TRIGGER.split("      - table")[0] + f"      - {condition}\n    points_to: any\n    say: Hi.\n"
    (tmp_path / "triggers.yml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_triggers(tmp_path, CATALOG)
    assert message in str(caught.value)


def test_a_trigger_without_a_condition_is_refused(tmp_path):
    text = TRIGGER.split("    when:")[0] + "    when: []\n    points_to: any\n    say: Hi.\n"
    (tmp_path / "triggers.yml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"triggers\.0\.when: give at least one condition"):
        load_triggers(tmp_path, CATALOG)


def test_a_code_is_used_once(tmp_path):
    twice = TRIGGER + TRIGGER.removeprefix("triggers:\n")
    (tmp_path / "triggers.yml").write_text(twice, encoding="utf-8")
    with pytest.raises(UsageError, match="code T01 is used twice"):
        load_triggers(tmp_path, CATALOG)


def test_months_are_of_the_year(tmp_path):
    assert "13 is no month" in spoilt(tmp_path, "kind: usage", "kind: usage\n    months: [12, 13]")


def test_without_the_files_there_are_no_triggers_and_generic_words(tmp_path):
    assert load_triggers(tmp_path, CATALOG) == Triggers()
    assert load_talk_tracks(tmp_path, CATALOG) == TalkTracks()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  default:", "  defualt:", "unknown key"),
        ("lead_days", "lead_day", r"best_by\.lead_day: unknown key \(did you mean lead_days\?\)"),
        ("max_discount: 0.20", "max_discount: 0.5", r"incentives\.max_discount: .*less than or equal to 0\.4"),
        (
            "campaign: [trial]",
            "campaign: [trail]",
            r"allowed\.campaign: trail .*did you mean trial\?",
        ),
        (
            "  analytics:",
            "  analitycs:",
            r"products\.analitycs: .*did you mean analytics\?",
        ),
        ("  slow_replies:", "  slow_reply:", r"problems\.slow_reply: .*did you mean slow_replies\?"),
        ("Call the {role}", "Call the {rol}", r"unknown placeholder \{rol\} \(did you mean role\?\)"),
        ("Call the {role}", "Call the {role:>9}", r"\{role\} takes no form"),
        ("Call the {role}", "Call the {role", "not a text with placeholders"),
        ("    usage:\n", "    useage:\n", r"openings\.useage"),
        ("      specialist:", "      specialst:", r"next_steps\.pitch\.specialst"),
        ("    roi_calculator:", "    roi_calc:", r"assets\.roi_calc"),
        ("they_say:", "they_sya:", r"they_sya: unknown key \(did you mean they_say\?\)"),
        ("  3: {style", "  4: {style", r"engagement\.4"),
    ],
)
def test_a_typo_in_the_talk_tracks(playbook, old, new, message):
    path = playbook / "talk_tracks.yml"
    text = path.read_text(encoding="utf-8")
    changed = text.replace(old.strip(), new.strip(), 1) if old.startswith("  default") else text.replace(old, new, 1)
    assert changed != text
    path.write_text(changed, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        load_talk_tracks(playbook, CATALOG)


class TestShippedTalkTracks:
    TRACKS = load_talk_tracks(ROOT / "playbook", CATALOG)

    def test_every_product_has_words_of_its_own(self):
        assert tuple(self.TRACKS.products) == CATALOG.product_ids
        for track in self.TRACKS.products.values():
            assert track.link
            assert track.answer
            assert len(track.discovery_questions) >= 3
            assert len(track.objections) >= 2
            assert set(track.assets) == {"playbook", "demo", "case_study", "roi_calculator"}

    def test_every_problem_has_words(self):
        assert set(self.TRACKS.problems) == {tag for product in CATALOG for tag in product.solves}

    def test_default_words_cover_every_kind_play_and_route(self):
        plays = {"pitch", "discover", "campaign"}
        assert set(self.TRACKS.default.openings) == {"problem", "usage", "event", "none"}
        assert all(set(openings) == plays for openings in self.TRACKS.default.openings.values())
        assert set(self.TRACKS.default.next_steps) == plays
        for steps in self.TRACKS.default.next_steps.values():
            assert set(steps) == {"csm", "ae", "specialist"}

    def test_every_tier_and_play_has_its_style_and_steps(self):
        assert set(self.TRACKS.engagement) == {1, 2, 3}
        assert set(self.TRACKS.outreach) == set(self.TRACKS.incentives.allowed) == {"pitch", "discover", "campaign"}
        assert len(self.TRACKS.outreach["pitch"]) == 6
        assert self.TRACKS.incentives.max_discount == pytest.approx(0.2)
