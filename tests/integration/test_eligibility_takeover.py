"""Recipients on a roster that is taken over: judged once, in force at once, exactly as an approval would have it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from deploy.local.sample.county import build_county
from deploy.local.sample.roster import roster_csv
from libs.common.database import new_id, rows
from libs.common.events.eligibility import JudgedRecipient, RecipientsJudged
from libs.common.events.envelope import EventData
from libs.common.events.intake import (
    ApplicationApproved,
    ApplicationWithdrawn,
    ListedApplication,
    ListedRecipient,
    RecipientsListed,
)
from libs.common.events.matching import CertificateExpired, LowIncomeExited, PersonDied
from services.intake.roster_words import column_named
from services.intake.takeover import BadRow, Entry, read_row
from tests.integration.test_eligibility import Eligibility, eligibility, fact

__all__ = ["eligibility"]  # the fixture

AREA = "530102"
ON = date(2026, 1, 15)
IMPORT = uuid4()


def entries(persons: int, seed: int = 3) -> list[Entry]:
    """The sound rows of the sample roster."""
    sound = []
    for row in csv.DictReader(io.StringIO(roster_csv(build_county(AREA, persons, seed)))):
        cells = {name: cell for title, cell in row.items() if (name := column_named(title)) is not None}
        try:
            sound.append(read_row(cells, area=AREA, on=ON))
        except BadRow:
            continue
    return sound


def recipient(entry: Entry, person: str) -> ListedRecipient:
    first = entry.declarations[0]
    return ListedRecipient(
        person_id=person,
        area=first.applicant.hukou_area,
        facts=entry.facts(first),
        applications=tuple(
            ListedApplication(application_id=new_id(), subsidies=item.subsidies, applied_on=item.applied_on)
            for item in entry.declarations
        ),
    )


def listed(*recipients: ListedRecipient, import_id: UUID = IMPORT) -> RecipientsListed:
    return RecipientsListed(
        version=1,
        import_id=import_id,
        portion=f"{import_id}:{recipients[0].person_id}",
        imported_on=ON,
        recipients=recipients,
    )


async def judged(eligibility: Eligibility) -> list[JudgedRecipient]:
    told = await eligibility.published("recipients.judged.v1")
    return [recipient for data in told for recipient in RecipientsJudged.model_validate(data).recipients]


def approved(entry: Entry, person: str, granted: Sequence[str]) -> list[EventData]:
    """The same as applications that offices approved, in what is granted."""
    return [
        ApplicationApproved(
            person_id=person,
            version=2,
            application_id=new_id(),
            area=item.applicant.hukou_area,
            channel="roster",
            subsidies=item.subsidies,
            applied_on=item.applied_on,
            status="approved",
            stage=None,
            facts=entry.facts(item),
            decided_on=ON,
            granted=tuple(subsidy for subsidy in item.subsidies if subsidy in granted),
        )
        for item in entry.declarations
        if any(subsidy in granted for subsidy in item.subsidies)
    ]


async def schedules(eligibility: Eligibility) -> dict[str, list[Any]]:
    async with eligibility.database.transaction() as tx:
        found = await tx.connection.execute(
            text(
                "SELECT DISTINCT ON (person_id, subsidy) person_id, subsidy, schedule, stopped_because"
                " FROM entitlements ORDER BY person_id, subsidy, version DESC"
            )
        )
        stored: dict[str, list[Any]] = {}
        for row in found:
            stored.setdefault(row.person_id, []).append((row.subsidy, row.schedule, row.stopped_because))
    return stored


async def test_who_is_taken_over_gets_the_schedules_that_approved_applications_would_have(
    eligibility: Eligibility,
) -> None:
    # Departments know something of every fifth before, and of every seventh after it.
    some = entries(150)
    facts = {
        0: (CertificateExpired, date(2025, 11, 3)),
        1: (LowIncomeExited, date(2025, 8, 1)),
        2: (PersonDied, date(2025, 12, 9)),
    }

    def news(i: int, person: str) -> EventData:
        kind, on = facts[i % 3]
        return fact(kind, on, person)  # type: ignore[no-any-return]

    async def tell(way: str, events: Callable[[list[tuple[str, Entry]]], list[EventData]]) -> None:
        people = [(f"p1-{way}{i}", entry) for i, entry in enumerate(some)]
        await eligibility.take(*(news(i, person) for i, (person, _) in enumerate(people) if i % 5 == 0))
        await eligibility.take(*events(people))
        await eligibility.take(*(news(i, person) for i, (person, _) in enumerate(people) if i % 7 == 0))

    def in_portions(people: list[tuple[str, Entry]]) -> list[EventData]:
        entered = [recipient(entry, person) for person, entry in people]
        return [listed(*entered[first : first + 40]) for first in range(0, len(entered), 40)]

    await tell("a", in_portions)
    assert {len(told["recipients"]) for told in await eligibility.published("recipients.judged.v1")} >= {40}
    granted = {
        item.person_id.replace("p1-a", "p1-b"): [decision.subsidy for decision in item.decisions if decision.eligible]
        for item in await judged(eligibility)
    }
    await tell(
        "b", lambda people: [told for person, entry in people for told in approved(entry, person, granted[person])]
    )
    stored = await schedules(eligibility)
    taken_over = {person[4:]: found for person, found in stored.items() if person.startswith("p1-a")}
    as_applied = {person[4:]: found for person, found in stored.items() if person.startswith("p1-b")}
    assert len(taken_over) > 100
    assert len({person for person, found in taken_over.items() if any(why for _, _, why in found)}) > 20
    assert taken_over == as_applied


async def test_what_is_refused_is_told_with_its_rules_and_nothing_of_it_is_in_force(eligibility: Eligibility) -> None:
    some = entries(60)
    await eligibility.take(listed(*(recipient(entry, f"p1-{i}") for i, entry in enumerate(some))))
    told = {item.person_id: item for item in await judged(eligibility)}
    assert len(told) == len(some)
    stored = await schedules(eligibility)
    refused = 0
    for person, item in told.items():
        granted = {decision.subsidy for decision in item.decisions if decision.eligible}
        assert granted == {subsidy for subsidy, months, _ in stored.get(person, []) if months}
        assert granted == {schedule.subsidy for schedule in item.schedules if schedule.schedule}
        for decision in item.decisions:
            if not decision.eligible:
                refused += 1
                assert {reason.outcome for reason in decision.reasons} == {"fail"}
                assert all(reason.citation for reason in decision.reasons)
    assert refused > 0


async def test_told_twice_a_recipient_is_taken_over_once(eligibility: Eligibility) -> None:
    entry = entries(5)[0]
    event = listed(recipient(entry, "p1-twice"))
    await eligibility.take(event, event)
    await eligibility.take(event)
    await eligibility.take(listed(recipient(entry, "p1-twice"), import_id=uuid4()))
    async with eligibility.database.transaction() as tx:
        versions = rows(await tx.connection.execute(text("SELECT max(version) AS last FROM entitlements")))
    assert versions == [{"last": 1}]
    first, second = await judged(eligibility)
    assert first.schedules == second.schedules != (), "another import is judged, and changes nothing"


async def test_what_was_taken_over_may_be_withdrawn_as_anything_granted(eligibility: Eligibility) -> None:
    entry = next(some for some in entries(60) if some.certificate.level <= 2 and "care" in some.received)
    gone = recipient(entry, "p1-gone")
    await eligibility.take(listed(gone))
    assert (await eligibility.months("care", "p1-gone"))[-1][1] != "2026-02"
    application = next(item for item in gone.applications if "care" in item.subsidies)
    await eligibility.take(
        ApplicationWithdrawn(
            person_id="p1-gone",
            version=3,
            application_id=application.application_id,
            area=gone.area,
            channel="roster",
            subsidies=application.subsidies,
            applied_on=application.applied_on,
            status="withdrawn",
            stage=None,
            facts=gone.facts,
            withdrawn_on=date(2026, 2, 9),
        )
    )
    assert (await eligibility.months("care", "p1-gone"))[-1][1] == "2026-02"
