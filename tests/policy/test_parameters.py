from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

import services.eligibility
from libs.common.period import Period
from services.eligibility.determination import Determination
from services.eligibility.facts import BEGINNING, Application, Certificate, Facts, LowIncome, Residence
from services.eligibility.policy.lint import check_layer, conflicts
from services.eligibility.policy.names import NAMES
from services.eligibility.policy.parameters import BadLayer, PolicySet, read_layer, shipped
from services.eligibility.publication import history, in_words
from services.eligibility.schedules import Schedule

_VALUE = "{{since: {since}, value: {value}, source: 昆民发〔2026〕9号, clause: 第一条, confidence: V}}"


ON = date(2026, 4, 1)
"""The day on which layers are decided here, before they begin."""


def layer(area: str, name: str, value: str, since: str = "2026-05-01") -> str:
    held = _VALUE.format(since=since, value=value)
    return f'layer: "{area}"\ntitle: 样例\nparameters:\n  {name}:\n    - {held}\n'


def with_layer(*layers: str) -> PolicySet:
    return shipped().with_layers([read_layer(text) for text in layers])


def months(schedule: Schedule) -> list[tuple[str, str, int]]:
    return [(str(entry.from_), str(entry.to), entry.amount_fen) for entry in schedule.entitlements]


PERSON = Facts(
    applications=(Application("living", date(2026, 1, 10)), Application("care", date(2026, 1, 10))),
    certificates=(Certificate("physical", 2, "valid", date(2020, 5, 1), date(2026, 8, 31)),),
    low_income=(LowIncome("dibao", date(2024, 1, 1)),),
    residences=(Residence("530102", BEGINNING),),
)


def test_every_shipped_value_has_a_known_name_a_source_a_clause_and_a_day() -> None:
    for held in shipped().layers:
        for parameter in held.parameters:
            assert parameter.name in NAMES
            assert parameter.source
            assert parameter.clause
            assert parameter.confidence in ("V", "K", "U")
            assert NAMES[parameter.name].problem(parameter.value) is None


def test_every_name_has_a_value_in_the_sample_province() -> None:
    named = {parameter.name for parameter in shipped().in_force("530102", date(2026, 3, 1))}
    assert named == set(NAMES)


def test_every_shipped_value_reads_as_words_and_never_as_code() -> None:
    for item in history(shipped(), "530102"):
        assert item["words"], item["name"]
        assert not set(item["words"]) & set("{}[]'_"), item["words"]
    assert in_words("low_income.grace_counts", True) == "是"
    assert in_words("archive.retention_years", 1) == "1 年"


def test_shipped_layers_contradict_nothing() -> None:
    assert conflicts(shipped(), date(2016, 1, 1)) == []


def test_standards_are_marked_as_samples() -> None:
    amounts = [p for held in shipped().layers for p in held.parameters if p.name.endswith("amount_fen")]
    assert amounts
    assert all(parameter.sample for parameter in amounts)


def test_a_value_holds_from_its_day_on() -> None:
    policy = shipped()
    assert policy.value("living.amount_fen", "530102", date(2015, 12, 31)) is None
    assert policy.value("living.amount_fen", "530102", date(2025, 12, 31)) == 9000
    assert policy.value("living.amount_fen", "530102", date(2026, 1, 1)) == 10000
    assert policy.value("living.amount_fen", "510104", date(2026, 1, 1)) is None


def test_a_prefecture_that_pays_more_pays_more_to_its_own() -> None:
    policy = with_layer(layer("5301", "living.amount_fen", "12000"))
    assert months(Determination([PERSON], policy).schedule(0, "living")) == [
        ("2026-01", "2026-04", 10000),
        ("2026-05", "2026-08", 12000),
    ]
    assert policy.value("living.amount_fen", "530302", date(2026, 5, 1)) == 10000


def test_when_the_province_overtakes_a_prefecture_the_higher_amount_is_due() -> None:
    policy = with_layer(
        layer("5301", "living.amount_fen", "10500"), layer("53", "living.amount_fen", "11000", "2026-07-01")
    )
    assert policy.value("living.amount_fen", "530102", date(2026, 6, 30)) == 10500
    assert policy.value("living.amount_fen", "530102", date(2026, 7, 1)) == 11000


def test_a_standard_that_changes_within_a_month_is_due_from_the_next() -> None:
    policy = with_layer(layer("5301", "living.amount_fen", "12000", "2026-05-02"))
    assert months(Determination([PERSON], policy).schedule(0, "living"))[1] == ("2026-06", "2026-08", 12000)


def test_an_area_that_widens_to_the_borderline_pays_them() -> None:
    borderline = Facts(
        applications=(Application("living", date(2026, 5, 10)),),
        certificates=PERSON.certificates,
        low_income=(LowIncome("borderline", date(2024, 1, 1)),),
        residences=PERSON.residences,
    )
    assert months(Determination([borderline], shipped()).schedule(0, "living")) == []
    policy = with_layer(layer("530102", "living.categories", "[dibao, borderline]"))
    assert months(Determination([borderline], policy).schedule(0, "living")) == [("2026-05", "2026-08", 10000)]


