"""Institutions' funds, the tolerance list, work funds: registers that refuse what the notice refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from libs.common.clock import business_today
from tests.conftest import Databases, Issuer
from tests.integration.disbursement import World, world

ORG = "12530102MB00001234"
FACTORS = dict.fromkeys(
    ("motive", "objective_conditions", "procedure", "nature", "consequences", "loss_recovered"), "如实说明"
)


@pytest.fixture(scope="module")
async def here(databases: Databases, issuer: Issuer) -> AsyncIterator[World]:
    async with world(databases, issuer, roles="api,relay,consumer,worker") as made:
        yield made


def problem(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["type"].rsplit("/")[-1]


async def test_a_childs_money_is_spent_for_the_child_with_receipts_and_never_administratively(here: World) -> None:
    area = here.county()
    await here.funded(area)
    child = await here.person(area)
    await child.paid_to("6222020000000901", holder="institution", cannot_act=True)
    await child.entitled("2026-03")
    await here.heard()
    path = f"/v1/institutions/{ORG}"
    await here.post(f"{path}/children", "civil_affairs", person_id=child.person_id, since="2026-01-01")
    await here.paid(area, "2026-03")
    [funds] = (await here.get(f"{path}/funds"))["items"]
    assert (funds["received_fen"], funds["unspent_fen"]) == (10_000, 10_000)

    use: dict[str, Any] = {"person_id": child.person_id, "used_on": "2026-04-02", "receipt_no": "发票1"}
    refused = await here.call("POST", f"{path}/funds", "civil_affairs", category="administrative", amount_fen=1, **use)
    assert problem(refused) == (422, "administrative-use")
    too_much = await here.call("POST", f"{path}/funds", "civil_affairs", category="medical", amount_fen=10_001, **use)
    assert problem(too_much) == (409, "more-than-unspent")
    left = await here.post(f"{path}/funds", "civil_affairs", category="medical", amount_fen=4_000, **use)
    assert (left["used"], left["unspent_fen"]) == ({"medical": 4_000}, 6_000)
    use["receipt_no"] = "缴款书1"
    left = await here.post(f"{path}/funds", "civil_affairs", category="returned", amount_fen=1_000, **use)
    assert (left["used"], left["unspent_fen"]) == ({"medical": 4_000, "returned": 1_000}, 5_000)
    [book] = (await here.get(f"/v1/persons/{child.person_id}/ledger"))["balances"]
    assert book["balances"] == {"paid_fen": 4_000, "refunded_fen": 1_000, "institution_funds_fen": 5_000}
    use["receipt_no"] = "发票1"
    twice = await here.call("POST", f"{path}/funds", "civil_affairs", category="medical", amount_fen=1, **use)
    assert twice.status_code == 409
    assert (await here.call("GET", f"{path}/funds", scope="52")).status_code == 404


async def test_a_childs_money_is_followed_without_anybody_recording_the_child(here: World) -> None:
    area = here.county()
    await here.funded(area)
    child, org = await here.person(area), f"1253{area}WY9"
    await child.paid_to("6222020000000902", holder="institution", cannot_act=True, org_code=org)
    await child.entitled("2026-03")
    await here.heard()
    await here.paid(area, "2026-03")
    [funds] = (await here.get(f"/v1/institutions/{org}/funds"))["items"]
    assert (funds["person_id"], funds["received_fen"]) == (child.person_id, 10_000)
    [payment] = await child.payments()
    booked = (await here.get(f"/v1/persons/{child.person_id}/ledger"))["postings"]
    assert [(p["cause"], p["cause_id"], p["debit"], p["credit"], p["org_code"]) for p in booked] == [
        ("entrusting", payment["payment_id"], "institution_funds", "paid", org),
        ("settlement", payment["payment_id"], "paid", "clearing", None),
    ]
    assert booked[1]["told_by"]

    await here.webhook(
        "payment.returned", payment_id=payment["payment_id"], returned_on=str(business_today()), code="closed"
    )
    [funds] = (await here.get(f"/v1/institutions/{org}/funds"))["items"]
    assert (funds["received_fen"], funds["unspent_fen"]) == (0, 0)
    await child.paid_to("6222020000000903", cannot_act=True)
    await here.heard()
    [listed] = (await here.get(f"/v1/institutions?area={area}"))["items"]
    assert (listed["org_code"], listed["children"], listed["children_now"]) == (org, 1, 0)
    other = f"1253{area}WX1"
    await child.paid_to("6222020000000904", holder="institution", cannot_act=True, org_code=other)
    await here.heard()
    [next_to_it] = (await here.get(f"/v1/institutions/{other}/funds"))["items"]
    assert (next_to_it["person_id"], next_to_it["received_fen"]) == (child.person_id, 0)


async def test_a_verdict_cites_a_clause_in_force_on_the_day_of_the_deviation(here: World) -> None:
    for published, clauses in (("2025-01-01", ["1"]), ("2026-01-01", ["1", "2"])):
        await here.post(
            "/v1/tolerance-lists",
            "civil_affairs",
            area="5309",
            document_no=f"清单{published}",
            published_on=published,
            in_force_on=published,
            clauses=[{"clause": clause, "text": "首次、非主观故意且及时纠正"} for clause in clauses],
        )
    deviation = await here.post(
        "/v1/deviations",
        "civil_affairs",
        area="530902",
        handler="somebody",
        happened_on="2025-06-01",
        found_in="省级抽查",
        what="未按时限审核",
        loss_fen=5_000,
    )
    path = f"/v1/deviations/{deviation['deviation_id']}/assessment"
    body = {"factors": FACTORS, "verdict": "tolerated", "reason": "系统故障，已补发"}
    own = await here.call("POST", path, "civil_affairs", clause="1", **body)
    assert own.status_code == 403
    later = await here.call("POST", path, "civil_affairs", sub="assessor", clause="2", **body)
    assert problem(later) == (422, "clause-not-in-force")
    incomplete = body | {"factors": {"motive": "好"}}
    assert (await here.call("POST", path, "civil_affairs", sub="assessor", clause="1", **incomplete)).status_code == 422
    assessed = await here.post(path, "civil_affairs", sub="assessor", clause="1", **body)
    assert assessed["verdict"] == "tolerated"
    statistics = (await here.get("/v1/deviation-statistics?area=5309&year=2025"))["items"]
    assert [(s["verdict"], s["clause"], s["loss_fen"]) for s in statistics] == [("tolerated", "1", 5_000)]
    in_2025 = (await here.get("/v1/tolerance-lists?area=530902&on=2025-06-01"))["items"]
    assert [(item["version"], item["in_force_until"]) for item in in_2025] == [(1, "2025-12-31")]
    published = (await here.http.get("/v1/public/tolerance-lists?area=530902")).json()["items"]
    assert [(item["version"], item["published_on"]) for item in published] == [(2, "2026-01-01"), (1, "2025-01-01")]
    assert [clause["clause"] for clause in published[0]["clauses"]] == ["1", "2"]
    deeds = (await here.get("/v1/audit-log"))["items"]
    assert sum(deed["action"] == "publish tolerance list" for deed in deeds) == 2


async def test_a_tolerance_list_does_not_excuse_what_was_done_before_it(here: World) -> None:
    refused = await here.call(
        "POST",
        "/v1/tolerance-lists",
        "civil_affairs",
        area="5308",
        document_no="清单",
        published_on="2026-02-01",
        in_force_on="2026-01-01",
        clauses=[{"clause": "1", "text": "x"}],
    )
    assert problem(refused) == (422, "invalid-input")


async def test_work_funds_tell_what_is_left_and_what_was_done(here: World) -> None:
    entries: list[dict[str, Any]] = [
        {"kind": "budget", "amount_fen": 100_000, "document_no": "a"},
        {"kind": "spending", "amount_fen": 30_000, "document_no": "b"},
        {"kind": "contract", "amount_fen": 50_000, "counterparty": "某社工中心", "document_no": "c"},
        {"kind": "workload", "quantity": 120, "document_no": "d"},
    ]
    for entry in entries:
        await here.post("/v1/work-funds", "civil_affairs", area="530901", year=2026, title="入户核查", **entry)
    twice = await here.call(
        "POST", "/v1/work-funds", "civil_affairs", area="530901", year=2026, title="入户核查", **entries[0]
    )
    assert twice.status_code == 409
    [total] = (await here.get("/v1/work-funds?area=5309&year=2026"))["by_area"]
    assert (total["left_fen"], total["contracted_fen"], total["workload"]) == (70_000, 50_000, 120)


async def test_a_county_that_has_not_paid_by_its_day_is_an_alarm_and_one_that_has_is_none(here: World) -> None:
    late, punctual, half = here.county(), here.county(), here.county()
    for area in (late, punctual, half):
        await here.funded(area)
        person = await here.person(area)
        await person.entitled("2026-03")
        await person.entitled("2026-03", subsidy="care")
        # A prefecture's day is that of its counties, where they have none of their own.
        placed = area[:4] if area == half else area
        await here.post("/v1/payment-schedules", "civil_affairs", area=placed, pay_by_day=10)
    await here.heard()
    await here.paid(punctual, "2026-03")
    living = await here.submitted(half, "2026-03", subsidy="living")
    await here.cycle_is(living["cycle_id"], "settled", "closed")

    async def alarms() -> dict[str, list[str]]:
        listed = (await here.get("/v1/cases?kind=payment_late"))["items"]
        return {case["area"]: case["detail"]["subsidies"] for case in listed}

    await here.post("/v1/daily-runs", "admin", as_of="2026-03-10")
    assert await alarms() == {}
    for _ in range(2):
        await here.post("/v1/daily-runs", "admin", as_of="2026-03-11")
        assert await alarms() == {late: ["care", "living"], half: ["care"]}
