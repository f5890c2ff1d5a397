"""Every side says the same of a month, or a case names who differs; a clean month is proven, and closed for good."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from libs.common.clock import business_today
from libs.common.database import new_id
from libs.common.events.eligibility import PolicyChanged, PolicyValue
from libs.common.events.matching import ListedMonths, RosterListed, RosterReceived
from libs.common.period import Period
from tests.conftest import Databases, Issuer
from tests.integration.disbursement import Person, World, world


@pytest.fixture(scope="module")
async def here(databases: Databases, issuer: Issuer) -> AsyncIterator[World]:
    async with world(databases, issuer, roles="api,relay,consumer,worker") as made:
        yield made


async def paid_person(here: World, *, last: str | None = "2026-03") -> Person:
    """Somebody entitled in March, and paid for it."""
    area = here.county()
    await here.funded(area)
    person = await here.person(area)
    await person.entitled("2026-03", last)
    await here.heard()
    await here.paid(area, "2026-03")
    return person


async def listed(here: World, area: str, persons: dict[str, str], *, roster: Any = "national") -> None:
    """A roster that somebody else keeps, of March: persons with the area it says of each."""
    about = {"feed_id": new_id(), "roster": roster, "area": area, "as_of": date(2026, 3, 31)}
    for person_id, said_area in persons.items():
        entry = ListedMonths(subsidy="living", area=said_area, from_=Period.parse("2026-03"))
        await here.tell("matching", RosterListed(person_id=person_id, entries=(entry,), **about))
    await here.tell("matching", RosterReceived(persons=len(persons), **about))
    await here.heard()


async def reconciled(here: World, area: str, period: str = "2026-03") -> dict[str, Any]:
    answer: dict[str, Any] = await here.post("/v1/reconciliations", "finance", area=area, period=period)
    return answer


async def test_a_clean_month_is_proven_by_figures_of_every_side_under_a_digest(here: World) -> None:
    person = await paid_person(here)
    answer = await reconciled(here, person.area)
    assert answer["clean"]
    said = answer["certificate"]
    assert said["month"]["entitled_fen"] == said["month"]["paid_fen"] == 10_000
    assert said["sides"] == {
        "payments": {"settled": {"lines": 1, "fen": 10_000}},
        "ledger": {"settlement": {"lines": 1, "fen": 10_000}},
        "statement": {"settled": {"lines": 1, "fen": 10_000}},
        "sms": {"complete": {"lines": 1}},
    }
    path = f"/v1/reconciliations/{answer['reconciliation_id']}"
    kept = await here.get(path)
    assert (kept["intact"], kept["still_so"], kept["digest"]) == (True, True, answer["digest"])
    again = await reconciled(here, person.area)
    assert again["certificate"]["previous"] == answer["digest"]

    [payment] = await person.payments()
    await here.webhook("payment.returned", payment_id=payment["payment_id"], code="closed", returned_on="2026-04-02")
    kept = await here.get(path)
    assert (kept["intact"], kept["still_so"]) == (True, False)
    assert (await here.call("GET", path, scope="52")).status_code == 404
    with pytest.raises(IntegrityError, match="append-only"):
        await here.sql("UPDATE reconciliations SET clean = true RETURNING 1")


async def test_the_national_systems_roster_is_compared_person_by_person(here: World) -> None:
    person = await paid_person(here)
    stranger = await here.person(person.area)
    await listed(here, person.area, {stranger.person_id: person.area})
    found = (await reconciled(here, person.area))["differences"]
    assert {kind: [case["person_id"] for case in cases] for kind, cases in found.items()} == {
        "not_on_national_roster": [person.person_id],
        "only_on_national_roster": [stranger.person_id],
    }
    await listed(here, person.area, {person.person_id: "532901"})
    found = (await reconciled(here, person.area))["differences"]
    [case] = found["national_area_differs"]
    assert (list(found), case["detail"]["listed_area"]) == (["national_area_differs"], "532901")
    await listed(here, person.area, {person.person_id: f"{person.area}001"})
    answer = await reconciled(here, person.area)
    assert answer["clean"]
    [said] = answer["certificate"]["rosters"]
    assert (said["roster"], said["persons"]) == ("national", 1)


async def test_a_roster_on_paper_is_compared_where_there_is_one(here: World) -> None:
    person = await paid_person(here)
    assert (await reconciled(here, person.area))["certificate"]["rosters"] == []
    await listed(here, person.area, {}, roster="paper")
    [case] = (await reconciled(here, person.area))["differences"]["not_on_paper_roster"]
    assert (case["owner"], case["remedy"]) == ("township", "补登纸质名册")


async def test_a_roster_of_which_persons_are_missing_is_not_compared_yet(here: World) -> None:
    person = await paid_person(here)
    told = RosterReceived(persons=2, feed_id=new_id(), roster="national", area=person.area, as_of=date(2026, 3, 31))
    await here.tell("matching", told)
    await here.heard()
    assert (await reconciled(here, person.area))["clean"]


async def test_a_case_has_owner_state_and_deadline_and_ends_by_itself_once_it_is_none(here: World) -> None:
    area = here.county()
    await here.funded(area)
    person = await here.person(area)
    await person.entitled("2026-03", "2026-03")
    await here.heard()
    [case] = (await reconciled(here, area))["differences"]["due_unpaid"]
    assert (case["kind_name"], case["owner"], case["status"], case["overdue"]) == (
        "应发未发",
        "civil_affairs",
        "open",
        False,
    )
    demand = {"to": "李科长", "due_on": "2026-04-10", "demand": "限期补发"}
    await here.post(f"/v1/cases/{case['case_id']}/assignment", "civil_affairs", **demand)
    [case] = (await here.get(f"/v1/cases?area={area}&overdue=true"))["items"]
    assert (case["owner"], case["status"], case["supervised"]) == ("李科长", "assigned", True)
    await here.paid(area, "2026-03")
    assert (await reconciled(here, area))["clean"]
    [case] = (await here.get(f"/v1/cases?area={area}&kind=due_unpaid"))["items"]
    assert (case["status"], case["resolution"]) == ("resolved", "再次核对时已无差异")


async def test_a_case_is_due_when_the_policy_of_its_area_says(here: World) -> None:
    area = here.county()
    await here.funded(area)
    person = await here.person(area)
    await person.entitled("2026-03", "2026-03")
    for told_of, days in (("", 20), (area[:4], 5)):
        since = [PolicyValue(parameter="case.resolution_days", since=date(year, 1, 1), value=days + year - 2016)
                 for year in (2016, 2099)]  # fmt: skip
        await here.tell("eligibility", PolicyChanged(area=told_of, version=1, policy_version="v", values=tuple(since)))
    await here.heard()
    [case] = (await reconciled(here, area))["differences"]["due_unpaid"]
    assert date.fromisoformat(case["due_on"]) - business_today() == timedelta(days=5)
    await here.post(f"/v1/cases/{case['case_id']}/resolution", "civil_affairs", resolution="核实无误")
    elsewhere = here.county()
    other = await here.person(elsewhere)
    await other.entitled("2026-03", "2026-03")
    await here.heard()
    [case] = (await reconciled(here, elsewhere))["differences"]["due_unpaid"]
    assert date.fromisoformat(case["due_on"]) - business_today() == timedelta(days=20)


async def test_a_difference_that_comes_back_is_a_case_again(here: World) -> None:
    person = await paid_person(here)
    await reconciled(here, person.area, "2026-02")
    [payment] = await person.payments()
    await here.webhook("payment.returned", payment_id=payment["payment_id"], code="closed", returned_on="2026-04-02")
    await person.paid_to("6222020000000777")
    await here.heard()
    assert len((await reconciled(here, person.area))["differences"]["due_unpaid"]) == 1
    await person.entitled("2026-03", "2026-02")
    await here.heard()
    assert "due_unpaid" not in (await reconciled(here, person.area))["differences"]
    await person.entitled("2026-03", "2026-03")
    await here.heard()
    assert len((await reconciled(here, person.area))["differences"]["due_unpaid"]) == 1


async def test_a_month_is_closed_once_it_is_over_its_cycles_ended_and_it_is_clean(here: World) -> None:
    area = here.county()
    await here.funded(area)
    person = await here.person(area)
    await person.entitled("2026-03", "2026-03")
    await here.heard()
    closing = {"area": area, "period": "2026-03"}

    async def refusal(period: str = "2026-03") -> str:
        answer = await here.call("POST", "/v1/period-closings", "finance", area=area, period=period)
        return f"{answer.status_code} {answer.json()['type'].rsplit('/')[-1]}"

    assert await refusal("2199-12") == "409 month-not-over"
    assert await refusal() == "409 not-reconciled"
    await here.bank.post("/v1/faults", json={"sms_missing_field_rate": 1})
    cycle = await here.submitted(area, "2026-03")
    await here.cycle_is(cycle["cycle_id"], "settled")
    assert await refusal() == "409 cycles-under-way"
    await here.bank.delete("/v1/faults")
    for case in (await here.get(f"/v1/cases?area={area}&resolved=false"))["items"]:
        await here.post(f"/v1/cases/{case['case_id']}/resolution", "finance", resolution="银行已说明")
    await here.cycle_is(cycle["cycle_id"], "closed")
    assert (await here.call("POST", "/v1/period-closings", "civil_affairs", **closing)).status_code == 403
    closed = await here.post("/v1/period-closings", "finance", **closing)
    assert len(closed["digest"]) == 64
    assert await refusal() == "409 month-closed"
    assert [c["period"] for c in (await here.get(f"/v1/period-closings?area={area}"))["items"]] == ["2026-03"]


async def test_nothing_is_booked_into_a_closed_month_and_a_correction_goes_into_the_open_one(here: World) -> None:
    person = await paid_person(here)
    [payment] = await person.payments()
    await here.post("/v1/period-closings", "finance", area=person.area, period="2026-03")
    posting = (
        "INSERT INTO postings (cause, cause_id, person_id, book_area, subsidy, book_year, debit, credit, amount_fen,"
        " booked_on) VALUES ('return', 'x', 'p', :area, 'living', 2026, 'available', 'paid', 1, :on) RETURNING 1"
    )
    with pytest.raises(IntegrityError, match="the month is closed"):
        await here.sql(posting, area=person.area, on=date(2026, 3, 31))
    with pytest.raises(IntegrityError, match="the month is closed"):
        await here.sql(posting, area=f"{person.area}001", on=date(2025, 12, 31))
    await here.webhook("payment.returned", payment_id=payment["payment_id"], code="closed", returned_on="2026-03-30")
    booked = await here.sql(
        "SELECT booked_on FROM postings WHERE cause = 'return' AND cause_id = :id", id=payment["payment_id"]
    )
    assert [row["booked_on"] for row in booked] == [date(2026, 4, 1)]
    await here.invariants_hold()


async def test_an_account_shared_across_counties_is_an_alarm_in_both(here: World) -> None:
    account = "6222020000000888"
    one, other = await here.person(here.county(), account=account), await here.person(here.county(), account=account)
    await here.heard()
    for person in (one, other):
        kinds = (await reconciled(here, person.area))["differences"]
        shared = (await here.get("/v1/cases?kind=account_shared"))["items"]
        assert kinds.keys() <= {"account_shared"}
        assert [case["detail"] for case in shared if case["detail"]["last4"] == "0888"] == [
            {"persons": 2, "last4": "0888"}
        ]


async def test_a_month_is_explained_from_its_entitlement_to_the_banks_word(here: World) -> None:
    person = await paid_person(here)
    [payment] = await person.payments()
    await here.webhook(
        "payment.returned",
        webhook_id="msg-of-the-return",
        payment_id=payment["payment_id"],
        code="closed",
        returned_on="2026-04-02",
    )
    month = await here.get(f"/v1/persons/{person.person_id}/account/living/2026-03")
    assert (month["owed_fen"], month["obstacle"]) == (10_000, "account_failed")
    chain = [(link["title"], link["says"]) for link in month["causes"]]
    assert [title for title, _ in chain if title != "银行短信五项齐全"] == [
        "资格认定",
        "本月应发",
        "编入发放批次",
        "送交银行",
        "银行已付，记入已发",
        "银行退票，资金退回",
    ]
    assert ("编入发放批次", f"依据资格第 {person.version}版") in chain
    returned = next(link for link in month["causes"] if link["what"] == "booked.return")
    assert (returned["says"], returned["by"]) == ("账户已销户", "webhook msg-of-the-return")
    drawn_up = next(link for link in month["causes"] if link["what"] == "payment.drawn_up")
    assert drawn_up["by"] == "civil_affairs-53 → cdpf-53 → finance-53 → finance-53"
    assert (await here.call("GET", f"/v1/persons/{person.person_id}/account/living/2026-3x")).status_code == 422
    assert (await here.call("GET", f"/v1/persons/{person.person_id}/account/care/2026-03")).status_code == 404