def test_an_area_that_widens_to_level_three_of_mental_disability_pays_it_if_it_sets_an_amount() -> None:
    mental = Facts(
        applications=(Application("care", date(2026, 5, 10)),),
        certificates=(Certificate("mental", 3, "valid", date(2020, 5, 1), date(2026, 8, 31)),),
        residences=PERSON.residences,
    )
    widened = layer("5301", "care.extended", "[{category: mental, levels: [3]}]")
    presumed = layer("5301", "long_term_care.presumed_levels", "[1, 2, 3]")
    amounts = layer("5301", "care.amount_fen", "{1: 11000, 2: 10000, 3: 8000}")
    assert months(Determination([mental], with_layer(widened, presumed)).schedule(0, "care")) == []
    policy = with_layer(widened, presumed, amounts)
    assert months(Determination([mental], policy).schedule(0, "care")) == [("2026-05", "2026-08", 8000)]


@pytest.mark.parametrize(("months_paid", "first"), [(0, "2026-12"), (1, "2026-11"), (3, "2026-09")])
def test_an_area_may_pay_the_gap_before_a_renewal_up_to_so_many_months(months_paid: int, first: str) -> None:
    renewed = Certificate("physical", 1, "valid", date(2026, 12, 10))
    person = Facts(
        applications=PERSON.applications,
        certificates=(Certificate("physical", 2, "valid", date(2020, 5, 1), date(2026, 7, 31)), renewed),
        residences=PERSON.residences,
    )
    policy = with_layer(layer("53", "certificate.expired_gap_arrears_months", str(months_paid)))
    schedule = Determination([person], policy).schedule(0, "care")
    assert months(schedule) == [("2026-01", "2026-07", 10000), (first, "None", 11000)]


def test_moves_go_on_by_themselves_where_the_area_says_so_but_never_to_another_province() -> None:
    def moved_to(area: str) -> Facts:
        stays = (Residence("530102", BEGINNING, date(2026, 5, 11)), Residence(area, date(2026, 5, 12)))
        return Facts(PERSON.applications, PERSON.certificates, PERSON.low_income, stays)

    policy = with_layer(
        layer("53", "move.continuity", "automatic", "2026-01-01"),
        layer("51", "living.amount_fen", "10000", "2026-01-01"),
        layer("51", "care.amount_fen", "10000", "2026-01-01"),
    )
    judged = Determination([moved_to("530302"), moved_to("510104")], policy)
    assert [entry.area for entry in judged.schedule(0, "living").entitlements] == ["530102", "530302"]
    assert [entry.area for entry in judged.schedule(1, "living").entitlements] == ["530102"]
    assert judged.schedule(1, "living").stopped_because == "moved_away"


def test_the_version_names_the_content_that_an_area_sees() -> None:
    before, after = shipped(), with_layer(layer("5301", "living.amount_fen", "12000"))
    assert before.version("530102") != after.version("530102")
    assert before.version("530302") == after.version("530302")
    assert with_layer(layer("5301", "living.amount_fen", "12000")).version("530102") == after.version("530102")


def problems(text: str) -> list[tuple[str, str]]:
    return [(problem.path, problem.clause) for problem in check_layer(text, shipped(), ON)]


def test_a_sound_layer_has_no_problems() -> None:
    assert check_layer(layer("5301", "living.amount_fen", "12000"), shipped(), ON) == []


def test_an_amount_below_the_upper_layer_is_refused() -> None:
    text = layer("5301", "care.amount_fen", "{1: 11000, 2: 9900}")
    assert problems(text) == [("parameters.care.amount_fen[0]", "notice 2.1")]


def test_an_amount_that_a_later_value_of_the_upper_layer_overtakes_is_refused() -> None:
    text = layer("5301", "living.amount_fen", "9500", "2025-05-01").replace("confidence", "reason: 补发, confidence")
    assert problems(text) == [("parameters.living.amount_fen[0]", "notice 2.1")]


def test_an_added_exclusion_is_refused_and_one_less_is_not() -> None:
    added = layer("5301", "living.excluding_benefits", "[orphan, unattended_child_full, work_injury_care, old_age]")
    assert problems(added) == [("parameters.living.excluding_benefits[0]", "notice 2.1")]
    assert problems(layer("5301", "living.excluding_benefits", "[orphan]")) == []


def test_a_narrowed_scope_is_refused() -> None:
    assert problems(layer("5301", "care.levels", "[1]")) == [("parameters.care.levels[0]", "notice 2.1")]


def test_what_the_upper_layer_fixes_cannot_be_set() -> None:
    text = layer("5301", "outreach.deadline_months", "6")
    assert problems(text) == [("parameters.outreach.deadline_months[0]", "notice 2.1")]


