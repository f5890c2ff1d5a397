from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from deploy.local.sample.county import build_county
from deploy.local.sample.files import application as sample_application
from libs.common.errors import InvalidInput
from services.intake.declarations import EXAMPLES, Declaration, cannot_act, facts_of, repaired
from tests.unit.intake.samples import declaration, guardian, guardian_account, id_number

TODAY = date(2026, 11, 23)


def problems_of(body: dict[str, Any]) -> dict[str, str]:
    """The problems by path, empty when the declaration stands."""
    try:
        repaired(Declaration.model_validate(body), on=TODAY)
    except InvalidInput as error:
        return {problem["path"]: problem["message"] for problem in error.errors}
    return {}


def changed(body: dict[str, Any], **applicant: Any) -> dict[str, Any]:
    return body | {"applicant": body["applicant"] | applicant}


def test_a_sample_county_applies_without_a_problem() -> None:
    county = build_county("530102", 300, seed=11)
    assert [problems_of(sample_application(person)) for person in county.persons] == [{}] * 300


def test_every_problem_is_found_at_once() -> None:
    body = changed(declaration(), name=" ", phone="1", id_number="53010219700501001")
    body |= {
        "agent": {"relation": "父亲", "name": "甲", "id_number": "1"},
        "guardian": {"kind": "person", "name": "乙"},
    }
    assert problems_of(body).keys() == {
        "applicant.name",
        "applicant.phone",
        "applicant.id_number",
        "agent.id_number",
        "guardian.id_number",
    }


def test_the_certificate_is_the_applicant_s_own() -> None:
    assert problems_of(changed(declaration(), certificate_number=id_number() + "41")).keys() == {
        "applicant.certificate_number"
    }


@pytest.mark.parametrize("digits", ["01", "81", "40", "45", "41B0", "4"])
def test_a_certificate_number_has_a_category_and_a_level(digits: str) -> None:
    number = id_number()
    body = changed(declaration(number=number), certificate_number=number + digits)
    assert problems_of(body).keys() == {"applicant.certificate_number"}


def test_a_reissued_certificate_is_taken() -> None:
    number = id_number()
    assert problems_of(changed(declaration(number=number), certificate_number=number + "41b2")) == {}


@pytest.mark.parametrize(
    "components",
    [
        [{"category": "mental", "level": 2}],
        [{"category": "mental", "level": 2}, {"category": "mental", "level": 3}],
        [{"category": "mental", "level": 2}, {"category": "multiple", "level": 3}],
        [{"category": "mental", "level": 1}, {"category": "vision", "level": 3}],
        [{"category": "mental", "level": 3}, {"category": "vision", "level": 4}],
    ],
    ids=["one", "twice", "nested", "heavier", "lighter"],
)
def test_components_are_several_and_the_heaviest_gives_the_level(components: list[dict[str, Any]]) -> None:
    body = changed(declaration(category="multiple", level=2), components=components)
    assert problems_of(body).keys() == {"applicant.components"}


def test_only_a_multiple_certificate_has_components() -> None:
    parts = [{"category": "mental", "level": 1}, {"category": "vision", "level": 3}]
    assert problems_of(changed(declaration(), components=parts)).keys() == {"applicant.components"}
    assert problems_of(changed(declaration(category="multiple"), components=parts)) == {}


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"applied_on": "2026-11-24"}, "applied_on"),
        ({"commitment": {"signed_on": "2026-11-24", "version": "1"}}, "commitment.signed_on"),
        ({"choices": [{"kind": "elderly_care", "keep": "ours", "signed_on": "2026-11-24"}]}, "choices.0.signed_on"),
        ({"incapacity": {"basis": "court", "found_on": "2026-11-24", "document_no": "1"}}, "incapacity.found_on"),
        ({"applied_on": "1969-12-31"}, "applied_on"),
        ({"subsidies": ["care", "care"]}, "subsidies"),
    ],
)
def test_what_cannot_have_happened_is_refused(changes: dict[str, Any], path: str) -> None:
    assert problems_of(declaration() | changes).keys() == {path}


