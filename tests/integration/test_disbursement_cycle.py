"""A month's payments, from what is entitled to the closed cycle, on real parts."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from datetime import date
from uuid import uuid4

import pytest
import python_calamine
from sqlalchemy import text

from libs.common.clock import business_today
from libs.common.period import Period
from services.disbursement.handlers.cycles import drawing
from tests.conftest import Databases, Issuer
from tests.integration.disbursement import Person, World, world

MARCH = date(2026, 3, 1)


@pytest.fixture(scope="module")
async def here(databases: Databases, issuer: Issuer) -> AsyncIterator[World]:
    async with world(databases, issuer, roles="api,relay,consumer,worker") as made:
        yield made


async def test_a_cycle_pays_every_month_that_is_due_and_closes_by_itself(here: World) -> None:
    area = here.county()
    await here.funded(area)
    person = await here.person(area)
    await person.entitled("2026-01", amount_fen=10_000)
    await person.entitled("2026-03", amount_fen=11_000, subsidy="care")
    await here.heard()

    cycle = await here.drawn_up(area, "2026-03")
    assert cycle["status"] == "draft"
    assert (cycle["counts"]["payable"], cycle["amount_fen"]) == (4, 41_000)
    await here.paid(area, "2026-03")

    assert [(p["period"], p["subsidy"], p["amount_fen"], p["status"]) for p in await person.payments()] == [
        ("2026-01", "living", 10_000, "settled"),
        ("2026-02", "living", 10_000, "settled"),
        ("2026-03", "care", 11_000, "settled"),
        ("2026-03", "living", 10_000, "settled"),
    ]
    assert (await person.account_of("2026-03"))["paid_fen"] == 10_000
    assert sum(t["amount_fen"] for t in await here.transfers_to(person.account)) == 41_000
    [book] = [b for b in (await here.get(f"/v1/appropriations?area={area}"))["items"] if b["subsidy"] == "living"]
    assert book["balances"] == {
        "appropriated_fen": 10**9,
        "available_fen": 10**9 - 30_000,
        "committed_fen": 0,
        "clearing_fen": 0,
        "paid_fen": 30_000,
    }
    await here.invariants_hold()


async def test_a_month_paid_is_not_paid_again_and_the_next_month_is(here: World) -> None:
    area = here.county()
    await here.funded(area)
    person = await here.person(area)
    await person.entitled("2026-03")
    await here.heard()
    await here.paid(area, "2026-03")
    again = await here.paid(area, "2026-03")
    assert again["counts"]["payable"] == 0
    following = await here.paid(area, "2026-04")
    assert following["counts"]["payable"] == 1
    assert [p["period"] for p in await person.payments()] == ["2026-03", "2026-04"]


async def test_months_that_are_paid_up_are_noted_until_one_of_them_comes_back(here: World) -> None:
    area = here.county()
    await here.funded(area)
    person = await here.person(area)
    await person.entitled("2026-02")
    await here.heard()

    async def paid_up_to() -> list[date]:
        found = await here.sql("SELECT paid_up_to FROM entitlements WHERE person_id = :id", id=person.person_id)
        return [row["paid_up_to"] for row in found]

    await here.paid(area, "2026-02")
    await here.paid(area, "2026-03")
    assert await paid_up_to() == [date(2026, 3, 1)]
    first, _ = await person.payments()
    await here.webhook("payment.returned", payment_id=first["payment_id"], code="closed", returned_on="2026-04-02")
    assert await paid_up_to() == [date(2026, 1, 1)]
    await person.paid_to("6222020000000103")
    await here.heard()
    assert (await here.paid(area, "2026-04"))["counts"]["payable"] == 2
    assert await paid_up_to() == [date(2026, 4, 1)]
    await person.entitled("2026-01")
    await here.heard()
    assert await paid_up_to() == [date.min], "another schedule is looked at whole"
    assert (await here.paid(area, "2026-04"))["counts"]["payable"] == 1
    await here.invariants_hold()


async def test_a_standard_raised_with_a_date_in_the_past_becomes_arrears(here: World) -> None:
    area = here.county()
    await here.funded(area)
    person = await here.person(area)
    await person.entitled("2026-01", amount_fen=9_000)
    await here.heard()
    await here.paid(area, "2026-02")
    await person.entitled("2026-01", amount_fen=10_000, cause="policy.raised")
    await here.heard()
    assert (await person.account_of("2026-01"))["owed_fen"] == 1_000
    await here.paid(area, "2026-03")
    assert [(p["period"], p["amount_fen"]) for p in await person.payments()] == [
        ("2026-01", 9_000),
        ("2026-01", 1_000),
        ("2026-02", 9_000),
        ("2026-02", 1_000),
        ("2026-03", 10_000),
    ]
    statistics = await here.get(f"/v1/statistics?area={area}&period=2026-03")
    assert (statistics["total"]["paid_fen"], statistics["total"]["arrears_fen"]) == (12_000, 2_000)
    await here.invariants_hold()


async def test_who_has_no_account_is_entitled_and_unpaid_until_there_is_one(here: World) -> None:
    area = here.county()
    await here.funded(area)
    person = await here.person(area)
    await person.paid_to(None)
    await person.entitled("2026-03")
    await here.heard()
    cycle = await here.paid(area, "2026-03")
    assert cycle["counts"]["unpayable"] == 1
    [item] = (await here.get(f"/v1/cycles/{cycle['cycle_id']}/items"))["items"]
    assert (item["outcome"], item["reason"]) == ("unpayable", "no_payee")
    month = await person.account_of("2026-03")
    assert (month["owed_fen"], month["payee_ready"]) == (10_000, False)
    await person.paid_to("6222020000000001")
    await here.heard()
    await here.paid(area, "2026-03")
    assert [t["status"] for t in await here.transfers_to("6222020000000001")] == ["settled"]
    await here.invariants_hold()


async def test_who_is_no_payee_yet_is_unpaid_and_so_is_everybody_while_payees_are_told_again(here: World) -> None:
    area = here.county()
    untold, told = Person(here, f"p1-{uuid4().hex}", area, ""), await here.person(area)
    for person in (untold, told):
        await person.entitled("2026-03")
    await here.heard()
    assert (await here.drawn_up(area, "2026-03"))["counts"]["unpayable"] == 1
    async with here.database.transaction() as tx:  # as `liangbu rebuild` does
        await tx.connection.execute(text("DELETE FROM payees WHERE area = :area"), {"area": area})
    assert (await here.drawn_up(area, "2026-03"))["counts"]["unpayable"] == 2
    assert {(await person.account_of("2026-03"))["obstacle"] for person in (untold, told)} == {"no_payee"}


async def test_a_guardians_card_is_paid_only_for_whoever_cannot_act(here: World) -> None:
    area = here.county()
    await here.funded(area)
    able, unable = await here.person(area), await here.person(area)
    await able.paid_to("6222020000000002", holder="guardian")
    await unable.paid_to("6222020000000003", holder="guardian", cannot_act=True)
    for person in (able, unable):
        await person.entitled("2026-03")
    await here.heard()
    cycle = await here.paid(area, "2026-03")
    assert (cycle["counts"]["payable"], cycle["counts"]["unpayable"]) == (1, 1)
    assert await here.transfers_to("6222020000000002") == []
    assert len(await here.transfers_to("6222020000000003")) == 1


async def test_a_draft_drawn_up_again_is_the_same_cycle_with_what_is_due_now(here: World) -> None:
    area = here.county()
    first, second = await here.person(area), await here.person(area)
    await first.entitled("2026-03")
    await here.heard()
    draft = await here.drawn_up(area, "2026-03")
    await second.entitled("2026-03")
    await here.heard()
    again = await here.drawn_up(area, "2026-03")
    assert again["cycle_id"] == draft["cycle_id"]
    assert (draft["counts"]["payable"], again["counts"]["payable"]) == (1, 2)


async def test_what_one_draft_holds_no_other_draft_takes(here: World) -> None:
    county = here.county()
    person = await here.person(county + "001")
    await person.entitled("2026-03")
    await here.heard()
    assert (await here.drawn_up(county, "2026-03"))["counts"]["payable"] == 1
    assert (await here.drawn_up(county + "001", "2026-03"))["counts"]["payable"] == 0
    assert (await here.drawn_up(county, "2026-04"))["counts"]["payable"] == 1


async def test_a_cycle_that_is_given_up_leaves_everything_due(here: World) -> None:
    area = here.county()
    await here.funded(area)
    person = await here.person(area)
    await person.entitled("2026-03")
    await here.heard()
    cycle = await here.approved(area, "2026-03")
    assert (await person.account_of("2026-03"))["in_flight_fen"] == 10_000
    gone = await here.call("DELETE", f"/v1/cycles/{cycle['cycle_id']}", "civil_affairs")
    assert gone.status_code == 204
    assert (await person.account_of("2026-03"))["owed_fen"] == 10_000
    paid = await here.paid(area, "2026-03")
    assert (await here.call("DELETE", f"/v1/cycles/{paid['cycle_id']}", "civil_affairs")).status_code == 409


async def test_a_cycle_that_the_funds_do_not_cover_is_refused_by_how_much(here: World) -> None:
    area = here.county()
    person = await here.person(area)
    await person.entitled("2026-03")
    await here.heard()
    cycle = await here.drawn_up(area, "2026-03")
    await here.post(f"/v1/cycles/{cycle['cycle_id']}/concurrence", "cdpf")
    refused = await here.call("POST", f"/v1/cycles/{cycle['cycle_id']}/approval", "finance")
    assert refused.status_code == 409
    assert refused.json()["shortfalls"] == [{"area": area, "subsidy": "living", "year": 2026, "short_fen": 10_000}]
    await here.funded(area, 9_999)
    refused = await here.call("POST", f"/v1/cycles/{cycle['cycle_id']}/approval", "finance")
    assert refused.json()["shortfalls"][0]["short_fen"] == 1


async def test_a_countys_cycle_may_be_paid_from_its_prefectures_appropriation(here: World) -> None:
    area = here.county()
    await here.funded(area[:4], 10_000)
    person = await here.person(area)
    await person.entitled("2026-03")
    await here.heard()
    cycle = await here.paid(area, "2026-03")
    assert cycle["settled_fen"] == 10_000
    await here.invariants_hold()


async def test_steps_are_taken_in_order_by_those_who_may(here: World) -> None:
    area = here.county()
    await here.funded(area)
    cycle = await here.drawn_up(area, "2026-03")
    path = f"/v1/cycles/{cycle['cycle_id']}"
    assert (await here.call("POST", f"{path}/approval", "finance")).status_code == 409
    assert (await here.call("POST", f"{path}/concurrence", "finance")).status_code == 403
    assert (await here.call("POST", f"{path}/concurrence", "cdpf", scope="5399")).status_code == 404
    assert (await here.call("POST", f"{path}/concurrence", "cdpf")).status_code == 200
    assert (await here.call("POST", f"{path}/submission", "finance")).status_code == 409
    same = await here.call("POST", f"{path}/approval", "finance", sub="civil_affairs-53")
    assert same.status_code == 403
    assert (await here.call("POST", f"{path}/approval", "finance")).status_code == 200
    body = {"area": area, "period": "2026-03"}
    outside = await here.http.post("/v1/cycles", json=body, headers=here.issuer.bearer("civil_affairs", "5399"))
    assert outside.status_code == 403
    assert (await here.http.post("/v1/cycles", json=body)).status_code == 401


async def test_the_same_document_is_one_appropriation(here: World) -> None:
    area = here.county()
    await here.funded(area, 5_000)
    await here.funded(area, 5_000)
    [book, _] = (await here.get(f"/v1/appropriations?area={area}"))["items"]
    assert book["balances"]["appropriated_fen"] == 5_000
    other = {"area": area, "subsidy": "living", "year": 2026, "amount_fen": 6_000, "document_no": "财社〔2026〕1号"}
    answer = await here.http.post("/v1/appropriations", json=other, headers=here.issuer.bearer("finance", "53"))
    assert answer.status_code == 409


async def test_the_roster_names_payees_in_full_and_accounts_by_their_last_four(here: World) -> None:
    area = here.county()
    person = await here.person(area, account="6222020000004321")
    await person.entitled("2026-03")
    await here.heard()
    cycle = await here.drawn_up(area, "2026-03")
    answer = await here.call("GET", f"/v1/cycles/{cycle['cycle_id']}/roster.xlsx", "finance")
    sheet = python_calamine.load_workbook(io.BytesIO(answer.content)).get_sheet_by_index(0).to_python()
    assert sheet[0][0] == "残疾人两项补贴发放花名册"
    assert sheet[3][1:9] == ["阿依·买买提", "困难残疾人生活补贴", 1, "2026-03", 100, "阿依·买买提", "4321", "待发"]
    assert "622202000000" not in str(sheet)


async def test_statistics_come_as_a_table_in_three_forms(here: World) -> None:
    area = here.county()
    await here.funded(area)
    person = await here.person(area)
    await person.entitled("2026-03")
    await here.heard()
    await here.paid(area, "2026-03")
    as_json = await here.get(f"/v1/statistics?area={area}&period=2026-03")
    assert [(row["area"], row["subsidy"], row["persons_paid"], row["paid_fen"]) for row in as_json["items"]] == [
        (area, "living", 1, 10_000)
    ]
    as_csv = (await here.call("GET", f"/v1/statistics.csv?area={area}&period=2026-03")).content.decode("utf-8-sig")
    assert as_csv.splitlines()[1].split(",")[2:6] == ["困难残疾人生活补贴", "1", "1", "100.00"]
    as_xlsx = (await here.call("GET", f"/v1/statistics.xlsx?area={area}&period=2026-03")).content
    assert python_calamine.load_workbook(io.BytesIO(as_xlsx)).get_sheet_by_index(0).to_python()[3][5] == 100


async def test_what_a_person_is_shown_is_seen_only_in_the_own_area(here: World) -> None:
    area = here.county()
    person = await here.person(area)
    await person.entitled("2026-03")
    await here.heard()
    for view in ("account", "payments", "timeline"):
        path = f"/v1/persons/{person.person_id}/{view}"
        assert (await here.call("GET", path, "township", scope=area)).status_code == 200
        assert (await here.call("GET", path, "township", scope="5399")).status_code == 404


async def test_two_counties_that_draw_up_the_first_cycles_of_a_month_at_once_both_get_theirs(here: World) -> None:
    """One makes the month's partition, the other waits for it: neither is refused, and no month is drawn up twice."""
    areas = [here.county(), here.county()]
    for area in areas:
        await (await here.person(area)).entitled("2027-05")
    await here.heard()
    drawn = await asyncio.gather(*(here.drawn_up(area, "2027-05") for area in areas))
    assert [cycle["counts"]["payable"] for cycle in drawn] == [1, 1]


@pytest.mark.parametrize("own_month", [True, False])
async def test_months_are_drawn_up_by_a_plan_that_several_processors_can_share(here: World, own_month: bool) -> None:
    given = {"area": "53", "subsidies": ["living"], "cycle_id": uuid4(), "since": MARCH, "upto": MARCH}
    async with here.database.transaction() as tx:
        # So told, the planner hands whatever is safe in a worker to one, however little it is.
        await tx.connection.execute(text("SET LOCAL debug_parallel_query = on"))
        plan = await tx.connection.execute(text(f"EXPLAIN {drawing('drawn', own_month=own_month).text}"), given)
        assert plan.scalars().first().startswith("Gather")


async def test_a_month_far_ahead_is_a_slip_of_the_pen(here: World) -> None:
    area = here.county()
    period = str(Period.of(business_today()).plus(25))
    answer = await here.call("POST", "/v1/cycles", "civil_affairs", scope=area, area=area, period=period)
    assert answer.status_code == 422
    assert [error["path"] for error in answer.json()["errors"]] == ["period"]