def test_a_prefecture_cannot_come_closer_to_the_province_s_review_than_the_notice_lets_it() -> None:
    path = "parameters.comparison.prefecture_gap_months[0]"
    assert problems(layer("5301", "comparison.prefecture_gap_months", "0")) == [(path, "notice 2.1")]
    assert problems(layer("5301", "comparison.prefecture_gap_months", "2")) == []


def test_a_repealed_source_is_refused() -> None:
    text = layer("5301", "living.amount_fen", "12000").replace("昆民发〔2026〕9号", "云民福〔2019〕21号")
    assert problems(text) == [("parameters.living.amount_fen[0]", "notice 8.1")]


def test_a_missing_source_is_refused() -> None:
    text = layer("5301", "living.amount_fen", "12000").replace("source: 昆民发〔2026〕9号, ", "")
    assert problems(text) == [("parameters.living.amount_fen[0]", "notice 8.1")]


def test_an_unknown_name_is_refused_with_its_line() -> None:
    [problem] = check_layer(layer("5301", "living.hukou_years", "5"), shipped(), ON)
    assert (problem.path, problem.line) == ("parameters.living.hukou_years[0]", 5)
    assert "unknown name" in problem.message


def test_two_values_for_one_day_are_refused() -> None:
    text = layer("5301", "living.amount_fen", "12000")
    twice = text + "    - " + _VALUE.format(since="2026-05-01", value="13000") + "\n"
    [problem] = check_layer(twice, shipped(), ON)
    assert problem.path == "parameters.living.amount_fen[1]"
    assert "overlaps" in problem.message
    held = with_layer(text)
    [problem] = check_layer(layer("5301", "living.amount_fen", "13000"), held, ON)
    assert "overlaps" in problem.message


@pytest.mark.parametrize("value", ["-1", "'many'", "true", "{9: 100}"])
def test_a_value_of_the_wrong_shape_is_refused(value: str) -> None:
    assert problems(layer("5301", "living.amount_fen", value)) != []


@pytest.mark.parametrize(
    "text", ["- a list", "layer: [", "layer: x\nparameters: {}", "layer: '53'\nparameters: {a: 1}"]
)
def test_what_is_no_layer_is_said_to_be_none(text: str) -> None:
    with pytest.raises(BadLayer):
        read_layer(text)
    assert len(check_layer(text, shipped(), ON)) == 1


def test_json_is_a_layer_too() -> None:
    read = read_layer(
        '{"layer": "5301", "title": "t", "parameters": {"care.amount_fen": [{"since": "2026-05-01",'
        ' "value": {"1": 12000, "2": 11000}, "source": "s", "confidence": "V"}]}}'
    )
    assert read.parameters[0].value == {1: 12000, 2: 11000}
    assert read.parameters[0].since == date(2026, 5, 1)


def test_no_rule_names_a_province() -> None:
    for path in Path(services.eligibility.__file__).parent.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        assert "Yunnan" not in source
        assert '"53' not in source, path


@pytest.mark.parametrize("folder", ["libs", "services"])
def test_no_code_takes_a_province_for_granted(folder: str) -> None:
    for path in (Path(__file__).parents[2] / folder).rglob("*.py"):
        assert '"53"' not in path.read_text(encoding="utf-8"), path


def test_months_before_those_looked_at_are_not_answered() -> None:
    with pytest.raises(ValueError, match="before the months"):
        Determination([PERSON], shipped()).decision(0, "care", Period(2025, 1))


def test_every_name_is_explained_to_those_who_write_layers() -> None:
    page = (Path(__file__).parents[2] / "docs" / "policy-layers.md").read_text(encoding="utf-8")
    for entry in NAMES.values():
        assert f"| `{entry.name}` | {entry.title} | {entry.unit} | {entry.latitude} |" in page, entry.name
    example = page.partition("```yaml\n")[2].partition("```")[0]
    assert check_layer(example, shipped(), date(2026, 11, 1)) == []


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("low_income.grace_counts", False),
        ("low_income.last_paid_month_ends", "first_day"),
        ("application.after_death", "refused"),
    ],
)
def test_what_follows_from_the_facts_is_named_and_takes_no_other_value(name: str, other: object) -> None:
    assert NAMES[name].problem(shipped().value(name, "53", date(2026, 3, 1))) is None
    assert NAMES[name].problem(other) is not None
    assert "固定" in NAMES[name].title, "the title says why"


def test_whichever_day_of_the_last_paid_month_is_taken_for_the_exit_the_same_months_are_payable() -> None:
    family = replace(PERSON, low_income=(LowIncome("dibao", date(2024, 1, 1)),))
    left = [
        replace(family, low_income=(LowIncome("dibao", date(2024, 1, 1), date(2026, 6, day)),)) for day in range(1, 31)
    ]
    judged = Determination(left, shipped())
    schedules = {judged.schedule(position, "living") for position in range(len(left))}
    assert [str(schedule.entitlements[-1].to) for schedule in schedules] == ["2026-06"]