def test_nobody_is_their_own_agent_or_guardian() -> None:
    body = declaration()
    number = body["applicant"]["id_number"]
    body |= {"agent": {"relation": "本人", "name": "甲", "id_number": number}, "guardian": guardian(id_number=number)}
    assert problems_of(body).keys() == {"agent.id_number", "guardian.id_number"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"born": date(2010, 5, 1)}, True),
        ({"category": "mental", "level": 2}, True),
        ({"category": "intellectual", "level": 1}, True),
        ({"category": "mental", "level": 3}, False),
        ({"category": "physical", "level": 1}, False),
    ],
)
def test_who_cannot_act(changes: dict[str, Any], expected: bool) -> None:
    stands = repaired(Declaration.model_validate(declaration(**changes)), on=TODAY)
    assert cannot_act(stands, on=TODAY) is expected


def test_a_severe_mental_component_counts() -> None:
    parts = [{"category": "mental", "level": 2}, {"category": "vision", "level": 1}]
    body = changed(declaration(category="multiple", level=1), components=parts)
    assert cannot_act(repaired(Declaration.model_validate(body), on=TODAY), on=TODAY)


@pytest.mark.parametrize(
    ("account", "path"),
    [
        (guardian_account(reason=None), "account.reason"),
        (guardian_account(status="none"), "account.status"),
        (guardian_account(holder_name="别人"), "account.holder_name"),
        ({"holder": "own", "status": "active", "bank": "富滇银行"}, "account.number"),
        ({"holder": "own", "status": "active", "number": "6217009999999990777"}, "account.bank"),
    ],
)
def test_an_account_that_is_not_rightful_is_refused(account: dict[str, Any], path: str) -> None:
    body = declaration(category="mental", level=1, guardian=guardian(), account=account)
    assert problems_of(body).keys() == {path}


def test_an_account_through_a_guardian_needs_the_guardian() -> None:
    body = declaration(category="mental", level=1, account=guardian_account())
    assert problems_of(body).keys() == {"account.holder"}


def test_a_guardian_s_account_may_be_given_with_the_guardian_alone() -> None:
    account = {"holder": "guardian", "status": "active", "reason": "无卡"}
    stands = repaired(
        Declaration.model_validate(declaration(category="mental", level=1, guardian=guardian(), account=account)),
        on=TODAY,
    )
    assert stands.account is not None
    assert (stands.account.number, stands.account.holder_name) == ("6228480000000000019", "买买提·吐尔逊")


def test_the_facts_are_those_declared_with_the_certificate_s_dates_unknown() -> None:
    choice = {"kind": "elderly_care", "keep": "ours", "signed_on": "2026-03-02"}
    body = declaration(category="vision", level=2, choices=[choice])
    facts = facts_of(repaired(Declaration.model_validate(body), on=TODAY), on=TODAY)
    assert facts.certificate is not None
    assert (facts.certificate.category, facts.certificate.level) == ("vision", 2)
    assert facts.certificate.issued_on is None
    assert facts.low_income is not None
    assert (facts.low_income.category, facts.low_income.from_) == ("dibao", date(2024, 1, 1))
    assert facts.choices[0].keep == "ours"
    assert facts.confirmed == ()


def test_names_are_repaired_and_rare_characters_stay() -> None:
    body = changed(declaration(), name="\U0002a6a5䶮•古丽")
    stands = repaired(Declaration.model_validate(body), on=TODAY)
    assert stands.applicant.name == "\U0002a6a5䶮·古丽"


def test_the_examples_of_the_interface_are_sound() -> None:
    for example in EXAMPLES:
        declared = Declaration.model_validate(example)
        assert repaired(declared, on=date(2026, 3, 2)).applicant == declared.applicant
