"""Recoveries: by decision, set off against later payments, returned, withdrawn; estates and heirs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest

from tests.conftest import Databases, Issuer, eventually
from tests.integration.disbursement import HEIR, Person, World, world


@pytest.fixture(scope="module")
async def there(databases: Databases, issuer: Issuer) -> AsyncIterator[World]:
    async with world(databases, issuer, roles="api,relay,consumer,worker") as made:
        yield made


@pytest.fixture
async def here(there: World) -> AsyncIterator[World]:
    yield there
    await there.bank.delete("/v1/faults")


async def paid_person(here: World, since: str = "2026-01", upto: str = "2026-02") -> Person:
    area = here.county()
    await here.funded(area)
    person = await here.person(area)
    await person.entitled(since)
    await here.heard()
    await here.paid(area, upto)
    return person


async def claimed(here: World, person: Person, *months: Any, cause: str = "fraud") -> dict[str, Any]:
    case: dict[str, Any] = await here.post(
        "/v1/recoveries",
        "civil_affairs",
        person_id=person.person_id,
        subsidy="living",
        cause=cause,
        source="tip_off",
        reason="举报核实：隐瞒收入",
        months=list(months),
    )
    return case


async def test_a_tip_off_claims_what_was_paid_and_the_month_is_not_owed_again_once_repaid(here: World) -> None:
    person = await paid_person(here)
    case = await claimed(here, person, "2026-01", {"period": "2026-02", "amount_fen": 4_000})
    assert (case["cause"], case["amount_fen"], case["status"]) == ("fraud", 14_000, "open")
    repaid = await here.post(
        f"/v1/recoveries/{case['recovery_id']}/repayments", "finance", amount_fen=14_000, document_no="缴款书1"
    )
    assert repaid["status"] == "closed"
    assert (await here.drawn_up(person.area, "2026-02"))["counts"]["payable"] == 0
    await here.invariants_hold()

    # A standard raised later brings nothing for the month that was not due at all.
    await person.entitled("2026-01", amount_fen=12_000, cause="policy.changed")
    await here.heard()
    assert [(await person.account_of(month))["owed_fen"] for month in ("2026-01", "2026-02")] == [0, 2_000]
    await here.invariants_hold()

    # Facts that end the entitlement later claim only what the decision left.
    await person.entitled("2026-03", "2026-02", stopped_because="economic")
    await here.heard()
    open_cases = (await here.get(f"/v1/recoveries?person_id={person.person_id}&status=open"))["items"]
    assert [(c["cause"], c["amount_fen"]) for c in open_cases] == [("economic", 6_000)]
    await here.invariants_hold()


async def test_more_than_was_paid_is_not_claimed(here: World) -> None:
    person = await paid_person(here)
    body = {"person_id": person.person_id, "subsidy": "living", "cause": "error", "reason": "x"}
    for months in (["2026-05"], [{"period": "2026-01", "amount_fen": 10_001}]):
        refused = await here.call("POST", "/v1/recoveries", "civil_affairs", months=months, **body)
        assert (refused.status_code, refused.json()["type"].rsplit("/")[-1]) == (422, "nothing-paid")
    outside = await here.call("POST", "/v1/recoveries", "civil_affairs", scope="52", months=["2026-01"], **body)
    assert outside.status_code == 404


async def test_a_share_of_later_payments_is_set_off_by_consent_and_the_month_is_paid_in_full(here: World) -> None:
    person = await paid_person(here)
    case = await claimed(here, person, {"period": "2026-01", "amount_fen": 5_000})
    refused = await here.call(
        "POST", f"/v1/recoveries/{case['recovery_id']}/plan", "civil_affairs", method="offset", offset_percent=20
    )
    assert refused.json()["type"].rsplit("/")[-1] == "offset-not-allowed"
    plan = f"/v1/recoveries/{case['recovery_id']}/plan"
    refused = await here.call("POST", plan, "civil_affairs", method="repayment", offset_percent=20, consent="同意书1")
    assert [error["path"] for error in refused.json()["errors"]] == ["offset_percent"]
    await here.post(plan, "civil_affairs", offset_percent=20, consent="同意书1")
    await here.paid(person.area, "2026-05")
    # 2,000 + 2,000 + the last 1,000: never more than is claimed.
    march = await person.account_of("2026-03")
    assert (march["paid_fen"], march["offset_fen"], march["owed_fen"]) == (10_000, 2_000, 0)
    amounts = sorted(t["amount_fen"] for t in await here.transfers_to(person.account))
    assert amounts == [8_000, 8_000, 9_000, 10_000, 10_000]
    assert (await here.get(f"/v1/recoveries/{case['recovery_id']}"))["status"] == "closed"
    balances = await here.sql(
        "SELECT account, balance_fen FROM balances WHERE book_area = :area AND subsidy = 'living'"
        " AND account IN ('paid', 'refunded', 'receivable')",
        area=person.area,
    )
    assert {b["account"]: b["balance_fen"] for b in balances} == {"paid": 45_000, "refunded": 5_000, "receivable": 0}
    statistics = (await here.get(f"/v1/recovery-statistics?area={person.area}"))["items"]
    assert [(s["cause"], s["claimed_fen"], s["of_it_offset_fen"], s["open_fen"]) for s in statistics] == [
        ("fraud", 5_000, 5_000, 0)
    ]
    await here.invariants_hold()


async def test_an_offset_of_a_payment_that_came_back_is_claimed_again(here: World) -> None:
    person = await paid_person(here)
    case = await claimed(here, person, {"period": "2026-01", "amount_fen": 5_000})
    plan = {"method": "offset", "offset_percent": 50, "decision": "追缴决定1号"}
    await here.post(f"/v1/recoveries/{case['recovery_id']}/plan", "civil_affairs", **plan)
    await here.bank.post("/v1/faults", json={"return_accounts": {person.account: "closed"}})
    await here.submitted(person.area, "2026-03")

    async def is_returned() -> bool:
        return [p["status"] for p in await person.payments()][-1:] == ["returned"]

    await eventually(is_returned)
    again = await here.get(f"/v1/recoveries/{case['recovery_id']}")
    assert (again["status"], again["outstanding_fen"]) == ("open", 5_000)
    assert (await person.account_of("2026-03"))["owed_fen"] == 10_000
    await here.invariants_hold()


async def test_what_is_repaid_while_an_offset_is_on_its_way_is_owed_to_the_person(here: World) -> None:
    person = await paid_person(here)
    case = await claimed(here, person, {"period": "2026-01", "amount_fen": 5_000})
    plan = {"method": "offset", "offset_percent": 50, "consent": "同意书2"}
    await here.post(f"/v1/recoveries/{case['recovery_id']}/plan", "civil_affairs", **plan)
    cycle = await here.approved(person.area, "2026-03")
    await here.post(
        f"/v1/recoveries/{case['recovery_id']}/repayments", "finance", amount_fen=5_000, document_no="缴款书2"
    )
    await here.post(f"/v1/cycles/{cycle['cycle_id']}/submission", "finance")
    await here.cycle_is(cycle["cycle_id"], "closed")
    march = await person.account_of("2026-03")
    assert (march["paid_fen"], march["offset_fen"], march["owed_fen"]) == (5_000, 0, 5_000)
    await here.paid(person.area, "2026-03")
    assert (await person.account_of("2026-03"))["paid_fen"] == 10_000
    await here.invariants_hold()


async def test_a_decision_that_does_not_stand_is_withdrawn_and_what_was_repaid_is_owed(here: World) -> None:
    person = await paid_person(here)
    case = await claimed(here, person, "2026-01")
    path = f"/v1/recoveries/{case['recovery_id']}"
    await here.post(f"{path}/repayments", "finance", amount_fen=3_000)
    withdrawn = await here.post(f"{path}/withdrawal", "civil_affairs", reason="复议撤销")
    assert (withdrawn["status"], withdrawn["outstanding_fen"]) == ("closed", 0)
    assert (await person.account_of("2026-01"))["owed_fen"] == 3_000
    await here.paid(person.area, "2026-02")
    await here.invariants_hold()


async def test_what_the_payee_repaid_and_the_bank_returned_too_is_owed_to_the_payee(here: World) -> None:
    person = await paid_person(here, upto="2026-01")
    case = await claimed(here, person, "2026-01")
    await here.post(f"/v1/recoveries/{case['recovery_id']}/repayments", "finance", amount_fen=10_000)
    [payment] = await person.payments()
    await here.webhook("payment.returned", payment_id=payment["payment_id"], code="closed", returned_on="2026-02-02")
    await here.invariants_hold()
    assert (await person.account_of("2026-01"))["owed_fen"] == 10_000
    await person.paid_to("6222020000000555")
    await here.heard()
    await here.paid(person.area, "2026-01")
    assert [transfer["amount_fen"] for transfer in await here.transfers_to("6222020000000555")] == [10_000]
    assert (await person.account_of("2026-01"))["owed_fen"] == 0
    await here.invariants_hold()


async def test_after_death_the_estate_owes_and_an_heir_who_proves_it_is_paid_what_is_due(here: World) -> None:
    person = await paid_person(here, upto="2026-03")
    path = f"/v1/persons/{person.person_id}/heir"
    early = await here.call("POST", path, "township", **HEIR)
    assert early.json()["type"].rsplit("/")[-1] == "not-known-dead"
    # Dead in April: May and later were not paid, April is due. It is no stop before the month is over.
    await person.entitled("2026-02", "2026-04", cause="person.died", died_on=date(2026, 4, 3))
    await person.paid_to(None)
    await here.heard()
    [case] = (await here.get(f"/v1/recoveries?person_id={person.person_id}"))["items"]
    assert case["debtor"] == "estate"
    refused = await here.call(
        "POST",
        f"/v1/recoveries/{case['recovery_id']}/plan",
        "civil_affairs",
        method="offset",
        offset_percent=10,
        decision="x",
    )
    assert "estate" in refused.json()["detail"]
    planned = await here.post(f"/v1/recoveries/{case['recovery_id']}/plan", "civil_affairs", method="estate")
    assert planned["debtor"] == "estate"

    assert (await here.drawn_up(person.area, "2026-04"))["counts"]["unpayable"] == 1
    proposed = await here.post(path, "civil_affairs", sub="proposer", **HEIR)
    own = await here.call("POST", f"/v1/heirs/{proposed['heir_id']}/approval", "civil_affairs", sub="proposer")
    assert own.status_code == 403
    await here.post(f"/v1/heirs/{proposed['heir_id']}/approval", "civil_affairs", sub="approver")
    await here.bank.post("/v1/faults", json={"fail_accounts": {HEIR["number"]: "dormant"}})
    await here.paid(person.area, "2026-04")
    await here.bank.delete("/v1/faults")
    assert (await person.account_of("2026-04"))["obstacle"] == "account_failed"
    assert (await here.drawn_up(person.area, "2026-04"))["counts"]["unpayable"] == 1
    corrected = {**HEIR, "number": "6228480000000666"}
    await here.heir_approved(person, corrected)
    await here.paid(person.area, "2026-04")
    [transfer] = await here.transfers_to(corrected["number"])
    assert (transfer["amount_fen"], transfer["payee_name"]) == (10_000, HEIR["name"])
    assert (await person.account_of("2026-04"))["paid_fen"] == 10_000
    await here.invariants_hold()


async def test_who_died_before_the_approval_is_paid_to_an_heir_and_to_nobody_before(here: World) -> None:
    area = here.county()
    await here.funded(area)
    person = await here.person(area)
    # Eligibility does not call it a stop before the month of death is over.
    await person.entitled("2026-03", "2026-04", died_on=date(2026, 4, 3), to_heir=True)
    await here.heard()
    cycle = await here.drawn_up(area, "2026-04")
    assert cycle["counts"]["unpayable"] == 2
    items = (await here.get(f"/v1/cycles/{cycle['cycle_id']}/items"))["items"]
    assert {(item["outcome"], item["reason"]) for item in items} == {("unpayable", "heir_awaited")}

    heir = {**HEIR, "number": "6228480000000999"}
    [awaited] = (await here.get("/v1/heirs?status=awaited", "township"))["items"]
    assert (awaited["person_id"], awaited["area"], awaited["holder_name"]) == (person.person_id, area, None)
    await here.heir_approved(person, heir)
    # The same is told again: who is the heir stays.
    await person.entitled("2026-03", "2026-04", stopped_because="alive", died_on=date(2026, 4, 3), to_heir=True)
    await here.heard()
    await here.paid(area, "2026-04")
    assert [transfer["amount_fen"] for transfer in await here.transfers_to(heir["number"])] == [10_000, 10_000]
    assert await here.transfers_to(person.account) == []
    await here.invariants_hold()


async def test_who_was_declared_dead_and_came_back_is_paid_themselves_and_no_heir_any_more(here: World) -> None:
    person = await paid_person(here, upto="2026-02")
    await person.entitled("2026-01", "2026-02", cause="person.declared_dead", died_on=date(2026, 2, 9))
    await here.heard()
    heir = {**HEIR, "number": "6228480000000777"}
    await here.heir_approved(person, heir)
    another = await here.post(f"/v1/persons/{person.person_id}/heir", "civil_affairs", sub="proposer", **heir)
    # Another end before the death is no return to life.
    await person.entitled("2026-01", "2026-01", cause="low_income.exited", died_on=date(2026, 2, 9))
    await here.heard()
    [awaiting] = (await here.get(f"/v1/heirs?area={person.area}&status=approved", "civil_affairs"))["items"]
    assert awaiting["person_id"] == person.person_id
    # Nor need a month come back: an exit keeps them away, and they live.
    await person.entitled("2026-01", "2026-01", cause="person.reappeared", stopped_because="economic_status")
    await here.heard()
    assert await here.get(f"/v1/heirs?area={person.area}&status=approved", "civil_affairs") == {
        "items": [], "next_cursor": None,
    }  # fmt: skip
    await person.entitled("2026-01", cause="application.approved")
    await here.heard()
    late = await here.call("POST", f"/v1/heirs/{another['heir_id']}/approval", "civil_affairs", sub="approver")
    assert late.json()["type"].rsplit("/")[-1] == "not-known-dead"
    await here.paid(person.area, "2026-03")
    assert await here.transfers_to(heir["number"]) == []
    assert (await person.account_of("2026-03"))["paid_fen"] == 10_000
    await here.invariants_hold()


async def test_an_heir_is_ended_by_two_with_a_reason_and_the_account_of_before_is_paid_again(here: World) -> None:
    person = await paid_person(here, upto="2026-01")
    await person.entitled("2026-01", "2026-02", cause="person.died", died_on=date(2026, 2, 9))
    await here.heard()
    path = f"/v1/persons/{person.person_id}/heir"
    mistaken = await here.post(path, "township", sub="proposer", **HEIR)
    withdrawn = await here.post(f"/v1/heirs/{mistaken['heir_id']}/ending", "township", sub="proposer", reason="误提")
    assert withdrawn["status"] == "replaced", "nothing was ever paid to it"
    heir = {**HEIR, "number": "6228480000000555"}
    await here.heir_approved(person, heir)
    [listed] = (await here.get(f"/v1/heirs?area={person.area}&status=approved"))["items"]
    ending = f"/v1/heirs/{listed['heir_id']}/ending"
    early = await here.call("POST", f"{ending}/approval", "civil_affairs", sub="approver")
    assert early.status_code == 409
    await here.post(ending, "township", sub="proposer", reason="误提")
    refused = await here.post(f"{ending}/refusal", "civil_affairs", sub="approver", reason="证明有效")
    assert refused["status"] == "approved"
    await here.post(ending, "township", sub="proposer", reason="公证书被撤销")
    own = await here.call("POST", f"{ending}/approval", "civil_affairs", sub="proposer")
    assert own.status_code == 403
    [waiting] = (await here.get(f"/v1/heirs?area={person.area}&status=ending"))["items"]
    assert (waiting["heir_id"], waiting["end_reason"]) == (listed["heir_id"], "公证书被撤销")
    await here.post(f"{ending}/approval", "civil_affairs", sub="approver")
    twice = await here.call("POST", f"{ending}/approval", "civil_affairs", sub="approver")
    assert twice.status_code == 409
    await here.paid(person.area, "2026-02")
    assert await here.transfers_to(heir["number"]) == []
    assert len(await here.transfers_to(person.account)) == 2, "approved in life, they keep their card"
    deeds = await here.sql(
        "SELECT action, sub, reason FROM audit_log WHERE object = :id ORDER BY entry_id", id=str(listed["heir_id"])
    )
    assert [(deed["action"], deed["sub"], deed["reason"]) for deed in deeds[-2:]] == [
        ("propose end of heir", "proposer", "公证书被撤销"),
        ("end heir", "approver", "公证书被撤销"),
    ]
    await here.invariants_hold()


async def test_an_heir_is_awaited_again_once_the_one_of_who_died_before_the_approval_is_ended(here: World) -> None:
    person = await here.person(here.county())
    await person.entitled("2026-03", "2026-03", died_on=date(2026, 3, 9), to_heir=True)
    await here.heard()
    await here.heir_approved(person, HEIR)
    [heir] = (await here.get(f"/v1/heirs?area={person.area}&status=approved"))["items"]
    await here.post(f"/v1/heirs/{heir['heir_id']}/ending", "civil_affairs", sub="proposer", reason="非继承人")
    await here.post(f"/v1/heirs/{heir['heir_id']}/ending/approval", "civil_affairs", sub="approver")
    [awaited] = (await here.get(f"/v1/heirs?area={person.area}&status=awaited"))["items"]
    refused = await here.call("POST", f"/v1/heirs/{awaited['heir_id']}/ending", "civil_affairs", reason="x")
    assert (awaited["person_id"], refused.status_code) == (person.person_id, 409)
    assert (await here.drawn_up(person.area, "2026-03"))["counts"]["unpayable"] == 1


async def test_instalments_cover_what_is_outstanding(here: World) -> None:
    person = await paid_person(here)
    case = await claimed(here, person, "2026-01")
    plan = f"/v1/recoveries/{case['recovery_id']}/plan"
    short = [{"due_on": "2026-05-01", "amount_fen": 4_000}]
    refused = await here.call("POST", plan, "civil_affairs", instalments=short)
    assert (refused.status_code, [error["path"] for error in refused.json()["errors"]]) == (422, ["instalments"])
    assert "60.00元" in refused.json()["errors"][0]["message"]
    beside = await here.post(plan, "civil_affairs", instalments=short, offset_percent=20, consent="同意书3")
    assert beside["plan"]["instalments"] == short
    await here.post(plan, "civil_affairs", instalments=[*short, {"due_on": "2026-06-01", "amount_fen": 6_000}])


async def test_a_plan_that_is_not_kept_or_covers_no_more_what_is_claimed_is_a_case(here: World) -> None:
    person = await paid_person(here)
    case = await claimed(here, person, "2026-01")
    path = f"/v1/recoveries/{case['recovery_id']}"
    await here.post(f"{path}/repayments", "finance", amount_fen=1_000, document_no="缴款书1")
    instalments = [{"due_on": "2026-05-01", "amount_fen": 4_000}, {"due_on": "2026-06-01", "amount_fen": 5_000}]
    await here.post(f"{path}/plan", "civil_affairs", instalments=instalments)

    async def behind(as_of: str) -> list[tuple[int, int]]:
        await here.post("/v1/daily-runs", "admin", as_of=as_of)
        listed = (await here.get(f"/v1/cases?area={person.area}&kind=plan_behind&resolved=false"))["items"]
        return [(item["detail"]["overdue_fen"], item["detail"]["unplanned_fen"]) for item in listed]

    assert await behind("2026-05-01") == []
    assert await behind("2026-05-02") == [(4_000, 0)]
    await here.post(f"{path}/repayments", "finance", amount_fen=4_000, document_no="缴款书2")
    assert await behind("2026-05-03") == []
    await claimed(here, person, {"period": "2026-02", "amount_fen": 3_000})  # it joins the open case
    assert await behind("2026-05-04") == [(0, 3_000)]
    assert await behind("2026-06-02") == [(5_000, 3_000)]
    await here.post(f"{path}/plan", "civil_affairs", instalments=[{"due_on": "2026-07-01", "amount_fen": 8_000}])
    assert await behind("2026-06-03") == []


async def test_a_write_off_that_is_refused_lets_another_be_proposed(here: World) -> None:
    person = await paid_person(here)
    case = await claimed(here, person, "2026-01")
    path = f"/v1/recoveries/{case['recovery_id']}/write-off"
    none = await here.call("POST", f"{path}/refusal", "finance", reason="x")
    assert none.status_code == 409
    await here.post(path, "civil_affairs", sub="proposer", reason="无力偿还")
    await here.post(f"{path}/refusal", "finance", sub="approver", reason="尚有收入")
    gone = await here.call("POST", f"{path}/approval", "finance", sub="approver")
    assert gone.status_code == 409
    await here.post(path, "civil_affairs", sub="proposer", amount_fen=4_000, reason="部分无力偿还")
    await here.post(f"{path}/approval", "finance", sub="approver")
    again = await here.get(f"/v1/recoveries/{case['recovery_id']}")
    assert (again["written_off_fen"], again["outstanding_fen"]) == (4_000, 6_000)


@pytest.mark.parametrize("repaid_fen", [3_000, 10_000])
async def test_who_gave_back_what_was_claimed_by_mistake_is_told_that_it_is_due_again(
    here: World, repaid_fen: int
) -> None:
    person = await paid_person(here)
    case = await claimed(here, person, "2026-01")
    path = f"/v1/recoveries/{case['recovery_id']}"
    await here.post(f"{path}/repayments", "finance", amount_fen=repaid_fen)
    await here.post(f"{path}/withdrawal", "civil_affairs", reason="复议撤销")
    [*_, told] = await here.sql(
        "SELECT type, body FROM outbox WHERE key = :key AND type LIKE 'recovery%' ORDER BY seq", key=person.person_id
    )
    data = json.loads(told["body"])["data"]
    assert (told["type"], data["due_again_fen"]) == ("recovery.closed.v1", repaid_fen)
    assert (await person.account_of("2026-01"))["owed_fen"] == repaid_fen


async def test_a_death_that_was_an_error_needs_no_heir(here: World) -> None:
    area = here.county()
    await here.funded(area)
    person = await here.person(area)
    await person.entitled("2026-03", "2026-03", died_on=date(2026, 3, 9), to_heir=True)
    await person.entitled("2026-03", cause="fact.retracted")
    await here.heard()
    await here.paid(area, "2026-03")
    assert [transfer["amount_fen"] for transfer in await here.transfers_to(person.account)] == [10_000]
    await here.invariants_hold()
