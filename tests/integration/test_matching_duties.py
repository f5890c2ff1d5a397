"""The calendar of duties: plans and their distances, yearly coverage, and what is overdue, raised."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import httpx
import pytest

from libs.common.events.eligibility import PolicyChanged, PolicyValue
from libs.common.working_days import working_days_after
from services.matching.handlers.comparisons import fail
from tests.integration.matching import COUNTY, Matching


async def plan(matching: Matching, kind: str, area: str, planned_on: str, **more: Any) -> httpx.Response:
    body = {"kind": kind, "area": area, "planned_on": planned_on, **more}
    return await matching.call("POST", "/v1/duty-plans", area=area, json=body)


async def plans(matching: Matching, area: str = "5301", year: int = 2026) -> list[dict[str, Any]]:
    answer = await matching.call("GET", "/v1/duty-plans", area=area, params={"area": area, "year": year})
    return answer.json()["items"]


async def daily(matching: Matching, as_of: str) -> None:
    answer = await matching.call("POST", "/v1/daily-runs", "admin", json={"as_of": as_of})
    assert answer.status_code == 201, answer.text


async def escalations(matching: Matching, **query: Any) -> list[dict[str, Any]]:
    return (await matching.call("GET", "/v1/escalations", area="53", params=query)).json()["items"]


@pytest.mark.parametrize(
    ("planned_on", "status"),
    [
        ("2026-04-30", 201),
        ("2026-05-02", 422),
        ("2026-06-15", 422),
        ("2026-07-29", 422),
        ("2026-07-30", 201),
        ("2026-09-15", 201),
        ("2026-11-10", 422),
        ("2027-01-30", 422),
        ("2027-01-31", 201),
    ],
)
async def test_a_prefecture_keeps_a_month_from_june_and_december(
    matching: Matching, planned_on: str, status: int
) -> None:
    answer = await plan(matching, "prefecture", "5301", planned_on)
    assert answer.status_code == status, answer.text
    if status == 422:
        assert answer.json()["type"].endswith("too-close-to-the-province")
        assert answer.json()["errors"][0]["path"] == "planned_on"


async def test_where_the_province_names_its_day_the_month_counts_from_that_day(matching: Matching) -> None:
    assert (await plan(matching, "province", "53", "2026-06-20")).status_code == 201
    assert (await plan(matching, "prefecture", "5301", "2026-05-21")).status_code == 422
    assert (await plan(matching, "prefecture", "5301", "2026-05-20")).status_code == 201


async def test_civil_affairs_overrides_the_distance_with_a_reason_that_is_kept(matching: Matching) -> None:
    planned = await plan(matching, "prefecture", "5301", "2026-06-15", override_reason="省厅同意合并开展")
    assert planned.json()["override_reason"] == "省厅同意合并开展"
    assert (await plan(matching, "prefecture", "5301", "2026-06-15", override_reason="再次")).status_code == 409
    run = {"level": "prefecture", "area": "5301", "as_of": "2026-06-15"}
    refused = await matching.call("POST", "/v1/comparisons", area="5301", json=run)
    assert (refused.status_code, refused.json()["errors"][0]["path"]) == (422, "as_of")
    reasoned = {**run, "override_reason": "省厅同意合并开展"}
    assert (await matching.call("POST", "/v1/comparisons", area="5301", json=reasoned)).status_code == 201
    (done,) = await plans(matching)
    assert (done["status"], done["done_on"]) == ("done", "2026-06-15")


async def test_the_province_reviews_in_june_and_december(matching: Matching) -> None:
    assert (await plan(matching, "province", "53", "2026-08-10")).status_code == 422
    assert (await plan(matching, "province", "53", "2026-12-10")).status_code == 201
    assert (await plan(matching, "province", "5301", "2026-12-10")).status_code == 422
    outside = {"kind": "prefecture", "area": "5303", "planned_on": "2026-09-01"}
    assert (await matching.call("POST", "/v1/duty-plans", area="5301", json=outside)).status_code == 403
    assert (await matching.call("POST", "/v1/duty-plans", "township", json=outside)).status_code == 403


async def test_a_plan_that_is_not_fulfilled_is_raised_and_closes_itself_when_it_is(matching: Matching) -> None:
    assert (await plan(matching, "prefecture", "5301", "2026-09-10")).status_code == 201
    await daily(matching, "2026-09-30")
    assert await escalations(matching, kind="plan") == []
    await daily(matching, "2026-10-01")
    await daily(matching, "2026-10-02")
    (raised,) = await escalations(matching, kind="plan")
    assert (raised["area"], raised["raised_to"], raised["closed_on"]) == ("5301", "53", None)
    await matching.compare(as_of="2026-10-05", area="5301", level="prefecture")
    await daily(matching, "2026-10-06")
    assert (await escalations(matching, kind="plan"))[0]["closed_on"] == "2026-10-06"


async def test_a_yearly_review_covers_every_recipient_or_says_how_many_are_left(matching: Matching) -> None:
    for _ in range(3):
        await matching.recipient()
    await matching.recipient(subsidy="care", area="530103001")
    await plan(matching, "annual", COUNTY, "2026-09-01")
    query = {"area": "5301", "year": 2026}
    before = (await matching.call("GET", "/v1/annual-reviews", area="5301", params=query)).json()
    assert (before["recipients"], before["covered"], before["done"]) == (4, 0, False)
    await matching.compare(as_of="2026-09-20", level="annual")
    after = (await matching.call("GET", "/v1/annual-reviews", area="5301", params=query)).json()
    assert [(item["area"], item["uncovered"]) for item in after["items"]] == [(COUNTY, 0), ("530103", 1)]
    assert after["done"] is False
    assert [item["status"] for item in await plans(matching)] == ["done"]
    await matching.compare(as_of="2026-10-20", level="annual", area="530103")
    assert (await matching.call("GET", "/v1/annual-reviews", area="5301", params=query)).json()["done"] is True


async def test_missing_parts_of_the_month_are_raised_by_name_and_close_when_they_are_done(matching: Matching) -> None:
    await matching.recipient(area="530102001")
    await daily(matching, "2026-05-01")
    raised = await escalations(matching, kind="monthly_part", open=True)
    assert all(item["due_on"] == "2026-04-30" for item in raised)
    says = " ".join(item["says"] for item in raised)
    assert "五华区 2026-04：残联未完成" in says
    assert "五华区 2026-04：民政部门未完成" in says
    assert "五华区 2026-04：当月未与各部门数据比对" in says
    assert {item["raised_to"] for item in raised} == {"5301", COUNTY}
    unsigned = {item["area"] for item in raised if len(item["area"]) == 9}
    assert "530102001" in unsigned
    body = {"area": "530102001", "period": "2026-04", "changes": False}
    await matching.call("POST", "/v1/monthly-signoffs", "township", area="530102001", json=body)
    await daily(matching, "2026-05-03")
    still = {item["area"] for item in await escalations(matching, kind="monthly_part", open=True)}
    assert "530102001" not in still
    assert COUNTY in still
    await matching.compare()
    await daily(matching, "2026-05-04")
    subjects = {item["subject"] for item in await escalations(matching, kind="monthly_part", open=True)}
    assert f"2026-04:{COUNTY}:cdpf" in subjects
    assert f"2026-04:{COUNTY}:comparison" not in subjects


async def test_a_june_without_the_province_s_comparison_is_raised(matching: Matching) -> None:
    await matching.recipient()
    query = {"area": "53", "period": "2026-06"}
    duties = (await matching.call("GET", "/v1/duties", area="53", params=query)).json()
    assert duties["period"] == "2026-06"
    assert duties["province"] == {"area": "53", "due": True, "done": False, "comparison_id": None}
    await daily(matching, "2026-07-01")
    assert [item["area"] for item in await escalations(matching) if item["subject"].endswith(":province")] == ["53"]
    run = await matching.compare(as_of="2026-06-30", area="53", level="province")
    await daily(matching, "2026-07-02")
    assert [item["area"] for item in await escalations(matching, open=True) if item["area"] == "53"] == []
    async with matching.running.app.state.database.transaction() as tx:
        await fail(tx, UUID(run["comparison_id"]), "the engine failed")
    duties = (await matching.call("GET", "/v1/duties", area="53", params=query)).json()
    assert duties["province"]["done"] is False, "a run that failed has compared nothing"


async def test_what_the_province_found_is_pushed_to_each_county_with_its_day(matching: Matching) -> None:
    here, there = await matching.recipient(), await matching.recipient(area="530302001")
    rows = "".join(f"张三,{person.id_number},2026-06-05,\n" for person in (here, there))
    uploaded = await matching.call(
        "POST", "/v1/feeds/deaths", area="53", params={"area": "53", "as_of": "2026-06-15"},
        content="name,id_number,date,area\n" + rows,
    )  # fmt: skip
    assert uploaded.json()["accepted"] == 2
    run = await matching.compare(as_of="2026-06-30", area="53", level="province")
    path = f"/v1/comparisons/{run['comparison_id']}/counties"
    items = (await matching.call("GET", path, area="53")).json()["items"]
    assert [(item["area"], item["findings"], item["verified"]) for item in items] == [
        (COUNTY, 1, 0),
        ("530302", 1, 0),
    ]
    assert run["counts"]["findings"] == 2
    assert all(date.fromisoformat(item["due_on"]) > date(2026, 6, 30) for item in items)


async def test_the_days_and_months_that_hold_are_shown_with_their_source(matching: Matching) -> None:
    items = (await matching.call("GET", "/v1/parameters", params={"area": COUNTY})).json()["items"]
    gap = next(item for item in items if item["name"] == "comparison.prefecture_gap_months")
    assert (gap["value"], gap["layer"], gap["confidence"]) == (1, "53", "V")


async def test_what_an_area_s_policy_says_holds_from_its_day_on(matching: Matching) -> None:
    values = (PolicyValue(parameter="finding.verification_days", since=date(2026, 1, 1), value=5),)
    told = {"area": "5301", "policy_version": "a"}
    await matching.hear(PolicyChanged(version=2, values=values, **told), PolicyChanged(version=1, values=(), **told))
    items = (await matching.call("GET", "/v1/parameters", params={"area": COUNTY, "on": "2026-06-01"})).json()["items"]
    days = next(item for item in items if item["name"] == "finding.verification_days")
    assert (days["value"], days["layer"]) == (5, "5301")
    await matching.push("person.died", matching.new_id_number(), "2026-03-05", role="township")
    (finding,) = await matching.findings()
    assert date.fromisoformat(finding["due_on"]) == working_days_after(date.fromisoformat(finding["opened_on"]), 5)
