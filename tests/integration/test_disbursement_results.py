"""What the bank says, in every order and disorder, and what becomes of it."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import DBAPIError

from libs.common.clock import business_today, utc_now
from services.disbursement.handlers.deliveries import Delivery, Door
from services.disbursement.handlers.receipts import Sms
from services.disbursement.handlers.results import BankResult
from tests.conftest import Databases, Issuer, eventually
from tests.integration.disbursement import Person, World, world

TODAY = business_today()


@pytest.fixture(scope="module")
async def there(databases: Databases, issuer: Issuer) -> AsyncIterator[World]:
    async with world(databases, issuer, roles="api,relay,consumer,worker") as made:
        yield made


@pytest.fixture
async def here(there: World) -> AsyncIterator[World]:
    """The world, with a bank that works again afterwards."""
    yield there
    await there.bank.delete("/v1/faults")


async def entitled_person(here: World, *, account: str | None = None) -> Person:
    area = here.county()
    await here.funded(area)
    person = await here.person(area, account=account)
    await person.entitled("2026-03")
    await here.heard()
    return person


async def cases(here: World, kind: str, **wanted: Any) -> list[dict[str, Any]]:
    found = (await here.get(f"/v1/cases?kind={kind}"))["items"]
    return [case for case in found if wanted.items() <= case.items()]


async def test_a_failed_payment_is_issued_again_once_the_account_is_corrected(here: World) -> None:
    person = await entitled_person(here)
    await here.bank.post("/v1/faults", json={"fail_accounts": {person.account: "dormant"}})
    cycle = await here.paid(person.area, "2026-03")
    assert cycle["counts"]["failed"] == 1
    month = await person.account_of("2026-03")
    assert (month["owed_fen"], month["payee_ready"], month["obstacle"]) == (10_000, False, "account_failed")

    meanwhile = await here.paid(person.area, "2026-03")
    assert (meanwhile["counts"]["payable"], meanwhile["counts"]["unpayable"]) == (0, 1)

    await person.paid_to("6222020000000101")
    await here.heard()
    await here.paid(person.area, "2026-03")
    failed, paid = await person.payments()
    assert (failed["status"], failed["code"], paid["status"], paid["attempt"]) == ("failed", "dormant", "settled", 2)
    assert failed["payment_id"] != paid["payment_id"]
    assert (await person.account_of("2026-03"))["paid_fen"] == 10_000
    await here.invariants_hold()


async def test_a_returned_payment_is_owed_again_and_never_stops_an_entitlement(here: World) -> None:
    person = await entitled_person(here)
    await here.bank.post("/v1/faults", json={"return_accounts": {person.account: "closed"}})
    await here.submitted(person.area, "2026-03")

    async def is_returned() -> bool:
        return [p["status"] for p in await person.payments()] == ["returned"]

    await eventually(is_returned)
    month = await person.account_of("2026-03")
    assert (month["entitled_fen"], month["paid_fen"], month["owed_fen"]) == (10_000, 0, 10_000)
    await person.paid_to("6222020000000102")
    await here.heard()
    await here.paid(person.area, "2026-03")
    assert (await person.account_of("2026-03"))["paid_fen"] == 10_000
    await here.invariants_hold()


async def test_webhooks_that_are_doubled_and_shuffled_end_in_the_same_state(here: World) -> None:
    faults = {"duplicate_webhook_rate": 1, "reorder": True}
    person = await entitled_person(here)
    other = await here.person(person.area)
    await other.entitled("2026-01")
    await here.heard()
    await here.bank.post("/v1/faults", json=faults | {"return_accounts": [other.account]})
    await here.submitted(person.area, "2026-03")

    async def is_over() -> bool:
        return {p["status"] for p in await other.payments()} == {"returned"}

    await eventually(is_over)
    assert [p["status"] for p in await person.payments()] == ["settled"]
    booked = await here.sql(
        "SELECT cause, count(*) AS times FROM postings WHERE book_area = :area GROUP BY cause", area=person.area
    )
    assert {row["cause"]: row["times"] for row in booked} == {
        "appropriation": 2,
        "commitment": 1,
        "sending": 1,
        "settlement": 4,
        "return": 3,
    }
    await here.invariants_hold()


async def test_results_that_no_webhook_brought_are_read_from_the_statement(here: World) -> None:
    person = await entitled_person(here)
    await here.bank.post("/v1/faults", json={"drop_webhook_rate": 1})
    cycle = await here.submitted(person.area, "2026-03")
    await here.cycle_is(cycle["cycle_id"], "settled")
    assert [p["status"] for p in await person.payments()] == ["settled"]
    answer = await here.post("/v1/reconciliations", "finance", area=person.area, period="2026-03")
    assert list(answer["differences"]) == ["sms_missing"]


async def test_an_sms_that_lacks_an_item_is_a_case_that_keeps_the_cycle_open_until_it_is_resolved(here: World) -> None:
    person = await entitled_person(here)
    await here.bank.post("/v1/faults", json={"sms_missing_field_rate": 1})
    cycle = await here.submitted(person.area, "2026-03")

    async def case_is_open() -> list[dict[str, Any]]:
        return await cases(here, "sms_incomplete", person_id=person.person_id)

    [case] = await eventually(case_is_open)
    assert len(case["detail"]["missing"]) == 1
    await here.cycle_is(cycle["cycle_id"], "settled")
    await here.post(f"/v1/cases/{case['case_id']}/resolution", "finance", resolution="银行已重发短信")
    again = await here.call("POST", f"/v1/cases/{case['case_id']}/resolution", "finance", resolution="再次")
    assert again.status_code == 409
    await here.cycle_is(cycle["cycle_id"], "closed")


async def test_a_reconciliation_without_differences_is_clean(here: World) -> None:
    person = await entitled_person(here)
    await here.paid(person.area, "2026-03")
    answer = await here.post("/v1/reconciliations", "finance", area=person.area, period="2026-03")
    assert (answer["clean"], answer["differences"]) == (True, {})


async def test_a_month_that_nobody_drew_up_is_a_difference(here: World) -> None:
    person = await entitled_person(here)
    answer = await here.post("/v1/reconciliations", "finance", area=person.area, period="2026-03")
    [case] = answer["differences"]["due_unpaid"]
    assert (case["person_id"], case["detail"]) == (person.person_id, {"subsidy": "living", "amount_fen": 10_000})


async def test_an_account_that_several_persons_share_is_a_difference(here: World) -> None:
    person = await entitled_person(here, account="6222020000000199")
    await here.person(person.area, account="6222020000000199")
    await here.heard()
    answer = await here.post("/v1/reconciliations", "finance", area=person.area, period="2026-01")
    [case] = answer["differences"]["account_shared"]
    assert case["detail"] == {"persons": 2, "last4": "0199"}


async def test_a_forged_or_stale_webhook_is_refused(here: World) -> None:
    data = {"payment_id": str(uuid4()), "settled_on": "2026-03-20", "bank_ref": "R1"}
    forged = await here.webhook("payment.settled", secret="whsec_Zm9yZ2VkLWZvcmdlZC1mb3JnZWQ=", **data)
    assert forged.status_code == 401
    assert (await here.webhook("payment.settled", age_s=301, **data)).status_code == 401
    assert (await here.webhook("payment.settled", age_s=-301, **data)).status_code == 401
    assert (await here.webhook("payment.settled", age_s=290, **data)).status_code == 202
    assert (await here.http.post("/webhooks/onecard", json=data)).status_code == 401
    odd = {"webhook-id": "m", "webhook-timestamp": "now", "webhook-signature": "v1"}
    assert (await here.http.post("/webhooks/onecard", content=b"\xff{", headers=odd)).status_code == 401
    odd["webhook-timestamp"] = str(10**30)
    assert (await here.http.post("/webhooks/onecard", json=data, headers=odd)).status_code == 401


@pytest.mark.parametrize("payment_id", ["00000000-0000-4000-8000-000000000001", "not-a-uuid"])
async def test_a_webhook_about_an_unknown_payment_is_accepted_and_a_case(here: World, payment_id: str) -> None:
    data = {"payment_id": payment_id, "settled_on": "2026-03-20", "bank_ref": "R1"}
    assert (await here.webhook("payment.settled", **data)).status_code == 202
    assert len(await cases(here, "unknown_payment", subject=payment_id)) == 1
    assert (await here.webhook("payment.settled", **data)).status_code == 202
    assert len(await cases(here, "unknown_payment", subject=payment_id)) == 1


async def test_a_webhook_that_is_repeated_is_answered_200_and_changes_nothing(here: World) -> None:
    person = await entitled_person(here)
    await here.paid(person.area, "2026-03")
    [payment] = await person.payments()
    data = {k: payment[k] for k in ("payment_id", "settled_on", "bank_ref")}
    before = await here.sql("SELECT count(*) FROM postings")
    for _ in range(2):
        answer = await here.webhook("payment.settled", webhook_id=f"msg-{payment['payment_id']}", **data)
        assert answer.status_code == 200
    assert await here.sql("SELECT count(*) FROM postings") == before


async def test_a_webhook_that_is_no_event_of_the_platform_is_refused(here: World) -> None:
    assert (await here.webhook("payment.vanished", payment_id=str(uuid4()))).status_code == 422
    assert (await here.webhook("payment.failed", payment_id=str(uuid4()), code="mood")).status_code == 422


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01"])
async def test_a_day_that_no_bank_can_mean_is_refused_however_it_is_told(here: World, day: str) -> None:
    person = await entitled_person(here)
    cycle = await here.paid(person.area, "2026-03")
    [payment] = await person.payments()
    payment_id = payment["payment_id"]
    settled = await here.webhook("payment.settled", payment_id=payment_id, settled_on=day, bank_ref="R1")
    returned = await here.webhook("payment.returned", payment_id=payment_id, returned_on=day, code="closed")
    assert (settled.status_code, returned.status_code) == (422, 422)
    line = {"payment_id": payment_id, "amount_fen": 10_000, "status": "returned", "returned_on": day, "code": "closed"}
    file = await here.call("POST", f"/v1/cycles/{cycle['cycle_id']}/bank-results", "finance", items=[line])
    assert file.status_code == 422
    assert [p["status"] for p in await person.payments()] == ["settled"]


async def test_a_settlement_after_a_failure_counts_as_paid_and_is_a_case(here: World) -> None:
    person = await entitled_person(here)
    await here.bank.post("/v1/faults", json={"fail_accounts": {person.account: "lost"}})
    await here.paid(person.area, "2026-03")
    [payment] = await person.payments()
    data = {"payment_id": payment["payment_id"], "settled_on": "2026-03-21", "bank_ref": "LATE"}
    assert (await here.webhook("payment.settled", **data)).status_code == 200
    [case] = await cases(here, "contradictory_result", payment_id=payment["payment_id"])
    assert case["detail"]["contradiction"] == "settled_after_failed"
    assert (await person.account_of("2026-03"))["paid_fen"] == 10_000
    assert (await here.drawn_up(person.area, "2026-03"))["counts"]["payable"] == 0
    # What arrived proves the account: the next month needs no new one.
    assert (await person.account_of("2026-04"))["payee_ready"] is True
    next_month = await here.drawn_up(person.area, "2026-04")
    assert (next_month["counts"]["payable"], next_month["counts"]["unpayable"]) == (1, 0)


async def test_an_account_that_another_payment_failed_at_stays_marked(here: World) -> None:
    person = await entitled_person(here)
    await here.bank.post("/v1/faults", json={"fail_accounts": {person.account: "dormant"}})
    await person.entitled("2026-02")
    await here.heard()
    await here.paid(person.area, "2026-03")
    [first, _] = await person.payments()
    data = {"payment_id": first["payment_id"], "settled_on": "2026-03-21", "bank_ref": "LATE"}
    assert (await here.webhook("payment.settled", **data)).status_code == 200
    assert (await person.account_of("2026-04"))["obstacle"] == "account_failed"


async def test_a_payment_settled_under_two_references_is_a_case(here: World) -> None:
    person = await entitled_person(here)
    await here.paid(person.area, "2026-03")
    [payment] = await person.payments()
    data = {"payment_id": payment["payment_id"], "settled_on": "2026-03-21", "bank_ref": "ANOTHER"}
    assert (await here.webhook("payment.settled", **data)).status_code == 200
    [case] = await cases(here, "contradictory_result", payment_id=payment["payment_id"])
    assert case["detail"]["contradiction"] == "settled_twice"


async def test_each_result_is_told_to_the_other_services(here: World) -> None:
    person = await entitled_person(here)
    await here.paid(person.area, "2026-03")
    told = await here.sql("SELECT type, body FROM outbox WHERE key = :key", key=person.person_id)
    assert [row["type"] for row in told] == ["payment.settled.v1"]
    assert person.account not in told[0]["body"]
    closed = await here.sql("SELECT body FROM outbox WHERE type = 'cycle.closed.v1'")
    assert any(f'"area":"{person.area}"' in row["body"] for row in closed)


async def test_a_bank_without_rest_is_served_by_a_file_and_answers_by_one(here: World) -> None:
    person = await entitled_person(here)
    failing = await here.person(person.area)
    await failing.entitled("2026-03")
    await here.heard()
    cycle = await here.submitted(person.area, "2026-03", channel="file")
    path = f"/v1/cycles/{cycle['cycle_id']}"

    async def is_prepared() -> list[dict[str, str]] | None:
        content = (await here.call("GET", f"{path}/bank-file", "finance")).content.decode("utf-8-sig")
        lines = list(csv.DictReader(io.StringIO(content)))
        return lines if len(lines) == 2 else None

    lines = await eventually(is_prepared)
    assert {line["账号"] for line in lines} == {person.account, failing.account}
    assert {line["金额（元）"] for line in lines} == {"100.00"}
    assert await here.transfers_to(person.account) == []

    by_account = {line["账号"]: line["payment_id"] for line in lines}
    answer = (
        "payment_id,amount_fen,status,bank_ref,settled_on,code\n"
        f"{by_account[person.account]},10000,settled,F1,2026-03-20,\n"
        f"{by_account[failing.account]},10000,failed,,,closed\n"
        f"{uuid4()},10000,settled,F2,2026-03-20,\n"
    )
    headers = here.issuer.bearer("finance", "53") | {"content-type": "text/csv"}
    for _ in range(2):
        taken = await here.http.post(f"{path}/bank-results", content=answer.encode("utf-8-sig"), headers=headers)
        assert taken.json() == {"taken_in": 2, "unknown": 1}
    await here.cycle_is(cycle["cycle_id"], "closed")
    assert [p["status"] for p in await person.payments()] == ["settled"]
    assert [p["code"] for p in await failing.payments()] == ["closed"]
    spoilt = await here.http.post(f"{path}/bank-results", content=b"payment_id\nx", headers=headers)
    assert spoilt.status_code == 422
    await here.invariants_hold()


async def test_the_story_of_a_person_is_told_newest_first(here: World) -> None:
    person = await entitled_person(here)
    await here.paid(person.area, "2026-03")
    items = (await here.get(f"/v1/persons/{person.person_id}/timeline"))["items"]
    assert [item["what"] for item in items] == ["payment.settled", "entitlement.changed"]
    assert items[0]["detail"] == "困难残疾人生活补贴 2026-03 100.00 元"


async def test_a_story_is_in_plain_words_and_a_paid_month_gives_no_reason_for_not_being_paid(here: World) -> None:
    person = await entitled_person(here)
    await here.paid(person.area, "2026-03")
    await here.bank.post("/v1/faults", json={"fail_accounts": {person.account: "closed"}})
    await here.paid(person.area, "2026-04")
    await here.bank.delete("/v1/faults")
    await person.entitled("2026-03", "2026-04", cause="low_income.exited", stopped_because="economic_status")
    await here.heard()
    path = f"/v1/persons/{person.person_id}"
    told = {item["what"]: item["detail"] for item in (await here.get(f"{path}/timeline"))["items"]}
    assert told["payment.failed"] == "困难残疾人生活补贴 2026-04 100.00 元 账户已销户"
    assert told["entitlement.changed"] == "困难残疾人生活补贴 退出低保或低保边缘"
    months = {month["period"]: month["says"] for month in (await here.get(f"{path}/account"))["items"]}
    assert months == {"2026-03": "", "2026-04": "账户发放失败，待更正"}


async def test_webhooks_that_come_at_once_share_a_commit_and_each_has_its_own_answer(here: World) -> None:
    """A return, its repeat, a stranger's and one that the database refuses: nobody pays for another's fault."""
    person = await entitled_person(here)
    await here.paid(person.area, "2026-03")
    [payment] = await person.payments()
    payment_id, door = UUID(payment["payment_id"]), Door(here.database)
    returned = Delivery("msg_one", "payment.returned", "", BankResult(payment_id, "returned", TODAY, code="closed"))
    stranger = Delivery("msg_two", "payment.settled", str(uuid4()), BankResult(uuid4(), "settled", TODAY))
    broken = Delivery("msg_three", "sms.sent", "", Sms(payment_id, "\x00", utc_now()))
    *answers, error = await asyncio.gather(
        *(door.take_in(told) for told in (returned, returned, stranger, broken)), return_exceptions=True
    )
    assert answers == ["taken in", "known", "unknown payment"]
    assert isinstance(error, DBAPIError)
    assert [p["status"] for p in await person.payments()] == ["returned"]
    await here.invariants_hold()
