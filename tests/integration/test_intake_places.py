"""Two places share an application, a person, a deadline: over HTTP on a real database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

from libs.common.clock import business_today
from libs.common.events.matching import FactPushed, FindingConfirmed
from libs.common.working_days import working_days_after
from tests.integration.intake import Office

FAR = "110105"


async def accepted_far_away(office: Office) -> dict[str, Any]:
    body = office.declaration(channel="cross_province", accepted_area=FAR)
    answer = await office.post("/applications", "township", body, area=FAR)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def forwarding(office: Office, application_id: str, area: str | None = None) -> dict[str, Any]:
    answer = await office.get(f"/applications/{application_id}", area=area)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["forwarding"])


async def daily_run(office: Office, days_from_now: int = 60) -> dict[str, int]:
    as_of = {"as_of": (business_today() + timedelta(days=days_from_now)).isoformat()}
    answer = await office.post("/daily-runs", "admin", as_of, area="00")
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["done"])


async def test_accepted_anywhere_decided_at_home_and_told_where_accepted(office: Office) -> None:
    application_id = (await accepted_far_away(office))["application_id"]
    today = business_today()
    shown = await forwarding(office, application_id, FAR)
    assert (shown["step"], shown["due_on"]) == ("forward", working_days_after(today, 3).isoformat())
    early = await office.review(application_id, "township")
    assert early.status_code == 409, "it is not there yet"
    assert early.json()["type"].endswith("not-forwarded")

    path = f"/applications/{application_id}"
    assert (await office.post(f"{path}/forwarding", "township")).status_code == 404, "not the deciding place"
    done = await office.post(f"{path}/forwarding", "township", area=FAR)
    assert (done.json()["step"], done.json()["due_on"]) == ("decide", working_days_after(today, 10).isoformat())
    assert (await office.post(f"{path}/forwarding", "township", area=FAR)).status_code == 409
    body = {"stage": "township", "outcome": "approve"}
    assert (await office.post(f"{path}/reviews", "township", body, area=FAR)).status_code == 404

    assert (await office.post(f"{path}/result-notice", "township", area=FAR)).status_code == 409
    await office.approve_by_three(application_id)
    await office.assess(application_id, "living")
    shown = await forwarding(office, application_id)
    assert (shown["step"], shown["due_on"]) == ("tell", working_days_after(today, 3).isoformat())
    told = await office.post(f"{path}/result-notice", "township", area=FAR)
    assert (told.json()["step"], told.json()["due_on"]) == ("done", None)
    assert (await office.post(f"{path}/result-notice", "township", area=FAR)).status_code == 409

    for area in (FAR, office.area):
        listed = await office.get(f"/forwardings?area={area}&step=done", area=area)
        assert application_id in [item["application_id"] for item in listed.json()["items"]]
        applications = (await office.get(f"/applications?area={area}", area=area)).json()["items"]
        assert application_id in [item["application_id"] for item in applications]


async def test_who_decides_may_receive_it_directly(office: Office) -> None:
    submitted = await office.submit(channel="cross_province", accepted_area=FAR)
    assert (await forwarding(office, submitted["application_id"]))["step"] == "decide"
    await office.approve_by_three(submitted["application_id"])


async def test_another_channel_is_not_accepted_for_elsewhere(office: Office) -> None:
    body = office.declaration(channel="counter", accepted_area=FAR)
    assert (await office.post("/applications", "township", body, area=FAR)).status_code == 403
    body = office.declaration(channel="cross_province", accepted_area=FAR)
    assert (await office.post("/applications", "township", body, area="530302")).status_code == 403


async def test_each_late_office_is_escalated_once_and_resolved(office: Office) -> None:
    far = (await accepted_far_away(office))["application_id"]
    near = (await office.submit())["application_id"]
    for _ in range(2):
        await daily_run(office)
    items = (await office.get(f"/escalations?area={office.area}&open=true")).json()["items"]
    assert [(item["kind"], item["office"], item["subject_id"]) for item in items] == [("review", "township", near)]
    assert items[0]["escalated_to"] == office.area, "a county's department looks after its townships"
    items = (await office.get(f"/escalations?area={FAR}&open=true", area=FAR)).json()["items"]
    assert ("forwarding", "accepting", far) in [(i["kind"], i["office"], i["subject_id"]) for i in items]

    await office.review(near, "township")
    await daily_run(office, days_from_now=0)
    assert not (await office.get(f"/escalations?area={office.area}&open=true")).json()["items"]
    assert len((await office.get(f"/escalations?area={office.area}&open=false")).json()["items"]) == 1


async def moved(office: Office, declared: dict[str, Any] | None = None, **changes: Any) -> tuple[str, str, str]:
    """Somebody of this county who is paid and moves to another one: their id, the transfer, the other county."""
    person_id = (await office.granted(declared))["person_id"]
    other = f"98{office.area[2:]}"
    body = {"person_id": person_id, "to_area": f"{other}001", "moved_on": business_today().isoformat()} | changes
    answer = await office.post("/transfers", "township", body)
    assert answer.status_code == 201, answer.text
    prefilled = answer.json()["prefilled"]
    assert prefilled["granted"][0]["granted"] == (declared or {}).get("subsidies", ["living", "care"])
    assert prefilled["account"] == {"holder": "own", "status": "active"}
    return person_id, answer.json()["transfer_id"], other


async def test_an_accepted_transfer_is_told_and_the_archive_is_shared(office: Office) -> None:
    person_id, transfer_id, other = await moved(office)
    application_id = (await office.rows(f"SELECT application_id FROM applications WHERE person_id = '{person_id}'"))[0][
        "application_id"
    ]
    assert (await office.get(f"/applications/{application_id}/archive", area=other)).status_code == 200
    assert (await office.get(f"/applications/{application_id}/archive", area="530302")).status_code == 404
    assert (await office.get(f"/transfers/{transfer_id}", area=other)).json()["status"] == "proposed"
    assert (await office.get(f"/transfers/{transfer_id}", area="530302")).status_code == 404

    path, accept = f"/transfers/{transfer_id}/decision", {"outcome": "accepted"}
    assert (await office.post(path, "civil_affairs", accept)).status_code == 403, "the county moved from"
    own = await office.post(path, "civil_affairs", accept, f"township-{office.area}", area=other)
    assert own.status_code == 403, "who proposed it"
    decided = await office.post(path, "civil_affairs", accept, "receiver", area=other)
    assert decided.json()["status"] == "accepted"
    assert (await office.post(path, "civil_affairs", accept, "receiver", area=other)).status_code == 409

    told = (await office.told("transfer.accepted", person_id))[0]
    assert (told["to_area"], told["from_area"]) == (f"{other}001", f"{office.area}001")
    assert told["accepted_on"] == business_today().isoformat()
    assert (await office.told("payee.changed", person_id))[-1]["area"] == f"{other}001"
    assert (await office.get(f"/persons/{person_id}", area=other)).status_code == 200


async def test_who_moves_while_an_application_is_reviewed_stays_with_the_county_that_accepted_them(
    office: Office,
) -> None:
    body = office.declaration(subsidies=("living",))
    person_id, transfer_id, other = await moved(office, body)
    second = (await office.submit(body | {"subsidies": ["care"]}))["application_id"]
    accepted = await office.post(
        f"/transfers/{transfer_id}/decision", "civil_affairs", {"outcome": "accepted"}, "receiver", area=other
    )
    assert accepted.status_code == 200, accepted.text
    await office.approve_by_three(second)
    await office.assess(second, "care")
    assert (await office.read(second))["status"] == "approved", "by the county that it was handed in at"
    assert (await office.get(f"/persons/{person_id}", area=other)).json()["area"] == f"{other}001"
    assert (await office.get(f"/persons/{person_id}")).status_code == 404
    for event in ("payee.changed", "contact.changed"):
        assert (await office.told(event, person_id))[-1]["area"] == f"{other}001"


async def test_who_moves_back_and_applies_is_under_the_first_county_again(office: Office) -> None:
    body = office.declaration(subsidies=("living",))
    person_id, transfer_id, other = await moved(office, body, moved_on="2026-02-10")
    accept = {"outcome": "accepted"}
    await office.post(f"/transfers/{transfer_id}/decision", "civil_affairs", accept, "receiver", area=other)
    assert (await office.get(f"/persons/{person_id}")).status_code == 404
    await office.granted(body | {"subsidies": ["care"], "applied_on": "2026-03-10"})
    assert (await office.get(f"/persons/{person_id}")).json()["area"] == f"{office.area}001"


async def test_a_refused_transfer_changes_nothing_and_needs_a_reason(office: Office) -> None:
    person_id, transfer_id, other = await moved(office)
    path = f"/transfers/{transfer_id}/decision"
    assert (await office.post(path, "civil_affairs", {"outcome": "refused"}, "r", area=other)).status_code == 422
    refused = {"outcome": "refused", "reason": "户籍未迁入"}
    assert (await office.post(path, "civil_affairs", refused, "r", area=other)).status_code == 200
    assert not await office.told("transfer.accepted", person_id)
    assert (await office.get(f"/persons/{person_id}", area=other)).status_code == 404


async def test_a_transfer_that_makes_no_sense_is_refused(office: Office) -> None:
    person_id, _, other = await moved(office)
    body = {"person_id": person_id, "to_area": f"{other}002", "moved_on": business_today().isoformat()}
    assert (await office.post("/transfers", "township", body)).status_code == 409, "one waits already"
    second = (await office.granted())["person_id"]
    for change, path in (
        ({"to_area": f"{office.area}002"}, "to_area"),
        ({"moved_on": (business_today() + timedelta(days=1)).isoformat()}, "moved_on"),
    ):
        answer = await office.post("/transfers", "township", body | {"person_id": second} | change)
        assert answer.json()["errors"][0]["path"] == path
    unknown = await office.post("/transfers", "township", body | {"person_id": "p1-unknown"})
    assert unknown.status_code == 404


async def test_matters_that_arrive_together_are_kept_and_shown(office: Office) -> None:
    matters = [{"kind": "残疾人证办理", "reference_no": "YJS-1", "detail": "同时申请换证"}, {"kind": "低保申请"}]
    application_id = (await office.submit(channel="one_thing", matters=matters))["application_id"]
    shown = (await office.read(application_id))["matters"]
    assert shown == [matters[0], {"kind": "低保申请", "reference_no": None, "detail": None}]


async def test_the_reviewer_sees_who_looks_alike_and_the_partner_does_not(office: Office) -> None:
    phone = f"139{office.area[2:]}1234"
    first = await office.submit(subsidies=("care",), account={"holder": "own", "status": "none"})
    body = office.declaration(account={"holder": "own", "bank": "B", "number": f"62{office.area}9", "status": "active"})
    body["applicant"] |= {"name": "生僻䶮𪚥", "phone": phone}
    second = await office.submit(body)
    third = office.declaration(account=body["account"])
    third["applicant"] |= {"name": "生僻䶮𪚥", "phone": phone}
    shown = await office.read((await office.submit(third))["application_id"])
    assert [(like["person_id"], like["because"]) for like in shown["look_alikes"]] == [
        (second["person_id"], ["account", "name_and_birth", "phone"])
    ]
    assert first["person_id"] not in str(shown["look_alikes"])
    partner = await office.get(f"/applications/{second['application_id']}", "partner")
    assert partner.json()["look_alikes"] == []


async def test_contradictions_with_what_was_approved_are_shown(office: Office) -> None:
    body = office.declaration(subsidies=("living",))
    await office.granted(body)
    body["applicant"] = body["applicant"] | {
        "name": "别名",
        "certificate_number": body["applicant"]["id_number"] + "42",
    }
    again = await office.submit(body | {"subsidies": ["care"]})
    found = {item["field"]: item for item in (await office.read(again["application_id"]))["conflicts"]}
    assert found.keys() == {"name", "certificate"}
    assert (found["certificate"]["declared"], found["certificate"]["known"]) == ("physical 2", "physical 1")
    assert found["name"]["declared"] == "别*"


async def test_an_objection_against_a_stop_is_decided_by_who_did_not_grant_it(office: Office) -> None:
    person_id = (await office.granted())["person_id"]
    body = {"person_id": person_id, "subsidy": "living", "period": "2026-05", "text": "五月未发放"}
    filed = await office.post("/objections", "partner", body, area=office.area)
    assert filed.status_code == 201, filed.text
    path = f"/objections/{filed.json()['objection_id']}/decision"
    decision = {"outcome": "dismissed", "reason": "证件过期"}
    assert (await office.post(path, "civil_affairs", decision, "civil_affairs clerk")).status_code == 403
    assert (await office.post(path, "civil_affairs", decision, "another")).status_code == 200
    again = await office.post("/objections", "partner", body)
    path = f"/objections/{again.json()['objection_id']}/decision"
    assert (await office.post(path, "civil_affairs", decision, "another")).status_code == 403, "decided it before"
    assert (await office.post(path, "civil_affairs", decision, "a third")).status_code == 200


async def test_an_objection_against_a_stop_is_not_decided_by_who_confirmed_the_finding(office: Office) -> None:
    person_id = (await office.granted())["person_id"]
    confirmed = {
        "person_id": person_id, "version": 2, "finding_id": str(uuid4()), "kind": "person.imprisoned",
        "area": office.area, "status": "confirmed", "alleged_on": "2026-03-10", "hold_from": "2026-04",
        "due_on": "2026-04-20", "fact_id": str(uuid4()), "verified_by": "verifier",
    }  # fmt: skip
    await office.tell(FindingConfirmed.model_validate(confirmed))
    body = {"person_id": person_id, "subsidy": "living", "period": "2026-05", "text": "五月未发放"}
    filed = await office.post("/objections", "partner", body)
    path = f"/objections/{filed.json()['objection_id']}/decision"
    decision = {"outcome": "dismissed", "reason": "判决书属实"}
    assert (await office.post(path, "civil_affairs", decision, "verifier")).status_code == 403
    assert (await office.post(path, "civil_affairs", decision, "another")).status_code == 200


async def test_an_objection_against_a_stop_is_not_decided_by_who_told_the_fact(office: Office) -> None:
    person_id = (await office.granted())["person_id"]
    await office.tell(FactPushed(person_id=person_id, fact_id=uuid4(), pushed_by="teller"))
    body = {"person_id": person_id, "subsidy": "living", "period": "2026-05", "text": "五月未发放"}
    path = f"/objections/{(await office.post('/objections', 'partner', body)).json()['objection_id']}/decision"
    decision = {"outcome": "dismissed", "reason": "已退出低保"}
    assert (await office.post(path, "civil_affairs", decision, "teller")).status_code == 403
    assert (await office.post(path, "civil_affairs", decision, "another")).status_code == 200


async def test_a_pending_change_is_turned_down_by_another_person(office: Office) -> None:
    person_id = (await office.granted())["person_id"]
    account = {"holder": "own", "bank": "B", "number": "6217009999999990777", "status": "active"}
    change = (await office.put(f"/persons/{person_id}/account", "township", account, "proposer")).json()["change_id"]
    path, reason = f"/changes/{change}/rejection", {"reason": "户名不符"}
    assert (await office.post(path, "civil_affairs", {}, "x")).status_code == 422
    assert (await office.post(path, "civil_affairs", reason, "proposer")).status_code == 403
    assert (await office.post(path, "civil_affairs", reason, "x", area="530302")).status_code == 404
    assert (await office.post(path, "civil_affairs", reason, "x")).json()["status"] == "rejected"
    assert (await office.post(f"/changes/{change}/approval", "civil_affairs", None, "x")).status_code == 409
    assert len(await office.told("payee.changed", person_id)) == 1
