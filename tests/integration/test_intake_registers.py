"""What registers of cards, guardianships and institutions say against what is on record (notice 4.4 to 4.6)."""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from typing import Any

import pytest

from libs.common.clock import business_today
from libs.common.events.matching import RegisterTold
from tests.integration.intake import Office
from tests.integration.test_intake_persons import OWN, approve, corrected, propose
from tests.unit.intake.samples import guardian, guardian_account, id_number

TODAY = business_today()
_versions = itertools.count(1)


def told(office: Office, person_id: str, source: str, **entries: Any) -> RegisterTold:
    about = {"person_id": person_id, "version": next(_versions), "source": source, "area": office.area}
    return RegisterTold.model_validate({**about, "as_of": TODAY, **entries})


def guardianship(office: Office, number: str, *, to: date | None = None) -> dict[str, Any]:
    vault = office.running.app.state.vault
    return {"guardian_person_id": vault.persons.person_id(number), "from": "2020-01-01", "to": to}


async def leads(office: Office, status: str = "open") -> list[dict[str, Any]]:
    answer = await office.get("/register-leads", params={"area": office.area, "status": status})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def kinds(office: Office) -> list[str]:
    return sorted(lead["kind"] for lead in await leads(office))


async def paid_through(office: Office, father: dict[str, Any]) -> str:
    """Somebody who cannot act, paid to the guardian's account."""
    body = office.declaration(category="mental", level=2, guardian=father, account=guardian_account())
    return str((await office.granted(body))["person_id"])


async def test_an_own_card_that_became_active_is_a_lead_until_the_money_goes_there(office: Office) -> None:
    person_id = await paid_through(office, guardian())
    card = told(office, person_id, "social_cards", cards=[{"bank": "富滇银行", "status": "active"}])
    await office.tell(card)
    await office.tell(card)
    (lead,) = await leads(office)
    assert (lead["kind"], lead["holds"], lead["change_pending"]) == ("own_card_active", False, False)
    assert (lead["says"][:8], lead["entries"]) == ("社会保障卡数据：", ["富滇银行，已激活"])
    assert len(await office.told("payee.changed", person_id)) == 1, "a register changes no account"

    change_id = await propose(office, person_id, "account", OWN)
    assert [lead["change_pending"] for lead in await leads(office)] == [True]
    assert (await approve(office, change_id)).status_code == 200
    assert await leads(office) == []
    assert [lead["kind"] for lead in await leads(office, "done")] == ["own_card_active"]


async def test_nothing_goes_to_a_guardian_whose_guardianship_ended_until_another_is_approved(office: Office) -> None:
    father, mother = guardian(), guardian(name="古丽·买买提")
    person_id = await paid_through(office, father)
    ended = guardianship(office, father["id_number"], to=TODAY - timedelta(days=40))
    await office.tell(told(office, person_id, "guardianships", guardians=[ended]))
    assert [(lead["kind"], lead["holds"]) for lead in await leads(office)] == [("guardianship_ended", True)]
    assert (await office.told("payee.changed", person_id))[-1]["guardian_in_question"] is True

    await office.tell(
        told(office, person_id, "guardianships", guardians=[ended, guardianship(office, mother["id_number"])])
    )
    assert await kinds(office) == ["guardian_differs"]
    assert (await approve(office, await propose(office, person_id, "guardian", mother))).status_code == 200
    assert await leads(office) == []
    last = (await office.told("payee.changed", person_id))[-1]
    assert (last["guardian_in_question"], last["account"]["holder"]) == (False, "guardian")


async def test_a_guardianship_that_ends_on_a_day_to_come_is_noticed_on_that_day(office: Office) -> None:
    father = guardian()
    person_id = await paid_through(office, father)
    ending = guardianship(office, father["id_number"], to=TODAY + timedelta(days=5))
    await office.tell(told(office, person_id, "guardianships", guardians=[ending]))
    for days, expected in ((5, []), (6, ["guardianship_ended"])):
        as_of = (TODAY + timedelta(days=days)).isoformat()
        assert (await office.post("/daily-runs", "admin", {"as_of": as_of}, area="00")).is_success
        assert await kinds(office) == expected


