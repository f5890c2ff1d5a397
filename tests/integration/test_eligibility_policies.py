"""Policy on a real database: layers at odds as cases, what changed when, what others are told, what all may read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import date
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from libs.common.clock import business_today
from libs.common.events.intake import ApplicationRejected, CertificateClaim, LowIncomeClaim
from services.eligibility.handlers.reevaluation import reevaluate_chunk
from services.eligibility.main import build
from tests.conftest import Databases, Issuer, Running, running
from tests.integration.test_eligibility import Eligibility, _approve, _state, facts_of_application, submitted

_HEAD = 'layer: "{area}"\n{more}parameters:\n  {name}:\n    - {{since: {since}, value: {value}, '
_BASIS = "source: {source}, clause: 第一条, confidence: V, reason: 按文件规定}}\n"


def layer(area: str, name: str, value: str, since: str = "2026-05-01", **given: str) -> str:
    source = given.get("source", "昆民发〔2026〕9号")
    return (_HEAD + _BASIS).format(
        area=area, name=name, value=value, since=since, source=source, more=given.get("more", "")
    )


@pytest.fixture
async def service(databases: Databases, make_settings: Callable[..., Any]) -> AsyncIterator[Running]:
    settings = make_settings(await databases.fresh("eligibility"))
    async with running(build(settings), settings) as started:
        yield started


async def _conflicts(service: Running, issuer: Issuer, area: str) -> list[dict[str, Any]]:
    answer = await service.http.get("/v1/policies/conflicts", headers=issuer.bearer("civil_affairs", area))
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return [item for item in items if item["area"] == area]


async def test_a_check_names_line_and_clause_and_takes_yaml_bare_or_in_json(service: Running, issuer: Issuer) -> None:
    bad = layer("5303", "living.amount_fen", "9900")
    for given in ({"content": bad}, {"json": {"yaml": bad}}):
        answer = await service.http.post("/v1/policies/check", headers=issuer.bearer("partner", "53"), **given)
        assert answer.status_code == 200, answer.text
        [problem] = answer.json()["problems"]
        assert (problem["line"], problem["clause"]) == (4, "notice 2.1")
    good = await service.http.post(
        "/v1/policies/check",
        json={"yaml": layer("5303", "living.amount_fen", "12000")},
        headers=issuer.bearer("partner", "53"),
    )
    assert good.json() == {"ok": True, "problems": []}


async def test_existing_local_rules_become_a_case_worked_on_to_its_end(service: Running, issuer: Issuer) -> None:
    area, headers = "530302", issuer.bearer("civil_affairs", "530302", "owner")
    refused = ApplicationRejected(
        **_state(
            "p1-refused", 7, 3, "rejected", decided_on=date(2026, 6, 2), reason="hukou",
            area="530302001", applied_on=date(2026, 6, 1), facts=facts_of_application(residence_area="530302001"),
        )
    )  # fmt: skip
    later = CertificateClaim(category="physical", level=1, issued_on=date(2026, 9, 1), expires_on=date(2036, 8, 31))
    rightly = ApplicationRejected(
        **_state(
            "p1-rightly", 8, 3, "rejected", decided_on=date(2026, 6, 2), reason="no certificate",
            area="530302001", applied_on=date(2026, 6, 1),
            facts=facts_of_application(residence_area="530302001", certificate=later),
        )
    )  # fmt: skip
    await Eligibility(service.app.state.database).take(refused, rightly)
    added = "[orphan, unattended_child_full, work_injury_care, old_age]"
    await _approve(
        service, issuer, layer(area, "living.excluding_benefits", added, "2024-01-01", more="existing: true\n"), area
    )
    [case] = await _conflicts(service, issuer, area)
    assert (case["status"], case["clause"], case["at_odds"]) == ("open", "notice 2.1", True)
    assert (case["owner"], case["persons_affected"]) == ("civil_affairs-530302", 2)
    path = f"/v1/policies/conflicts/{case['case_id']}"

    assignment = {"owner": "李", "due_on": "2027-01-31", "transition": "已享受的继续享受"}
    assert (await service.http.post(f"{path}/assignment", json=assignment, headers=headers)).status_code == 200
    other = issuer.bearer("civil_affairs", "530303")
    assert (await service.http.post(f"{path}/assignment", json=assignment, headers=other)).status_code == 404
    early = await service.http.post(f"{path}/resolution", json={"note": "已纠正"}, headers=headers)
    assert (early.status_code, early.json()["type"].rsplit("/", 1)[-1]) == (409, "still-at-odds")

    corrected = layer(
        area, "living.excluding_benefits", "[orphan, unattended_child_full, work_injury_care]", "2026-07-01"
    )
    await _approve(service, issuer, corrected, area)
    done = await service.http.post(f"{path}/resolution", json={"note": "已纠正"}, headers=headers)
    assert done.status_code == 200, done.text
    assert done.json()["wrongly_refused"] == 1
    shown = (await service.http.get(path, headers=headers)).json()
    assert (shown["status"], shown["owner"], shown["transition"]) == ("resolved", "李", "已享受的继续享受")
    assert [(r["person_id"], r["subsidies"]) for r in shown["wrongly_refused"]] == [("p1-refused", ["living"])]
    again = await service.http.post(f"{path}/resolution", json={"note": "已纠正"}, headers=headers)
    assert again.status_code == 409


async def test_a_layer_that_the_province_overtakes_becomes_a_case(service: Running, issuer: Issuer) -> None:
    await _approve(service, issuer, layer("5304", "living.amount_fen", "10500"), "5304")
    assert await _conflicts(service, issuer, "5304") == []
    await _approve(
        service, issuer, layer("53", "living.amount_fen", "11000", "2027-01-01", source="云民发〔2026〕30号"), "53"
    )
    [case] = await _conflicts(service, issuer, "5304")
    assert "below the upper layer" in case["message"]


async def test_a_value_that_rests_on_a_repealed_document_is_listed(service: Running, issuer: Issuer) -> None:
    existing = layer("5305", "living.amount_fen", "12000", source="云民福〔2019〕21号", more="existing: true\n")
    await _approve(service, issuer, existing, "5305")
    [case] = await _conflicts(service, issuer, "5305")
    assert (case["clause"], case["source"]) == ("notice 8.1", "云民福〔2019〕21号")


async def test_history_is_public_and_tells_when_each_change_was_published(service: Running, issuer: Issuer) -> None:
    await _approve(service, issuer, layer("5306", "care.amount_fen", "{1: 13000, 2: 12000}"), "5306")
    answer = await service.http.get("/v1/policies/history", params={"area": "530602", "name": "care.amount_fen"})
    assert answer.status_code == 200, answer.text
    newest, *older = answer.json()["items"]
    assert (newest["layer"], newest["since"], newest["value"]) == ("5306", "2026-05-01", {"1": 13000, "2": 12000})
    assert newest["published_on"] is not None
    assert [(item["layer"], item["since"], item["until"], item["published_on"]) for item in older] == [
        ("53", "2026-01-01", None, None),
        ("53", "2016-01-01", "2025-12-31", None),
    ]


async def test_the_policy_page_needs_no_login_and_says_what_holds_in_words(service: Running) -> None:
    page = await service.http.get("/v1/public/policy", params={"area": "530702", "on": "2025-12-31"})
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    for words in ("每人每月 90.00 元", "1 级每人每月 100.00 元；2 级每人每月 90.00 元", "最低生活保障家庭", "变更记录"):
        assert words in page.text, words
    assert "100.00 元；2 级每人每月 100.00 元" not in page.text
    nowhere = await service.http.get("/v1/public/policy", params={"area": "110101", "on": "2025-12-31"})
    assert "没有公布的补贴标准" in nowhere.text
    assert (await service.http.get("/v1/public/policy", params={"area": "nowhere"})).status_code == 422


async def test_materials_and_process_are_published_by_area_with_the_day_of_each_change(
    service: Running, issuer: Issuer
) -> None:
    steps = "[{step: 在社区一次办结, who: 街道, deadline: review.township_days}]"
    for name, value in (("guide.materials", "[身份证, 残疾人证]"), ("guide.process", steps)):
        await _approve(service, issuer, layer("5309", name, value), "5309")
    today = business_today().isoformat()
    for area, on, words, absent in (
        (
            "530902",
            "2026-05-01",
            ("<li>身份证</li>", "街道：在社区一次办结（3 个工作日内）", today),
            "居民身份证或户口簿</li>",
        ),
        ("530902", "2026-04-30", ("居民身份证或户口簿</li>",), "<li>身份证</li>"),
        ("530702", "2026-05-01", ("居民身份证或户口簿</li>",), "<li>身份证</li>"),
    ):
        page = (await service.http.get("/v1/public/policy", params={"area": area, "on": on})).text
        assert all(word in page for word in words), (area, on)
        assert absent not in page
    listed = (await service.http.get("/v1/policies", params={"area": "530902", "on": "2026-05-01"})).json()["items"]
    [materials] = [item for item in listed if item["name"] == "guide.materials"]
    assert (materials["value"], materials["layer"], materials["words"]) == (
        ["身份证", "残疾人证"],
        "5309",
        "身份证；残疾人证",
    )
    history = await service.http.get("/v1/policies/history", params={"area": "530902", "name": "guide.materials"})
    assert [(item["since"], item["published_on"]) for item in history.json()["items"]] == [
        ("2026-05-01", today),
        ("2022-11-01", None),
        ("2016-01-01", None),
    ]


async def test_texts_of_the_guide_and_deadlines_judge_nobody_anew(service: Running, issuer: Issuer) -> None:
    eligibility = Eligibility(service.app.state.database)
    await eligibility.take(submitted())
    for name, value in (("guide.channels", "[街道服务窗口]"), ("review.township_days", "2")):
        policy_id = await _approve(service, issuer, layer("5309", name, value), "5309")
        async with eligibility.database.transaction() as tx:
            jobs = await tx.connection.execute(
                text("SELECT count(*) FROM reevaluations WHERE policy_id = :id"), {"id": policy_id}
            )
            assert jobs.scalar_one() == 0, name
            assert not await reevaluate_chunk(tx)
    assert await eligibility.published("policy.reevaluated.v1") == []
    assert {"", "5309"} <= {event["area"] for event in await eligibility.published("policy.changed.v1")}


async def test_other_services_are_told_what_each_area_decided(service: Running, issuer: Issuer) -> None:
    eligibility = Eligibility(service.app.state.database)
    await _approve(service, issuer, layer("5307", "finding.verification_days", "15"), "5307")
    told = {event["area"]: event for event in await eligibility.published("policy.changed.v1")}
    assert {"", "53", "5307"} <= set(told)
    days = [(v["since"], v["value"]) for v in told["5307"]["values"] if v["parameter"] == "finding.verification_days"]
    assert days == [("2016-01-01", 10), ("2026-05-01", 15)]
    assert [v["value"] for v in told["53"]["values"] if v["parameter"] == "finding.verification_days"] == [10]


async def test_the_database_holds_one_value_a_day_as_known_at_any_moment(service: Running, issuer: Issuer) -> None:
    await _approve(service, issuer, layer("5308", "living.amount_fen", "12000", "2026-05-01"), "5308")
    await _approve(service, issuer, layer("5308", "living.amount_fen", "13000", "2026-08-01"), "5308")
    async with service.app.state.database.transaction() as tx:
        found = await tx.connection.execute(
            text(
                "SELECT value, lower(valid) AS since, upper(valid) AS until FROM policy_values"
                " WHERE area = '5308' AND upper_inf(known) ORDER BY valid"
            )
        )
        assert [tuple(row) for row in found] == [
            (12000, date(2026, 5, 1), date(2026, 8, 1)),
            (13000, date(2026, 8, 1), None),
        ]
    with pytest.raises(IntegrityError, match="one_value_a_day"):
        async with service.app.state.database.transaction() as tx:
            await tx.connection.execute(
                text("INSERT INTO policy_values SELECT policy_id, area, name, '1', valid, known FROM policy_values")
            )


async def test_open_applications_are_assessed_by_the_new_policy(service: Running, issuer: Issuer) -> None:
    eligibility = Eligibility(service.app.state.database)
    facts = facts_of_application(
        low_income=LowIncomeClaim(category="borderline", from_=date(2024, 1, 1)), residence_area="530902001"
    )
    await eligibility.take(submitted(facts=facts, area="530902001"), submitted(number=2, person="p1-elsewhere"))
    await _approve(service, issuer, layer("5309", "living.categories", "[dibao, borderline]", "2026-03-01"), "5309")
    while True:
        async with eligibility.database.transaction() as tx:
            if not await reevaluate_chunk(tx):
                break
    told = [e["decisions"][0]["eligible"] for e in await eligibility.published("application.assessed.v1")]
    assert told == [False, True, True], "assessed before and after, and once where nothing changed"
