"""Applications over HTTP, on a real database: from the counter to eligibility's verdict."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from libs.common.auth import Role
from libs.common.clock import business_today
from libs.common.events.eligibility import PolicyChanged
from libs.common.period import Period
from libs.common.working_days import working_days_after
from tests.integration.intake import Office, schedule
from tests.unit.intake.samples import guardian, guardian_account, id_number


async def test_an_application_is_approved_by_three_offices_and_eligibility(office: Office) -> None:
    submitted = await office.submit()
    application_id, person_id = submitted["application_id"], submitted["person_id"]
    assert submitted["status"] == "submitted"

    await office.approve_by_three(application_id)
    waiting = await office.read(application_id)
    assert (waiting["status"], waiting["stage"], waiting["awaits_assessment"]) == ("in_review", None, True)
    last_review = (await office.told("application.reviewed", person_id))[-1]
    assert last_review["final"]
    assert last_review["facts"]["confirmed"] == ["township", "cdpf", "civil_affairs"]

    await office.assess(application_id, "living")
    decided = await office.read(application_id)
    assert decided["status"] == "approved"
    assert decided["granted"] == ["living"]
    assert [refused["subsidy"] for refused in decided["refused"]] == ["care"]
    assert decided["refused"][0]["reasons"][0]["detail"] == "care judged"

    approved = (await office.told("application.approved", person_id))[0]
    assert approved["granted"] == ["living"]
    assert approved["applied_on"] == "2026-03-02"
    assert approved["decided_on"] == business_today().isoformat()
    payee = (await office.told("payee.changed", person_id))[0]
    assert payee["certificate_number"].startswith("sm4."), "the ledger of persons names it"
    assert payee["account"]["number_last4"] == "0128"
    assert payee["cannot_act"] is False


async def test_an_assessment_of_earlier_facts_decides_nothing_and_is_shown(office: Office) -> None:
    application_id = (await office.submit())["application_id"]
    await office.assess(application_id, version=1)
    shown = await office.read(application_id)
    assert [decision["eligible"] for decision in shown["assessment"]["decisions"]] == [False, False]

    await office.approve_by_three(application_id)
    await office.assess(application_id, "living", "care", version=3)
    assert (await office.read(application_id))["status"] == "in_review"


async def test_payable_in_none_it_goes_back_to_civil_affairs_with_the_reasons(office: Office) -> None:
    submitted = await office.submit()
    application_id = submitted["application_id"]
    await office.approve_by_three(application_id)
    await office.assess(application_id)
    back = await office.read(application_id)
    assert (back["status"], back["stage"]) == ("in_review", "civil_affairs")
    assert {refused["subsidy"] for refused in back["refused"]} == {"living", "care"}
    assert not await office.told("application.approved", submitted["person_id"])

    assert (await office.review(application_id, "civil_affairs", "reject", reason="两项均不符合")).status_code == 200
    assert (await office.read(application_id))["status"] == "rejected"
    rejected = (await office.told("application.rejected", submitted["person_id"]))[0]
    assert rejected["reason"] == "两项均不符合"


async def test_the_same_office_may_decide_again_after_eligibility_found_nothing_payable(office: Office) -> None:
    application_id = (await office.submit())["application_id"]
    await office.approve_by_three(application_id)
    await office.assess(application_id)
    corrected = {"category": "dibao", "from": "2025-01-01"}
    assert (await office.review(application_id, "civil_affairs", low_income=corrected)).status_code == 200
    await office.assess(application_id, "living")
    assert (await office.read(application_id))["granted"] == ["living"]


async def test_reviews_confirm_and_correct_the_facts(office: Office) -> None:
    submitted = await office.submit()
    certificate = {
        "category": "physical",
        "level": 2,
        "issued_on": "2020-05-01",
        "expires_on": "2030-04-30",
        "status": "valid",
    }
    await office.approve_by_three(
        submitted["application_id"],
        cdpf={"certificate": certificate},
        civil_affairs={"low_income": {"category": "none"}},
    )
    facts = (await office.told("application.reviewed", submitted["person_id"]))[-1]["facts"]
    assert facts["certificate"] == certificate | {"components": [], "reissue": 0}
    assert facts["low_income"] is None


async def test_a_stage_out_of_order_is_a_conflict(office: Office) -> None:
    application_id = (await office.submit())["application_id"]
    assert (await office.review(application_id, "cdpf")).status_code == 409
    assert (await office.review(application_id, "township")).status_code == 200
    assert (await office.review(application_id, "township", sub="another")).status_code == 409


async def test_one_person_cannot_review_two_stages(office: Office) -> None:
    application_id = (await office.submit())["application_id"]
    assert (await office.review(application_id, "township", sub="busy")).status_code == 200
    assert (await office.review(application_id, "cdpf", sub="busy")).status_code == 403
    assert (await office.review(application_id, "cdpf", sub="other")).status_code == 200


async def test_a_role_reviews_its_own_stage_only(office: Office) -> None:
    application_id = (await office.submit())["application_id"]
    body = {"stage": "township", "outcome": "approve"}
    for role in ("cdpf", "civil_affairs", "finance", "auditor", "admin", "partner"):
        answer = await office.post(f"/applications/{application_id}/reviews", role, body)
        assert answer.status_code == 403, role


@pytest.mark.parametrize("outcome", ["return", "reject"])
async def test_to_return_or_reject_needs_a_reason(office: Office, outcome: str) -> None:
    application_id = (await office.submit())["application_id"]
    answer = await office.review(application_id, "township", outcome)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "reason"
    blank = await office.review(application_id, "township", outcome, reason="  ")
    assert blank.status_code == 422


async def test_completed_in_time_it_keeps_its_first_date(office: Office) -> None:
    submitted = await office.submit()
    application_id = submitted["application_id"]
    await office.review(application_id, "township", "return", reason="缺少承诺书")
    returned = await office.read(application_id)
    assert (returned["status"], returned["due_on"]) == (
        "returned",
        working_days_after(business_today(), 20).isoformat(),
    )
    assert (await office.review(application_id, "township")).status_code == 409

    assert (await office.post(f"/applications/{application_id}/completion", "partner")).status_code == 200
    complete = await office.read(application_id)
    assert (complete["status"], complete["stage"], complete["accrues_from"]) == ("in_review", "township", "2026-03-02")
    outcomes = [told["outcome"] for told in await office.told("application.reviewed", submitted["person_id"])]
    assert outcomes == ["return", "complete"]


async def test_completed_late_it_accrues_from_completion(office: Office) -> None:
    submitted = await office.submit()
    application_id = submitted["application_id"]
    await office.review(application_id, "township", "return", reason="缺少承诺书")
    await office.rows(
        f"UPDATE applications SET due_on = '{business_today() - timedelta(days=1)}'"
        f" WHERE application_id = '{application_id}' RETURNING due_on"
    )
    choice = {"kind": "elderly_care", "keep": "ours", "signed_on": "2026-03-05"}
    body = {"choices": [choice]}
    assert (await office.post(f"/applications/{application_id}/completion", "partner", body)).status_code == 200
    told = (await office.told("application.reviewed", submitted["person_id"]))[-1]
    assert told["applied_on"] == business_today().isoformat()
    assert told["facts"]["choices"] == [choice]


async def test_a_second_application_is_answered_with_the_first_one_s_id(office: Office) -> None:
    body = office.declaration(subsidies=("care",))
    first = await office.submit(body)
    again = await office.post("/applications", "partner", body | {"subsidies": ["living", "care"]})
    assert again.status_code == 409
    assert again.json()["application_id"] == first["application_id"]
    assert again.headers["content-type"].startswith("application/problem+json")
    other_subsidy = await office.post("/applications", "partner", body | {"subsidies": ["living"]})
    assert other_subsidy.status_code == 201


async def test_twins_that_come_at_once_make_one_application(office: Office) -> None:
    body = office.declaration()
    answers = await asyncio.gather(*(office.post("/applications", "partner", body) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5
    first = next(answer.json() for answer in answers if answer.status_code == 201)
    assert {answer.json()["application_id"] for answer in answers} == {first["application_id"]}


async def test_of_one_person_under_different_keys_at_once_one_is_filed(office: Office) -> None:
    body = office.declaration()
    answers = await asyncio.gather(
        *(office.post("/applications", "partner", body, headers={"Idempotency-Key": f"of one {n}"}) for n in range(6))
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5
    [filed] = [answer.json() for answer in answers if answer.status_code == 201]
    assert {answer.json()["application_id"] for answer in answers} == {filed["application_id"]}
    assert len(await office.told("application.submitted", filed["person_id"])) == 1
    kept = await office.rows("SELECT key FROM idempotency_keys WHERE key LIKE 'of one %'")
    assert len(kept) == 1, "a refusal is not kept"


async def test_under_one_key_at_once_all_get_the_answer_of_the_one_that_is_filed(office: Office) -> None:
    body, key = office.declaration(), {"Idempotency-Key": "of all"}
    answers = await asyncio.gather(*(office.post("/applications", "partner", body, headers=key) for _ in range(6)))
    assert [answer.status_code for answer in answers] == [201] * 6
    [filed] = {answer.text for answer in answers}
    assert len(await office.told("application.submitted", json.loads(filed)["person_id"])) == 1
    assert len(await office.rows("SELECT key FROM idempotency_keys WHERE key = 'of all'")) == 1


async def test_a_newcomer_is_filed_in_one_statement_and_whoever_is_known_in_two(office: Office) -> None:
    await office.submit()  # now it is known whose policy holds here
    begun: list[Any] = []
    note = begun.append
    engine = office.running.app.state.database.engine.sync_engine
    event.listen(engine, "begin", note)
    try:
        body = office.declaration(subsidies=("care",))
        newcomer = await office.submit(body)
        applicant = body["applicant"] | {"phone": "13700007777"}
        known = await office.submit(body | {"subsidies": ["living"], "applicant": applicant})
        assert not begun
        refused = await office.post("/applications", "partner", body)
        assert (refused.status_code, refused.json()["application_id"]) == (409, newcomer["application_id"])
        assert len(begun) == 1
    finally:
        event.remove(engine, "begin", note)
    [audited] = await office.rows(
        f"SELECT sub, action, person_id FROM audit_log WHERE object = '{newcomer['application_id']}'"
    )
    assert audited["action"] == "submit application"
    assert audited["person_id"] == newcomer["person_id"]
    assert known["person_id"] == newcomer["person_id"]
    assert [told["version"] for told in await office.told("contact.changed", newcomer["person_id"])] == [1, 2]


async def test_a_rejected_or_withdrawn_one_makes_room_for_another(office: Office) -> None:
    body = office.declaration()
    first = await office.submit(body)
    await office.review(first["application_id"], "township", "reject", reason="户籍不符")
    second = await office.submit(body)
    withdrawn = await office.post(f"/applications/{second['application_id']}/withdrawal", "partner", {"reason": "搬家"})
    assert withdrawn.json()["status"] == "withdrawn"
    assert (await office.post(f"/applications/{second['application_id']}/withdrawal", "partner")).status_code == 409
    await office.submit(body)


async def test_once_granted_a_new_one_waits_for_the_end_of_the_spell(office: Office) -> None:
    body = office.declaration(subsidies=("living",))
    granted = await office.granted(body)
    assert (await office.post("/applications", "partner", body)).status_code == 409

    this = Period.of(business_today())
    await office.tell(schedule(granted["person_id"], 1, last=None))
    assert (await office.post("/applications", "partner", body)).status_code == 409
    await office.tell(schedule(granted["person_id"], 2, last=this.plus(3)))
    assert (await office.post("/applications", "partner", body)).status_code == 409
    await office.tell(
        schedule(granted["person_id"], 4, last=this.previous), schedule(granted["person_id"], 3, last=None)
    )
    await office.submit(body)


async def test_a_spell_that_ended_before_the_grant_does_not_end_it(office: Office) -> None:
    body = office.declaration(subsidies=("living",))
    first = await office.granted(body)
    await office.tell(schedule(first["person_id"], 7, last=Period(2026, 4)))
    await office.granted(body)
    answer = await office.post("/applications", "partner", body)
    assert answer.status_code == 409, "eligibility has not told yet what the second approval made payable"


async def test_a_withdrawn_grant_is_told(office: Office) -> None:
    granted = await office.granted()
    answer = await office.post(f"/applications/{granted['application_id']}/withdrawal", "township")
    assert answer.status_code == 200
    told = (await office.told("application.withdrawn", granted["person_id"]))[0]
    assert told["withdrawn_on"] == business_today().isoformat()


async def test_what_is_wrong_is_named_by_its_path(office: Office) -> None:
    body = office.declaration()
    number = body["applicant"]["id_number"]
    wrong = number[:-1] + ("1" if number[-1] != "1" else "2")
    body["applicant"] |= {"id_number": wrong, "phone": "12", "certificate_number": id_number() + "41"}
    body["applied_on"] = (business_today() + timedelta(days=1)).isoformat()
    body["account"] |= {"number": "12"}
    answer = await office.post("/applications", "partner", body)
    assert answer.status_code == 422
    errors = {error["path"]: error["message"] for error in answer.json()["errors"]}
    assert errors.keys() == {
        "applicant.id_number",
        "applicant.phone",
        "account.number",
        "applied_on",
    }
    assert "checksum" in errors["applicant.id_number"]
    assert wrong not in answer.text


async def test_identities_are_repaired_before_they_are_judged(office: Office) -> None:
    number = next(number for number in iter(id_number, None) if number.endswith("X"))
    body = office.declaration(number=number)
    first = await office.submit(body)
    body["applicant"] |= {"id_number": f" ５３{number[2:].lower()} ", "certificate_number": f"{number.lower()}41"}
    again = await office.post("/applications", "partner", body)
    assert again.status_code == 409
    assert again.json()["application_id"] == first["application_id"]


@pytest.mark.parametrize("area", ["5301", "53010", "china", "530100"])
async def test_the_hukou_area_is_a_county_or_a_township(office: Office, area: str) -> None:
    answer = await office.post("/applications", "partner", office.declaration(area=area))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "applicant.hukou_area"


async def test_any_well_formed_area_is_taken(office: Office) -> None:
    answer = await office.post("/applications", "partner", office.declaration(area="990199"), area="99")
    assert answer.status_code == 201


async def test_outside_one_s_area_one_neither_submits_nor_sees(office: Office) -> None:
    assert (await office.post("/applications", "partner", office.declaration(area="530302"))).status_code == 403
    application_id = (await office.submit())["application_id"]
    assert (await office.get("/applications?area=5303")).status_code == 403
    assert (await office.get(f"/applications/{application_id}", area="530302")).status_code == 404
    body = {"stage": "township", "outcome": "approve"}
    elsewhere = await office.post(f"/applications/{application_id}/reviews", "township", body, area="530302")
    assert elsewhere.status_code == 404


async def test_a_partner_sees_what_it_submitted_and_no_more(office: Office) -> None:
    application_id = (await office.submit())["application_id"]
    assert (await office.get(f"/applications/{application_id}", "partner")).status_code == 200
    assert (await office.get(f"/applications/{application_id}", "partner", sub="other")).status_code == 404
    assert (await office.get("/applications", "partner", sub="other")).json()["items"] == []


@pytest.mark.parametrize("role", ["finance", "auditor", "admin", "cdpf"])
async def test_who_may_not_submit_may_not(office: Office, role: Role) -> None:
    assert (await office.post("/applications", role, office.declaration())).status_code == 403


async def test_a_capable_adult_is_not_paid_through_a_guardian(office: Office) -> None:
    body = office.declaration(guardian=guardian(), account=guardian_account())
    answer = await office.post("/applications", "partner", body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "account.holder"


async def test_a_child_is_paid_through_the_guardian_with_the_reason(office: Office) -> None:
    born = business_today().replace(day=1) - timedelta(days=3650)
    without = office.declaration(born=born, category="mental", level=2, account=guardian_account(reason=None))
    assert "account.holder" in (await office.post("/applications", "partner", without)).json()["detail"]
    unexplained = without | {"guardian": guardian()}
    assert "account.reason" in (await office.post("/applications", "partner", unexplained)).json()["detail"]

    granted = await office.granted(without | {"guardian": guardian(), "account": guardian_account()})
    payee = (await office.told("payee.changed", granted["person_id"]))[0]
    assert (payee["account"]["holder"], payee["cannot_act"]) == ("guardian", True)


async def test_the_list_is_masked_filtered_and_paged(office: Office) -> None:
    for channel in ("online", "counter", "counter"):
        await office.submit(channel=channel)
    items = (await office.get(f"/applications?area={office.area}&channel=counter&status=submitted")).json()["items"]
    assert [item["channel"] for item in items] == ["counter", "counter"]
    assert items[0]["name"].startswith("阿*")
    first = (await office.get("/applications?limit=2")).json()
    second = (await office.get("/applications", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    ids = [item["application_id"] for item in first["items"] + second["items"]]
    assert len(set(ids)) == 3
    assert second["next_cursor"] is None


async def test_an_office_that_is_late_shows_in_the_list_of_overdue(office: Office) -> None:
    late = (await office.submit())["application_id"]
    await office.submit()
    await office.rows(
        f"UPDATE applications SET due_on = '{business_today() - timedelta(days=1)}'"
        f" WHERE application_id = '{late}' RETURNING due_on"
    )
    overdue = (await office.get("/applications?overdue=true")).json()["items"]
    assert [item["application_id"] for item in overdue] == [late]
    assert (await office.read(late))["overdue"] is True


async def test_identities_are_shown_whole_for_a_reason_only(office: Office) -> None:
    body = office.declaration()
    submitted = await office.submit(body)
    path = f"/applications/{submitted['application_id']}"
    number = body["applicant"]["id_number"]
    assert number not in (await office.get(path, "auditor")).text
    assert number in (await office.get(path, "auditor", params={"reason": "年度审计"})).text
    assert (await office.get(path, "finance", params={"reason": "好奇"})).status_code == 403
    log = (await office.get(f"/audit-log?person_id={submitted['person_id']}", "auditor")).json()["items"]
    assert (log[0]["action"], log[0]["reason"]) == ("read application unmasked", "年度审计")


async def test_at_rest_and_on_the_bus_no_identity_is_in_the_clear(office: Office) -> None:
    body = office.declaration(guardian=guardian())
    await office.granted(body)
    tables = ("persons", "applications", "accounts", "guardians", "outbox", "audit_log", "reviews", "changes")
    kept = " ".join([str(await office.rows(f"SELECT * FROM {table}")) for table in tables])
    for secret in (
        body["applicant"]["id_number"],
        body["applicant"]["name"],
        body["applicant"]["phone"],
        body["account"]["number"],
        body["guardian"]["id_number"],
        body["guardian"]["name"],
    ):
        assert secret not in kept


async def test_a_body_that_is_too_large_or_no_json_is_refused(office: Office) -> None:
    http, headers = office.running.http, office.token("partner")
    assert (await http.post("/v1/applications", content=b" " * 10_000_000, headers=headers)).status_code == 413
    headers |= {"content-type": "application/json"}
    broken = await http.post("/v1/applications", content=b'{"applicant": ', headers=headers)
    assert broken.status_code == 400
    assert broken.headers["content-type"].startswith("application/problem+json")


async def test_the_same_key_and_body_get_the_first_answer_again(office: Office) -> None:
    body, key = office.declaration(), {"Idempotency-Key": "one"}
    first = await office.post("/applications", "partner", body, headers=key)
    again = await office.post("/applications", "partner", body, headers=key)
    assert (again.status_code, again.json()) == (201, first.json())
    other = await office.post("/applications", "partner", office.declaration(), headers=key)
    assert other.status_code == 409


_ODD_TEXTS = ("", " ", "\x00", "\ud800", "𪚥" * 101, "a" * 5000, "9999-12-31")
_ODD: tuple[Any, ...] = (*_ODD_TEXTS, None, 0, -1, 10**30, 1.5, True, [], {}, [[]])


def _spoiled(body: Any) -> Iterator[Any]:
    """The body with each of its values odd, or gone, in turn."""
    places = list(body) if isinstance(body, dict) else range(len(body))
    for place in places:
        for odd in _ODD:
            yield {**body, place: odd} if isinstance(body, dict) else [*body[:place], odd, *body[place + 1 :]]
        if isinstance(body, dict):
            yield {name: value for name, value in body.items() if name != place}
        if isinstance(body[place], dict | list):
            for spoiled in _spoiled(body[place]):
                yield {**body, place: spoiled} if isinstance(body, dict) else [spoiled]


async def test_no_odd_body_is_a_crash(office: Office) -> None:
    whole = office.declaration(
        category="multiple",
        guardian=guardian(),
        account=guardian_account(),
        agent={"relation": "父亲", "name": "甲", "id_number": id_number(), "phone": "13888881234"},
        choices=[{"kind": "elderly_care", "keep": "ours", "signed_on": "2026-03-02"}],
        incapacity={"basis": "court", "found_on": "2026-01-02", "document_no": "1"},
    )
    parts = [{"category": "mental", "level": 1}, {"category": "vision", "level": 2}]
    whole["applicant"]["components"] = parts
    headers = office.token("partner") | {"content-type": "application/json"}
    answers: Counter[int] = Counter()
    for body in _spoiled(whole):
        answer = await office.running.http.post("/v1/applications", content=json.dumps(body), headers=headers)
        answers[answer.status_code] += 1
        assert answer.status_code < 500, body
        if answer.status_code == 422:
            assert answer.json()["errors"][0]["path"], body
    assert answers[422] > 500
    assert answers.keys() <= {201, 403, 409, 422}


async def test_a_person_who_is_paid_is_reached_as_before_until_a_new_application_is_approved(office: Office) -> None:
    body = office.declaration(subsidies=("living",))
    person_id = (await office.granted(body))["person_id"]
    before = len(await office.told("contact.changed", person_id))
    body["applicant"] = body["applicant"] | {"phone": "13811112222"}
    second = await office.submit(body | {"subsidies": ["care"]})
    assert len(await office.told("contact.changed", person_id)) == before
    await office.approve_by_three(second["application_id"])
    await office.assess(second["application_id"], "care")
    contacts = await office.told("contact.changed", person_id)
    assert [contact["version"] for contact in contacts] == list(range(1, before + 2))


async def test_a_deadline_follows_the_policy_of_the_area(office: Office) -> None:
    values = [{"parameter": "review.township_days", "since": "2016-01-01", "value": 7}]
    values.append({"parameter": "objection.answer_days", "since": "2016-01-01", "value": 9})
    told = {"version": 1, "area": office.area, "policy_version": f"of {office.area}", "values": values}
    before = await office.submit()
    await office.tell(PolicyChanged.model_validate(told))
    after = await office.submit()
    assert before["due_on"] == str(working_days_after(business_today(), 3))
    assert after["due_on"] == str(working_days_after(business_today(), 7))

    await office.review(after["application_id"], "township", "reject", reason="材料不实")
    objection = {"application_id": after["application_id"], "text": "材料属实"}
    assert (await office.post("/objections", "partner", objection)).status_code == 201
    filed = (await office.get("/objections")).json()["items"][0]
    assert filed["due_on"] == str(working_days_after(business_today(), 9))


async def test_work_is_listed_by_its_deadline_and_paged(office: Office) -> None:
    waiting = [(await office.submit())["application_id"] for _ in range(3)]
    await office.review(waiting[0], "township")
    withdrawn = (await office.submit())["application_id"]
    await office.post(f"/applications/{withdrawn}/withdrawal", "partner")
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = {"order": "due", "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await office.get("/applications", "township", params=query)).json()
        seen += [item["application_id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == sorted(waiting), "all that is under way, by day and then by age; not what is closed"
    mine = (await office.get("/applications", params={"stage": "cdpf"})).json()["items"]
    assert [item["application_id"] for item in mine] == [waiting[0]]
