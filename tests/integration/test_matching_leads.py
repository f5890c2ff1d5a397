"""Leads become findings in one statement of SQL: what is told of them, and what is told apart."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from sqlalchemy import text

from libs.common.database import Database
from libs.common.events.matching import FindingOpened
from libs.common.period import Period
from services.matching.findings import Lead
from services.matching.handlers.leads import open_leads
from tests.integration.matching import TOWNSHIP, Matching, care_excluding, invariants_hold

DEATH = Lead('p1-"a', "person.died", date(2026, 1, 10), TOWNSHIP, "cremations", {"reason": "火化"})
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize("trace", [None, TRACE])
async def test_a_finding_is_told_by_sql_field_by_field_as_by_the_writer_of_envelopes(
    matching: Matching, trace: str | None
) -> None:
    database: Database = matching.running.app.state.database
    for lead in (DEATH, replace(DEATH, source="deaths", alleged_on=date(2026, 1, 8))):  # opened, then from earlier on
        async with database.transaction(traceparent=trace) as tx:
            await open_leads(tx, [lead], opened_on=date(2026, 2, 1))
            finding = (await tx.connection.execute(text("SELECT * FROM findings"))).mappings().one()
            tx.publish(FindingOpened.model_validate(dict(finding)))
        async with database.transaction() as tx:
            rows = (await tx.connection.execute(text("SELECT * FROM outbox ORDER BY seq DESC LIMIT 2"))).mappings()
            by_writer, by_sql = map(without_its_id, rows)
        assert by_sql == by_writer
    assert by_sql["body"]["data"]["version"] == 2


def without_its_id(row: Any) -> dict[str, Any]:
    """A row of the outbox; a field that is null is as good as one that is not there."""
    body = json.loads(row["body"])
    assert body.pop("id") == str(row["event_id"])
    body["data"] = {name: value for name, value in body["data"].items() if value is not None}
    return {**row, "body": body, "event_id": None, "seq": None}


# --- several of one kind ---------------------------------------------------------------------------------------------

BENEFITS = "id_number,kind,amount_fen,from,to,last_paid_period,area\n"


async def test_two_benefits_of_one_day_are_two_findings_and_each_is_verified(matching: Matching) -> None:
    person = await matching.recipient(subsidy="care")
    rows = [f"{person.id_number},{kind},5000,2026-01-01,,,{TOWNSHIP}\n" for kind in ("elderly_care", "other_care")]
    await matching.upload("benefits", BENEFITS + "".join(rows))
    assert (await matching.compare())["counts"]["by_kind"] == {"benefit.started": 2}
    found = await matching.findings()
    assert {finding["about"] for finding in found} == {"elderly_care", "other_care"}
    for finding in found:
        assert (await matching.verify(finding["finding_id"], "confirmed")).status_code == 200
    started = await matching.told(person.person_id, "benefit.started")
    assert {fact["kind"] for fact in started} == {"elderly_care", "other_care"}
    assert (await matching.compare("2026-05-31"))["counts"]["findings"] == 0
    assert await invariants_hold(matching)


async def test_news_of_a_benefit_that_stacks_neither_confirms_nor_hides_one_that_does_not(matching: Matching) -> None:
    before, after = [await matching.recipient(subsidy="care") for _ in "12"]
    old_age = {"benefit_kind": "old_age", "amount_fen": 5000}
    await matching.push("benefit.started", before.id_number, "2026-01-01", **old_age)
    rows = [f"{one.id_number},elderly_care,5000,2026-01-01,,,{TOWNSHIP}\n" for one in (before, after)]
    await matching.upload("benefits", BENEFITS + "".join(rows))
    assert (await matching.compare())["counts"]["by_kind"] == {"benefit.started": 2}
    fact = await matching.push("benefit.started", after.id_number, "2026-01-01", **old_age)
    assert fact.json()["outcome"] == "fact"
    assert {finding["person_id"] for finding in await matching.findings(status="open")} == {
        before.person_id, after.person_id,
    }  # fmt: skip


async def test_an_end_of_being_monitored_does_not_confirm_the_lead_of_leaving_dibao(matching: Matching) -> None:
    person = await matching.recipient()
    lead = await matching.push("low_income.exited", person.id_number, "2026-03-01", role="township", category="dibao")
    await matching.push("low_income.exited", person.id_number, "2026-03-01", role="civil_affairs", category="monitored")
    (finding,) = await matching.findings(status="open")
    assert finding["finding_id"] == lead.json()["finding_id"]
    await matching.push("low_income.exited", person.id_number, "2026-03-01", role="civil_affairs", category="dibao")
    assert await matching.findings(status="open") == []


# --- a benefit beside ours (ADR 0019) --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("benefit", "occurred_on", "more", "outcome"),
    [
        ("elderly_care", "2026-03-15", {}, "finding"),
        ("elderly_care", "2024-06-01", {"until": "2025-01-31"}, "finding"),
        ("elderly_care", "2024-06-01", {"until": "2024-12-31"}, "fact"),  # over before our first month
        ("old_age", "2026-03-15", {}, "fact"),  # stacks with ours
        ("orphan", "2026-03-15", {}, "fact"),  # excludes living, and we pay care
    ],
)
async def test_a_benefit_pushed_beside_ours_is_verified_before_it_is_a_fact(
    matching: Matching, benefit: str, occurred_on: str, more: dict[str, str], outcome: str
) -> None:
    person = await matching.recipient(subsidy="care")
    said = {"benefit_kind": benefit, "amount_fen": 5000, **more}
    answers = [await matching.push("benefit.started", person.id_number, occurred_on, **said) for _ in "12"]
    assert [answer.json()["outcome"] for answer in answers] == [outcome] * 2, answers[0].text
    assert answers[0].json() == answers[1].json()
    facts = await matching.told(person.person_id, "benefit.started")
    assert len(facts) == (outcome == "fact")
    if outcome == "finding":
        (finding,) = await matching.told(person.person_id, "finding.opened")
        assert finding["hold_from"] == occurred_on[:7], "two payments for one month are never right"
        await matching.verify(answers[0].json()["finding_id"], "confirmed")
        (fact,) = await matching.told(person.person_id, "benefit.started")
        assert (fact["kind"], fact["occurred_on"], fact["amount_fen"]) == (benefit, occurred_on, 5000)


async def test_a_benefit_of_who_is_not_paid_any_more_is_a_fact(matching: Matching) -> None:
    person = await matching.recipient(subsidy="care", to=Period(2026, 2))
    said = {"benefit_kind": "elderly_care", "amount_fen": 5000}
    assert (await matching.push("benefit.started", person.id_number, "2026-03-01", **said)).json()["outcome"] == "fact"


async def test_a_benefit_that_the_person_s_county_excludes_no_longer_is_a_fact_by_push_and_by_feed(
    matching: Matching,
) -> None:
    pushed, listed, elsewhere = (
        await matching.recipient(subsidy="care"),
        await matching.recipient(subsidy="care"),
        await matching.recipient(subsidy="care", area="530103001"),
    )
    await matching.hear(care_excluding(TOWNSHIP[:6], ["other_care"]))
    said = {"benefit_kind": "elderly_care", "amount_fen": 5000}
    for person, outcome in ((pushed, "fact"), (elsewhere, "finding")):
        answer = await matching.push("benefit.started", person.id_number, "2026-03-01", **said)
        assert answer.json()["outcome"] == outcome
    feed = await matching.upload(
        "benefits", f"{BENEFITS}{listed.id_number},elderly_care,5000,2026-03-01,,,{TOWNSHIP}\n"
    )
    assert feed.json()["facts"] == 1
    assert (await matching.compare())["counts"]["findings"] == 0


@pytest.mark.parametrize("few", [0, 50_000])
async def test_a_county_s_feed_about_who_is_paid_by_another_is_a_finding_of_theirs(
    matching: Matching, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """Their own comparison does not read it. It is so whether the feed names few, or so many that all are read."""
    monkeypatch.setattr("services.matching.handlers.news.FEW_PERSONS", few)
    person = await matching.recipient(subsidy="care", area="530103001")
    feed = f"{BENEFITS}{person.id_number},elderly_care,5000,2026-03-01,,,{TOWNSHIP}\n"
    assert (await matching.upload("benefits", feed)).json()["facts"] == 0
    assert await matching.told(person.person_id, "benefit.started") == []
    (finding,) = await matching.told(person.person_id, "finding.opened")
    assert (finding["area"], finding["hold_from"]) == ("530103001", "2026-03")
    await matching.upload("benefits", feed, as_of="2026-05-31")
    assert (await matching.compare(area="5301", level="prefecture"))["counts"]["findings"] == 0, "it is known"
    verified = await matching.verify(finding["finding_id"], "confirmed", area="530103001")
    assert verified.status_code == 200
    (fact,) = await matching.told(person.person_id, "benefit.started")
    assert (fact["kind"], fact["occurred_on"]) == ("elderly_care", "2026-03-01")