async def test_what_two_persons_dismissed_is_paid_again_and_comes_back_only_on_other_news(office: Office) -> None:
    person_id = await paid_through(office, guardian())
    other = guardianship(office, id_number(date(1968, 1, 1)))
    await office.tell(told(office, person_id, "guardianships", guardians=[other]))
    (lead,) = await leads(office)
    path, reason = f"/register-leads/{lead['lead_id']}/dismissal", {"reason": "法院判决未变更监护人"}
    assert (await office.post(f"{path}/approval", "civil_affairs", sub="chief")).status_code == 409
    assert (await office.post(path, "partner", reason)).status_code == 403
    assert (await office.post(path, "civil_affairs", {"reason": ""})).status_code == 422
    assert (await office.post(path, "civil_affairs", reason, sub="clerk")).status_code == 202
    assert (await office.told("payee.changed", person_id))[-1]["guardian_in_question"] is True, "one alone ends no hold"
    assert [(lead["status"], lead["dismissal_proposed_by"]) for lead in await leads(office)] == [("open", "clerk")]
    assert (await office.post(f"{path}/approval", "civil_affairs", sub="clerk")).status_code == 403
    assert (await office.post(f"{path}/approval", "township", sub="chief")).status_code == 403
    assert (await office.post(f"{path}/approval", "civil_affairs", sub="chief")).status_code == 200
    assert (await office.post(f"{path}/approval", "civil_affairs", sub="chief")).status_code == 409
    assert (await office.told("payee.changed", person_id))[-1]["guardian_in_question"] is False

    await office.tell(told(office, person_id, "guardianships", guardians=[other]))
    assert await leads(office) == []
    third = guardianship(office, id_number(date(1971, 1, 1)))
    await office.tell(told(office, person_id, "guardianships", guardians=[third]))
    assert await kinds(office) == ["guardian_differs"]


async def test_a_dismissal_that_was_proposed_falls_when_the_register_says_something_else(office: Office) -> None:
    person_id = await paid_through(office, guardian())
    for birthday in (date(1968, 1, 1), date(1971, 1, 1)):
        other = guardianship(office, id_number(birthday))
        await office.tell(told(office, person_id, "guardianships", guardians=[other]))
        (lead,) = await leads(office)
        assert lead["dismissal_proposed_by"] is None
        path = f"/register-leads/{lead['lead_id']}/dismissal"
        assert (await office.post(path, "township", {"reason": "已核实"}, sub="clerk")).status_code == 202


async def test_an_account_other_than_the_register_s_is_shown_and_needs_a_reason(office: Office) -> None:
    person_id = str((await office.granted())["person_id"])
    token = office.running.app.state.vault.persons.token
    card = {"bank": "富滇银行", "status": "active", "number_token": token("account", OWN["number"])}
    await office.tell(told(office, person_id, "social_cards", cards=[card]))
    assert [(lead["kind"], lead["holds"]) for lead in await leads(office)] == [("own_card_differs", False)]

    mistyped = {**OWN, "number": "6231900000099999"}
    proposed = (await office.put(f"/persons/{person_id}/account", "township", mistyped, "clerk")).json()
    assert proposed["against"][0].startswith("社会保障卡数据")
    (change,) = (await office.get("/changes", params={"status": "pending"})).json()["items"]
    assert change["against"] == proposed["against"]
    refused = await approve(office, proposed["change_id"])
    assert (refused.status_code, refused.json()["type"].rsplit("/", 1)[-1]) == (409, "against-registers")

    proposed = (await office.put(f"/persons/{person_id}/account", "township", OWN, "clerk")).json()
    assert proposed["against"] == []
    assert (await approve(office, proposed["change_id"])).status_code == 200
    assert await leads(office) == []
    proposed = (await office.put(f"/persons/{person_id}/account", "township", mistyped, "clerk")).json()
    path, reason = f"/changes/{proposed['change_id']}/approval", {"reason": "银行换发新卡，数据未更新"}
    assert (await office.post(path, "civil_affairs", reason, sub="chief")).status_code == 200
    assert await kinds(office) == ["own_card_differs"]


async def test_a_guardian_other_than_the_register_s_is_approved_for_a_reason_only(office: Office) -> None:
    father, mother = guardian(), guardian(name="古丽·买买提")
    person_id = await paid_through(office, father)
    await office.tell(told(office, person_id, "guardianships", guardians=[guardianship(office, mother["id_number"])]))
    aunt = guardian(name="王五")
    refused = await approve(office, await propose(office, person_id, "guardian", aunt))
    assert refused.status_code == 409, refused.text
    assert (await approve(office, await propose(office, person_id, "guardian", mother))).status_code == 200


async def test_whom_a_whole_register_lists_no_more_is_looked_at_and_a_guardian_not_paid(office: Office) -> None:
    father = guardian()
    person_id = await paid_through(office, father)
    said = [guardianship(office, father["id_number"])]
    await office.tell(told(office, person_id, "guardianships", guardians=said))
    assert await leads(office) == []
    await office.tell(told(office, person_id, "guardianships", guardians=said, listed=False))
    assert [(lead["kind"], lead["holds"]) for lead in await leads(office)] == [("guardian_unlisted", True)]
    assert (await office.told("payee.changed", person_id))[-1]["guardian_in_question"] is True
    await office.tell(told(office, person_id, "guardianships", guardians=said))
    assert await leads(office) == []
    assert (await office.told("payee.changed", person_id))[-1]["guardian_in_question"] is False


