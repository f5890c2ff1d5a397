"""Spot checks of archives, over HTTP on a real database (notice 5.3)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from libs.common.clock import business_today
from tests.integration.intake import Office
from tests.integration.test_intake_archives import PDF, add
from tests.integration.test_intake_places import daily_run


def asked(office: Office, **changes: Any) -> dict[str, Any]:
    return {"area": office.area, "period": "2026-03", "sample_size": 4, "seed": 42} | changes


async def test_the_sample_is_drawn_again_by_its_seed_and_covers_the_channels(office: Office) -> None:
    for channel in ("online", "online", "online", "counter", "one_thing", "online"):
        await office.submit(channel=channel)
    first = await office.post("/archive-checks", "civil_affairs", asked(office))
    assert first.status_code == 201, first.text
    again = await office.post("/archive-checks", "cdpf", asked(office))
    drawn = [[item["application_id"] for item in check.json()["items"]] for check in (first, again)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 4
    assert {item["channel"] for item in first.json()["items"]} == {"online", "counter", "one_thing"}
    assert (first.json()["population"], again.json()["body"]) == (6, "county cdpf")
    listed = await office.get(f"/archive-checks?area={office.area}")
    assert len(listed.json()["items"]) == 2


async def test_all_four_bodies_check_and_others_do_not(office: Office) -> None:
    await office.submit()
    prefecture = office.area[:4]
    for role in ("civil_affairs", "cdpf"):
        for area in (prefecture, office.area):
            assert (await office.post("/archive-checks", role, asked(office), area=area)).status_code == 201
    for role in ("township", "finance", "auditor", "admin", "partner"):
        assert (await office.post("/archive-checks", role, asked(office))).status_code == 403
    assert (await office.post("/archive-checks", "cdpf", asked(office, area="530302"))).status_code == 403
    for wrong in ({"sample_size": 0}, {"period": "2026-13"}, {"seed": ""}, {"area": "x"}):
        assert (await office.post("/archive-checks", "cdpf", asked(office, **wrong))).status_code == 422


async def test_a_body_that_has_drawn_no_sample_for_a_year_comes_before_the_office_above(office: Office) -> None:
    await office.submit(applied_on=business_today() - timedelta(days=500))

    async def bodies_late() -> list[str]:
        await daily_run(office, days_from_now=0)
        items = (await office.get(f"/escalations?area={office.area}&open=true")).json()["items"]
        return sorted(item["office"] for item in items if item["kind"] == "archive_check")

    async def duties() -> list[tuple[str, bool, bool]]:
        items = (await office.get(f"/duties?area={office.area}")).json()["items"]
        return [(item["office"], item["drawn_on"] is not None, item["overdue"]) for item in items]

    assert await bodies_late() == []
    assert await duties() == [("cdpf", False, False), ("civil_affairs", False, False)]
    await office.rows(
        f"UPDATE applications SET received_on = received_on - 400 WHERE area LIKE '{office.area}%' RETURNING 1 AS one"
    )
    assert await bodies_late() == ["cdpf", "civil_affairs"]
    assert (await office.post("/archive-checks", "cdpf", asked(office), area=office.area[:4])).status_code == 201
    assert await bodies_late() == ["cdpf", "civil_affairs"], "the prefecture's check is not the county's"
    assert (await office.post("/archive-checks", "cdpf", asked(office))).status_code == 201
    assert await bodies_late() == ["civil_affairs"]
    assert await duties() == [("cdpf", True, False), ("civil_affairs", False, True)]
    assert (await office.get("/duties?area=5399", area=office.area)).status_code == 403


async def test_what_is_missing_is_asked_for_until_it_is_there(office: Office) -> None:
    application_id = (await office.submit())["application_id"]
    check = (await office.post("/archive-checks", "cdpf", asked(office))).json()
    path = f"/archive-checks/{check['archive_check_id']}/items/{application_id}"
    missing = {"verdict": "missing", "missing": ["commitment", "id_card"]}
    assert (await office.post(path, "cdpf", {"verdict": "missing"})).status_code == 422
    assert (await office.post(path, "cdpf", {"verdict": "complete", "missing": ["photo"]})).status_code == 422
    assert (await office.post(path, "cdpf", missing, area="530302")).status_code == 404
    for _ in range(2):
        assert (await office.post(path, "cdpf", missing)).status_code == 200
    assert (await office.post(path, "cdpf", {"verdict": "complete"})).status_code == 409

    tasks = (await office.get(f"/completion-tasks?area={office.area}")).json()["items"]
    assert [(task["kind"], task["status"]) for task in tasks] == [("commitment", "open"), ("id_card", "open")]
    await add(office, application_id, PDF)
    tasks = (await office.get(f"/completion-tasks?area={office.area}&status=open")).json()["items"]
    assert [task["kind"] for task in tasks] == ["id_card"]
    await daily_run(office)
    late = (await office.get(f"/escalations?area={office.area}&open=true")).json()["items"]
    assert "completion" in [item["kind"] for item in late]

    await add(office, application_id, PDF + b"id", "id_card")
    report = (await office.get(f"/archive-checks/{check['archive_check_id']}")).json()["report"]
    assert (report["tasks"], report["tasks_done"], report["done"]) == (2, 2, True)
    assert report["missing_by_kind"] == {"commitment": 1, "id_card": 1}


async def test_a_closed_archive_takes_what_a_check_asks_for_and_no_more(office: Office) -> None:
    application_id = (await office.submit())["application_id"]
    await office.review(application_id, "township", "reject", reason="户籍不符")
    assert (await add(office, application_id, PDF)).status_code == 409
    check = (await office.post("/archive-checks", "cdpf", asked(office))).json()
    path = f"/archive-checks/{check['archive_check_id']}/items/{application_id}"
    await office.post(path, "cdpf", {"verdict": "missing", "missing": ["commitment"]})
    assert (await add(office, application_id, PDF, "photo")).status_code == 409
    assert (await add(office, application_id, PDF)).status_code == 201


async def test_an_application_outside_the_sample_is_not_judged(office: Office) -> None:
    await office.submit()
    check = (await office.post("/archive-checks", "cdpf", asked(office))).json()
    outside = (await office.submit())["application_id"]
    path = f"/archive-checks/{check['archive_check_id']}/items/{outside}"
    assert (await office.post(path, "cdpf", {"verdict": "complete"})).status_code == 404
