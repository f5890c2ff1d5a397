"""Outreach over REST on a real database: candidates, the pre-screening's answer, reminders, and the two clocks."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from libs.common.clock import business_today
from libs.common.events.eligibility import CandidatePrescreened, Reason, SubsidyDecision
from libs.common.events.intake import ApplicationFacts, ApplicationSubmitted, CertificateClaim
from libs.common.events.notification import MessageFailed, ReminderDelivered
from libs.common.period import SHANGHAI, Period
from services.matching.handlers.outreach import answer_outreach
from tests.conftest import eventually
from tests.integration.matching import ISSUE, TOWNSHIP, Matching, entitled, invariants_hold

TODAY = business_today()
RECENTLY = TODAY - timedelta(days=10)


async def newly_certified(matching: Matching, on: date = RECENTLY) -> str:
    answer = await matching.push(
        "certificate.issued", matching.new_id_number(), on.isoformat(), **{**ISSUE, "area": TOWNSHIP, "role": "cdpf"}
    )
    assert answer.status_code == 202, answer.text
    return answer.json()["person_id"]


async def cases(matching: Matching, **query: Any) -> list[dict[str, Any]]:
    answer = await matching.call("GET", "/v1/outreach", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def case_of(matching: Matching, person_id: str) -> dict[str, Any]:
    (case,) = await cases(matching, person_id=person_id)
    return case


def prescreened(case: dict[str, Any], *eligible: Any, version: int = 1) -> CandidatePrescreened:
    reason = Reason(rule="certificate", outcome="pass", citation="国发〔2015〕52号", detail="")
    return CandidatePrescreened(
        person_id=case["person_id"], version=version, outreach_id=UUID(case["outreach_id"]), eligible=eligible,
        decisions=tuple(
            SubsidyDecision(subsidy=subsidy, eligible=subsidy in eligible, reasons=(reason,))
            for subsidy in ("living", "care")
        ),
    )  # fmt: skip


def delivered(case: dict[str, Any], on: date) -> ReminderDelivered:
    return ReminderDelivered(
        person_id=case["person_id"], outreach_id=UUID(case["outreach_id"]), message_id=uuid4(), medium="sms",
        delivered_at=datetime.combine(on, time(9), SHANGHAI),
    )  # fmt: skip


def applied(person_id: str, on: date) -> ApplicationSubmitted:
    return ApplicationSubmitted(
        person_id=person_id, version=1, application_id=uuid4(), area=TOWNSHIP, channel="counter", subsidies=("care",),
        applied_on=on, status="submitted", stage="township",
        facts=ApplicationFacts(
            certificate=CertificateClaim(category="physical", level=2), residence_area=TOWNSHIP, birth_year=1950
        ),
    )  # fmt: skip


async def daily(matching: Matching, as_of: str | date) -> dict[str, Any]:
    answer = await matching.call("POST", "/v1/daily-runs", "admin", json={"as_of": str(as_of)})
    assert answer.status_code == 201, answer.text
    return answer.json()["done"]


async def test_who_is_newly_certified_is_a_candidate_and_reminded_once_eligible(matching: Matching) -> None:
    person_id = await newly_certified(matching)
    case = await case_of(matching, person_id)
    assert (case["status"], case["because"], case["began_on"]) == ("identified", "certified", RECENTLY.isoformat())
    (told,) = await matching.told(person_id, "candidate.identified")
    assert (told["outreach_id"], told["version"]) == (case["outreach_id"], 1)
    await matching.hear(prescreened(case, "care"))
    await matching.hear(prescreened(case, "care"))
    case = await case_of(matching, person_id)
    assert (case["status"], case["eligible"]) == ("reminding", ["care"])
    assert len(await matching.told(person_id, "reminder.requested")) == 1


async def test_the_later_of_both_clocks_ends_in_a_waiver_and_a_later_application_is_welcome(matching: Matching) -> None:
    person_id = await newly_certified(matching)
    case = await case_of(matching, person_id)
    await matching.hear(prescreened(case, "care"), delivered(case, TODAY))
    case = await case_of(matching, person_id)
    assert (case["status"], case["reminded_on"], case["reminded_by"]) == ("reminded", TODAY.isoformat(), "sms")
    assert case["lapses_after"] == case["remind_by"], "thirty days are over sooner than the three months"
    for as_of, status in ((case["lapses_after"], "reminded"), (_after(case["lapses_after"]), "lapsed")):
        await daily(matching, as_of)
        await daily(matching, as_of)
        assert (await case_of(matching, person_id))["status"] == status
    (lapsed,) = await matching.told(person_id, "outreach.lapsed")
    assert lapsed["outreach_id"] == case["outreach_id"]
    assert await invariants_hold(matching)
    await matching.hear(applied(person_id, date.fromisoformat(_after(case["lapses_after"])) + timedelta(days=9)))
    assert (await case_of(matching, person_id))["status"] == "applied"


async def test_who_applied_in_time_and_is_heard_of_late_has_waived_nothing(matching: Matching) -> None:
    person_id = await newly_certified(matching)
    case = await case_of(matching, person_id)
    await matching.hear(prescreened(case, "care"), delivered(case, TODAY))
    case = await case_of(matching, person_id)
    await daily(matching, _after(case["lapses_after"]))
    await matching.hear(applied(person_id, date.fromisoformat(case["began_on"]) - timedelta(days=1)))
    assert (await case_of(matching, person_id))["status"] == "lapsed", "an earlier application is no answer"
    await matching.hear(applied(person_id, date.fromisoformat(case["lapses_after"])))
    assert (await case_of(matching, person_id))["status"] == "applied"


async def test_who_applies_as_the_clocks_are_read_has_waived_nothing(matching: Matching) -> None:
    person_id = await newly_certified(matching)
    case = await case_of(matching, person_id)
    await matching.hear(prescreened(case, "care"), delivered(case, TODAY))
    over = _after((await case_of(matching, person_id))["lapses_after"])
    async with matching.running.app.state.database.transaction() as tx:
        await tx.lock(person_id)
        reading = asyncio.create_task(daily(matching, over))
        await eventually(lambda: _waits_for_a_lock(matching))
        await answer_outreach(tx, {person_id: TODAY})
    await reading
    assert (await case_of(matching, person_id))["status"] == "applied"
    assert await matching.told(person_id, "outreach.lapsed") == []


async def _waits_for_a_lock(matching: Matching) -> bool:
    async with matching.running.app.state.database.transaction() as tx:
        found = await tx.connection.execute(
            text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'")
        )
        return bool(found.scalar_one())


async def test_a_reminder_near_the_end_of_the_three_months_leaves_the_person_thirty_days(matching: Matching) -> None:
    person_id = await newly_certified(matching, TODAY - timedelta(days=85))
    case = await case_of(matching, person_id)
    await matching.hear(prescreened(case, "care"), delivered(case, TODAY))
    case = await case_of(matching, person_id)
    assert case["lapses_after"] == (TODAY + timedelta(days=30)).isoformat()


async def test_a_reminder_that_never_came_is_an_alarm_and_never_a_waiver(matching: Matching) -> None:
    person_id = await newly_certified(matching)
    case = await case_of(matching, person_id)
    await matching.hear(prescreened(case, "care"))
    await daily(matching, case["remind_by"])
    assert await cases(matching, alarm=True) == []
    await daily(matching, _after(case["remind_by"]))
    await daily(matching, TODAY + timedelta(days=900))
    (alarm,) = await cases(matching, alarm=True)
    assert (alarm["status"], alarm["lapses_after"]) == ("reminding", None)
    assert await matching.told(person_id, "outreach.lapsed") == []


async def test_a_late_reminder_reminds_and_waives_nothing(matching: Matching) -> None:
    person_id = await newly_certified(matching, TODAY - timedelta(days=120))
    case = await case_of(matching, person_id)
    await matching.hear(prescreened(case, "care"), delivered(case, TODAY))
    case = await case_of(matching, person_id)
    assert (case["status"], case["alarm_since"], case["lapses_after"]) == ("reminded", TODAY.isoformat(), None)
    await daily(matching, TODAY + timedelta(days=900))
    assert (await case_of(matching, person_id))["status"] == "reminded"


async def test_who_applies_has_answered(matching: Matching) -> None:
    person_id = await newly_certified(matching)
    await matching.hear(applied(person_id, TODAY))
    case = await case_of(matching, person_id)
    assert (case["status"], case["applied_on"]) == ("applied", TODAY.isoformat())
    await matching.hear(prescreened(case, "care"))
    assert await matching.told(person_id, "reminder.requested") == []


async def test_who_is_not_eligible_is_phoned_or_visited_and_a_corrected_fact_leads_back(matching: Matching) -> None:
    person_id = await newly_certified(matching)
    case = await case_of(matching, person_id)
    await matching.hear(prescreened(case))
    case = await case_of(matching, person_id)
    assert case["status"] == "task"
    assert case["task_due_on"] is not None
    answer = await outcome(matching, case, "facts_corrected", note="等级登记有误，已报残联更正")
    assert answer["status"] == "identified"
    asked = await matching.told(person_id, "candidate.identified")
    assert len(asked) == 2
    await matching.hear(prescreened(case, "living"))
    assert (await case_of(matching, person_id))["status"] == "identified", "an answer to the first asking is old"
    await matching.hear(prescreened(case, "care", version=asked[-1]["version"]))
    assert (await case_of(matching, person_id))["eligible"] == ["care"]


async def outcome(matching: Matching, case: dict[str, Any], word: str, **more: Any) -> Any:
    answer = await matching.call(
        "POST", f"/v1/outreach/{case['outreach_id']}/outcome", "township", area=TOWNSHIP,
        json={"outcome": word, "method": "phone", **more},
    )  # fmt: skip
    return answer.json() if answer.status_code == 200 else answer


async def test_a_reminder_by_phone_counts_as_any_other(matching: Matching) -> None:
    person_id = await newly_certified(matching)
    case = await case_of(matching, person_id)
    await matching.hear(
        prescreened(case, "care"),
        MessageFailed(person_id=person_id, message_id=uuid4(), kind="reminder", reason="number does not exist"),
    )
    assert (await case_of(matching, person_id))["status"] == "task"
    answer = await outcome(matching, case, "reminded", method="visit")
    assert (answer["status"], answer["reminded_by"]) == ("reminded", "visit")
    declined = await outcome(matching, case, "declined")
    assert (declined["status"], declined["closed_because"]) == ("closed", "declined")
    assert (await outcome(matching, case, "reminded")).status_code == 409


async def test_dibao_makes_a_candidate_of_the_certified_only(matching: Matching) -> None:
    without = matching.new_id_number()
    entry = {"category": "dibao", "area": TOWNSHIP, "role": "civil_affairs"}
    answer = await matching.push("low_income.entered", without, RECENTLY.isoformat(), **entry)
    assert await cases(matching, person_id=answer.json()["person_id"]) == []
    certified = matching.new_id_number()
    long_ago = {**ISSUE, "area": TOWNSHIP, "role": "cdpf"}
    await matching.push("certificate.issued", certified, "2019-01-01", **long_ago)
    answer = await matching.push("low_income.entered", certified, RECENTLY.isoformat(), **entry)
    assert (await case_of(matching, answer.json()["person_id"]))["because"] == "entered_low_income"


@pytest.mark.parametrize("state", ["receiving", "applying", "certified long ago", "dead", "dead before"])
async def test_who_needs_no_reminder_gets_none(matching: Matching, state: str) -> None:
    id_number = matching.new_id_number()
    person_id = matching.running.app.state.parts.keys.person.person_id(id_number)
    if state == "receiving":
        await matching.hear(*(entitled(person_id, subsidy=subsidy) for subsidy in ("living", "care")))
    elif state == "applying":
        await matching.hear(applied(person_id, TODAY))
    elif state == "dead before":
        await matching.push("person.died", id_number, RECENTLY.isoformat())
    on = date(2019, 1, 1) if state == "certified long ago" else RECENTLY
    await matching.push("certificate.issued", id_number, on.isoformat(), **{**ISSUE, "area": TOWNSHIP, "role": "cdpf"})
    if state == "dead":
        await matching.push("person.died", id_number, RECENTLY.isoformat())
        assert (await case_of(matching, person_id))["closed_because"] == "person.died"
        return
    assert await cases(matching, person_id=person_id) == []


async def test_who_lost_a_spell_and_qualifies_again_is_a_candidate(matching: Matching) -> None:
    person = await matching.recipient(to=Period(2025, 6))
    await matching.push("certificate.renewed", person.id_number, RECENTLY.isoformat(), **{**ISSUE, "area": TOWNSHIP})
    case = await case_of(matching, person.person_id)
    assert case["because"] == "qualifies_again"


@pytest.mark.parametrize("stays", [False, True], ids=["without a transfer", "with one"])
async def test_who_moved_to_another_county_without_a_transfer_is_a_candidate_there(
    matching: Matching, stays: bool
) -> None:
    person, there = await matching.recipient(), "530303001"
    move = {"to_area": there, "area": TOWNSHIP, "sources": ("population",)}
    await matching.push("person.moved", person.id_number, RECENTLY.isoformat(), **move)
    assert await cases(matching, person_id=person.person_id) == [], "whether it is paid on is not known yet"
    told = entitled(person.person_id, area=there, to=None if stays else Period.of(RECENTLY))
    for version in (2, 3):  # told again, it is no second occasion
        await matching.hear(told.model_copy(update={"version": version, "cause": "person.moved"}))
    found = (await matching.call("GET", "/v1/outreach", area="530303")).json()["items"]
    expected = [] if stays else [("qualifies_again", there, RECENTLY.isoformat())]
    assert [(case["because"], case["area"], case["began_on"]) for case in found] == expected


async def test_who_was_only_paused_and_receives_again_is_not_reminded(matching: Matching) -> None:
    person = await matching.recipient(to=Period(2025, 6))
    await matching.push("certificate.renewed", person.id_number, RECENTLY.isoformat(), **{**ISSUE, "area": TOWNSHIP})
    case = await case_of(matching, person.person_id)
    await matching.hear(
        prescreened(case, "living"),
        entitled(person.person_id, version=2), entitled(person.person_id, subsidy="care"),
    )  # fmt: skip
    assert (await case_of(matching, person.person_id))["status"] == "closed"
    assert await matching.told(person.person_id, "reminder.requested") == []


async def test_outreach_is_seen_in_its_area_only(matching: Matching) -> None:
    case = await case_of(matching, await newly_certified(matching))
    path = f"/v1/outreach/{case['outreach_id']}"
    assert (await matching.call("GET", path)).status_code == 200
    assert (await matching.call("GET", path, area="530103")).status_code == 404
    assert (await matching.call("GET", "/v1/outreach", params={"area": "5303"})).status_code == 403
    refused = await matching.call("POST", f"{path}/outcome", "finance", json={"outcome": "declined"})
    assert refused.status_code == 403


def _after(day: str) -> str:
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()