@pytest.mark.parametrize(("active", "expected"), [(True, ["own_card_unlisted"]), (False, ["own_card_unusable"])])
async def test_a_card_that_a_whole_register_lists_no_more_is_a_note(
    office: Office, active: bool, expected: list[str]
) -> None:
    person_id = str((await office.granted())["person_id"])
    card = {"bank": "富滇银行", "status": "active" if active else "inactive"}
    await office.tell(told(office, person_id, "social_cards", cards=[card], listed=False))
    assert await kinds(office) == expected
    assert not any(lead["holds"] for lead in await leads(office))


async def test_contradictory_registers_are_notes_that_hold_nothing(office: Office) -> None:
    person_id = await paid_through(office, guardian())
    two = [guardianship(office, id_number(date(1968, 1, day))) for day in (1, 2)]
    homes = [{"org_code": code, "from": "2026-01-01"} for code in ("A1", "B2")]
    await office.tell(
        told(office, person_id, "guardianships", guardians=two),
        told(office, person_id, "institution_residents", residences=homes),
    )
    assert await kinds(office) == ["guardians_contradict", "institutions_contradict"]
    assert not any(lead["holds"] for lead in await leads(office))
    assert len(await office.told("payee.changed", person_id)) == 1


async def test_one_of_two_parents_on_record_is_no_lead(office: Office) -> None:
    father = guardian()
    person_id = await paid_through(office, father)
    parents = [guardianship(office, father["id_number"]), guardianship(office, id_number(date(1968, 1, 1)))]
    await office.tell(told(office, person_id, "guardianships", guardians=parents))
    assert await leads(office) == []


@pytest.mark.parametrize(
    ("org_code", "to", "expected"),
    [("A1", None, []), ("B2", None, ["institution_entered"]), ("A1", "2026-01-31", ["institution_left"])],
)
async def test_an_institution_is_set_against_the_guardian_on_record(
    office: Office, org_code: str, to: str | None, expected: list[str]
) -> None:
    home = {"kind": "institution", "name": "县儿童福利院", "org_code": "A1"}
    person_id = await paid_through(office, home)
    residence = {"org_code": org_code, "from": "2025-01-01", "to": to}
    await office.tell(told(office, person_id, "institution_residents", residences=[residence]))
    assert await kinds(office) == expected
    assert not any(lead["holds"] for lead in await leads(office)), "a child that left may still be its ward"


async def test_what_was_told_before_the_approval_is_set_against_it(office: Office) -> None:
    body = office.declaration(account={"holder": "own", "status": "none"})
    submitted = await office.submit(body)
    person_id, application_id = submitted["person_id"], submitted["application_id"]
    await office.tell(told(office, person_id, "social_cards", cards=[{"bank": "富滇银行", "status": "active"}]))
    assert await leads(office) == []
    await office.approve_by_three(application_id)
    await office.assess(application_id, "living", "care")
    assert await kinds(office) == ["own_card_active"]


async def test_a_lead_that_is_not_settled_in_time_comes_before_the_county(office: Office) -> None:
    person_id = await paid_through(office, guardian())
    await office.tell(told(office, person_id, "social_cards", cards=[{"bank": "富滇银行", "status": "active"}]))
    (lead,) = await leads(office)
    as_of = (date.fromisoformat(lead["due_on"]) + timedelta(days=1)).isoformat()
    assert (await office.post("/daily-runs", "admin", {"as_of": as_of}, area="00")).is_success
    late = (await office.get("/escalations", params={"open": "true"})).json()["items"]
    assert [(one["kind"], one["subject_id"]) for one in late] == [("register_lead", lead["lead_id"])]


async def test_a_corrected_id_takes_its_leads_along(office: Office) -> None:
    father = guardian()
    person_id = await paid_through(office, father)
    ended = guardianship(office, father["id_number"], to=TODAY - timedelta(days=40))
    await office.tell(told(office, person_id, "guardianships", guardians=[ended]))
    change_id = await propose(office, person_id, "id-number", {"id_number": id_number()})
    into = (await approve(office, change_id)).json()["person_id"]
    assert [(lead["kind"], lead["person_id"]) for lead in await leads(office)] == [("guardianship_ended", into)]
    assert (await office.told("payee.changed", into))[-1]["guardian_in_question"] is True


async def test_what_is_told_under_an_id_that_was_corrected_twice_is_about_who_goes_on(office: Office) -> None:
    father = guardian()
    first = await paid_through(office, father)
    second = (await corrected(office, first, id_number())).json()["person_id"]
    third = (await corrected(office, second, id_number())).json()["person_id"]
    ended = guardianship(office, father["id_number"], to=TODAY - timedelta(days=40))
    await office.tell(told(office, first, "guardianships", guardians=[ended]))
    assert [(lead["kind"], lead["person_id"]) for lead in await leads(office)] == [("guardianship_ended", third)]
