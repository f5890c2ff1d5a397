"""Eligibility on a real database: events in, entitlements out, in every order; policy; the REST edge."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4, uuid5

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from libs.common.clock import business_today
from libs.common.database import Database, new_id
from libs.common.events.envelope import Envelope, EventData, FactEvent
from libs.common.events.intake import (
    ApplicationApproved,
    ApplicationFacts,
    ApplicationReviewed,
    ApplicationSubmitted,
    ApplicationWithdrawn,
    BenefitChoice,
    CertificateClaim,
    LowIncomeClaim,
)
from libs.common.events.matching import (
    BenefitStarted,
    CandidateIdentified,
    CertificateCancelled,
    CertificateExpired,
    CertificateFrozen,
    CertificateRenewed,
    FactRetracted,
    LowIncomeExited,
    PersonDeclaredDead,
    PersonDied,
    PersonMerged,
    PersonMoved,
    PersonReappeared,
)
from libs.common.platform_schema import ensure_month_partitions
from libs.common.projection import Projection, Received
from services.eligibility.folding import KINDS
from services.eligibility.handlers.reevaluation import reevaluate_chunk
from services.eligibility.main import build
from services.eligibility.subscriptions import SUBSCRIPTIONS
from tests.conftest import Databases, Issuer, Running, eventually, running

PERSON = "p1-person"
_SPACE = UUID("5a0b3f4e-7f7f-4a55-9a34-2f6f3f1f9b10")
_NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)


def application_id(person: str = PERSON, number: int = 1) -> UUID:
    return uuid5(_SPACE, f"{person}/{number}")


def facts_of_application(**changes: Any) -> ApplicationFacts:
    given: dict[str, Any] = {
        "certificate": CertificateClaim(
            category="physical", level=1, issued_on=date(2020, 5, 1), expires_on=date(2030, 4, 30)
        ),
        "low_income": LowIncomeClaim(category="dibao", from_=date(2024, 1, 1)),
        "residence_area": "530102001",
        "confirmed": ("township", "cdpf", "civil_affairs"),
    }
    return ApplicationFacts(**{**given, **changes})


def _state(person: str, number: int, version: int, status: str, **changes: Any) -> dict[str, Any]:
    return {
        "person_id": person,
        "version": version,
        "application_id": application_id(person, number),
        "area": "530102001",
        "channel": "counter",
        "subsidies": ("living", "care"),
        "applied_on": date(2026, 3, 10),
        "status": status,
        "stage": None,
        "facts": facts_of_application(),
        **changes,
    }


def submitted(person: str = PERSON, number: int = 1, **changes: Any) -> ApplicationSubmitted:
    return ApplicationSubmitted(**_state(person, number, 1, "submitted", **changes))


def reviewed(person: str = PERSON, number: int = 1, **changes: Any) -> ApplicationReviewed:
    given = {"outcome": "approve", "final": True, "reviewed_on": date(2026, 4, 2), "version": 4, **changes}
    return ApplicationReviewed(**_state(person, number, given.pop("version"), "in_review", **given))


def approved(person: str = PERSON, number: int = 1, **changes: Any) -> ApplicationApproved:
    given = {"decided_on": date(2026, 4, 2), "granted": ("living", "care"), **changes}
    return ApplicationApproved(**_state(person, number, 5, "approved", **given))


def withdrawn(on: date, person: str = PERSON, number: int = 1) -> ApplicationWithdrawn:
    return ApplicationWithdrawn(**_state(person, number, 6, "withdrawn", withdrawn_on=on))


def fact(payload: type[Any], on: date, person: str = PERSON, **changes: Any) -> Any:
    given = {
        "person_id": person,
        "fact_id": new_id(),
        "occurred_on": on,
        "known_at": datetime(2026, 10, 1, tzinfo=UTC),
        "source": "certificates",
        "area": "530102",
    }
    return payload(**{**given, **changes})


def received(data: EventData, *, at: datetime = _NOW) -> Received:
    envelope = Envelope(
        id=new_id(),
        source="/liangbu/test",
        type=data.type,
        subject=data.key,
        time=at,
        data=data.model_dump(mode="json"),
    )
    return Received(envelope, data)


class Eligibility:
    """The service's consumer side on a database of its own."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.projection = Projection(database, "eligibility", SUBSCRIPTIONS)

    async def take(self, *events: EventData | Received) -> None:
        """As one poll batch."""
        batch = [event if isinstance(event, Received) else received(event) for event in events]
        async with self.database.transaction() as tx:
            await self.projection.apply(tx, batch)

    async def months(self, subsidy: str = "care", person: str = PERSON) -> list[tuple[str, str | None, int]]:
        """The newest schedule as (from, to, fen)."""
        async with self.database.transaction() as tx:
            found = await tx.connection.execute(
                text(
                    "SELECT schedule FROM entitlements WHERE person_id = :person AND subsidy = :subsidy"
                    " ORDER BY version DESC LIMIT 1"
                ),
                {"person": person, "subsidy": subsidy},
            )
            row = found.one_or_none()
        return [] if row is None else [(m["from"], m["to"], m["amount_fen"]) for m in row.schedule]

    async def waits_for_a_lock(self) -> bool:
        """Whether a transaction here waits for another."""
        async with self.database.transaction() as tx:
            found = await tx.connection.execute(
                text(
                    "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database d ON d.oid = database"
                    " WHERE d.datname = current_database() AND locktype = 'advisory' AND NOT granted)"
                )
            )
            return bool(found.scalar_one())

    async def published(self, event_type: str) -> list[dict[str, Any]]:
        """What the outbox holds of a type, oldest first."""
        async with self.database.transaction() as tx:
            found = await tx.connection.execute(
                text("SELECT body::jsonb -> 'data' AS data FROM outbox WHERE type = :type ORDER BY seq"),
                {"type": event_type},
            )
            return list(found.scalars())


@pytest.fixture
async def eligibility(databases: Databases) -> AsyncIterator[Eligibility]:
    database = Database(await databases.fresh("eligibility"), service="eligibility", pool_size=3)
    async with database.transaction() as tx:
        await ensure_month_partitions(tx, business_today())
    yield Eligibility(database)
    await database.close()


async def test_an_approved_application_entitles_from_its_month_on(eligibility: Eligibility) -> None:
    await eligibility.take(submitted(), reviewed(), approved())
    assert await eligibility.months("living") == [("2026-03", "2030-04", 10000)]
    assert await eligibility.months("care") == [("2026-03", "2030-04", 11000)]
    [living, care] = await eligibility.published("entitlement.changed.v1")
    assert {living["subsidy"], care["subsidy"]} == {"living", "care"}
    assert care["version"] == 1
    assert care["cause"] == "application.approved"
    assert care["area"] == "530102001"
    assert care["schedule"][0]["area"] == "530102"
    assert care["stopped_because"] is None


async def test_only_what_was_granted_is_entitled(eligibility: Eligibility) -> None:
    await eligibility.take(approved(granted=("care",)))
    assert await eligibility.months("living") == []
    assert await eligibility.months("care") == [("2026-03", "2030-04", 11000)]


async def test_a_submitted_application_entitles_nobody_but_is_assessed(eligibility: Eligibility) -> None:
    await eligibility.take(submitted())
    assert await eligibility.months() == []
    [assessed] = await eligibility.published("application.assessed.v1")
    assert assessed["application_version"] == 1
    assert [decision["eligible"] for decision in assessed["decisions"]] == [True, True]
    assert [decision["first_period"] for decision in assessed["decisions"]] == ["2026-03", "2026-03"]
    assert [decision["amount_fen"] for decision in assessed["decisions"]] == [10000, 11000]


async def test_an_assessment_that_refuses_gives_the_rule_and_its_citation(eligibility: Eligibility) -> None:
    await eligibility.take(submitted(facts=facts_of_application(low_income=None)))
    [assessed] = await eligibility.published("application.assessed.v1")
    living = assessed["decisions"][0]
    assert living["eligible"] is False
    failed = {reason["rule"]: reason["citation"] for reason in living["reasons"] if reason["outcome"] == "fail"}
    assert "notice 3.2" in failed["economic_status"]


async def test_departments_facts_outweigh_what_was_only_declared(eligibility: Eligibility) -> None:
    await eligibility.take(fact(CertificateExpired, date(2026, 2, 1)))
    await eligibility.take(submitted(facts=facts_of_application(confirmed=())))
    [assessed] = await eligibility.published("application.assessed.v1")
    assert [decision["eligible"] for decision in assessed["decisions"]] == [False, False]


async def test_the_final_assessment_reaches_to_the_day_of_the_last_review(eligibility: Eligibility) -> None:
    later = CertificateClaim(category="physical", level=2, issued_on=date(2026, 5, 4), expires_on=date(2036, 5, 3))
    facts = facts_of_application(certificate=later)
    await eligibility.take(submitted(facts=facts), reviewed(facts=facts, reviewed_on=date(2026, 5, 20)))
    assessed = (await eligibility.published("application.assessed.v1"))[-1]
    assert assessed["application_version"] == 4
    assert assessed["decisions"][1]["first_period"] == "2026-05"


async def test_an_older_state_of_an_application_is_not_assessed_again(eligibility: Eligibility) -> None:
    await eligibility.take(reviewed())
    await eligibility.take(submitted())
    assessed = await eligibility.published("application.assessed.v1")
    assert [answer["application_version"] for answer in assessed] == [4]


async def test_an_expired_certificate_stops_and_a_renewal_pays_again(eligibility: Eligibility) -> None:
    await eligibility.take(approved())
    await eligibility.take(fact(CertificateExpired, date(2026, 5, 16)))
    assert await eligibility.months("care") == [("2026-03", "2026-05", 11000)]
    stopped = (await eligibility.published("entitlement.changed.v1"))[-1]
    assert (stopped["cause"], stopped["stopped_because"]) == ("certificate.expired", "certificate_current")
    renewal: dict[str, Any] = {"category": "physical", "level": 2, "expires_on": date(2036, 8, 9)}
    await eligibility.take(fact(CertificateRenewed, date(2026, 8, 10), **renewal))
    assert await eligibility.months("care") == [("2026-03", "2026-05", 11000), ("2026-08", "2036-08", 10000)]


async def test_leaving_dibao_stops_living_alone(eligibility: Eligibility) -> None:
    await eligibility.take(approved())
    await eligibility.take(fact(LowIncomeExited, date(2026, 6, 11), source="low_income"))
    assert await eligibility.months("living") == [("2026-03", "2026-06", 10000)]
    assert await eligibility.months("care") == [("2026-03", "2030-04", 11000)]


async def test_a_death_known_late_takes_back_the_months_after_it(eligibility: Eligibility) -> None:
    await eligibility.take(approved())
    await eligibility.take(fact(PersonDied, date(2026, 6, 30), source="cremations"))
    assert await eligibility.months("care") == [("2026-03", "2026-06", 11000)]


async def test_a_death_and_its_annulment_are_told_though_no_month_changes_by_them(eligibility: Eligibility) -> None:
    """Whoever pays learns by it whose heirs may be paid, and whose no more."""
    await eligibility.take(approved(), fact(LowIncomeExited, date(2026, 6, 11), source="low_income"))
    died = fact(PersonDied, date(2026, 7, 2), source="cremations")
    await eligibility.take(died)
    await eligibility.take(died, fact(PersonDied, date(2026, 7, 2), source="deaths"))
    await eligibility.take(fact(PersonDeclaredDead, date(2026, 8, 1), source="population"))
    await eligibility.take(fact(FactRetracted, date(2026, 7, 2), retracts=died.fact_id))
    told = [event for event in await eligibility.published("entitlement.changed.v1") if event["subsidy"] == "living"]
    assert {len(event["schedule"]) for event in told} == {1}
    assert [event["died_on"] for event in told] == [None, None, "2026-07-02"], "another register says so still"


async def test_who_reappears_was_never_dead(eligibility: Eligibility) -> None:
    await eligibility.take(approved())
    await eligibility.take(fact(PersonDeclaredDead, date(2026, 6, 30), source="population"))
    await eligibility.take(fact(PersonReappeared, date(2026, 9, 2), source="population"))
    told = [event["died_on"] for event in await eligibility.published("entitlement.changed.v1")]
    assert told == [None, None, "2026-06-30", "2026-06-30", None, None]


async def test_what_is_due_to_who_died_before_the_approval_goes_to_an_heir(eligibility: Eligibility) -> None:
    died = fact(PersonDied, date(2026, 3, 20), source="cremations", known_at=_NOW - timedelta(hours=1))
    await eligibility.take(approved())
    await eligibility.take(died)
    assert await eligibility.months("care") == [("2026-03", "2026-03", 11000)]
    await eligibility.take(fact(FactRetracted, date(2026, 3, 20), retracts=died.fact_id))
    told = [event["to_heir"] for event in await eligibility.published("entitlement.changed.v1")]
    assert told == [False, False, True, True, False, False], "whichever was heard first"


async def test_what_is_due_to_whose_death_was_not_known_at_the_approval_does_not(eligibility: Eligibility) -> None:
    await eligibility.take(approved())
    await eligibility.take(fact(PersonDied, date(2026, 3, 20), source="cremations", known_at=_NOW + timedelta(hours=1)))
    told = [event["to_heir"] for event in await eligibility.published("entitlement.changed.v1")]
    assert told == [False, False, False, False]


async def test_a_retracted_fact_never_was(eligibility: Eligibility) -> None:
    await eligibility.take(approved())
    died = fact(PersonDied, date(2026, 6, 30), source="cremations")
    await eligibility.take(died)
    await eligibility.take(fact(FactRetracted, date(2026, 6, 30), retracts=died.fact_id))
    assert await eligibility.months("care") == [("2026-03", "2030-04", 11000)]
    versions = [event["version"] for event in await eligibility.published("entitlement.changed.v1")]
    assert versions == [1, 1, 2, 2, 3, 3]


async def test_an_exit_that_overtakes_the_approval_clips_it(eligibility: Eligibility) -> None:
    await eligibility.take(fact(LowIncomeExited, date(2026, 6, 11), source="low_income"))
    await eligibility.take(approved())
    assert await eligibility.months("living") == [("2026-03", "2026-06", 10000)]


async def test_a_withdrawal_that_overtakes_the_approval_ends_the_spell(eligibility: Eligibility) -> None:
    await eligibility.take(withdrawn(date(2026, 7, 15)))
    await eligibility.take(approved())
    assert await eligibility.months("care") == [("2026-03", "2026-07", 11000)]


async def test_nothing_is_published_where_no_month_changes(eligibility: Eligibility) -> None:
    await eligibility.take(approved())
    await eligibility.take(fact(BenefitStarted, date(2026, 5, 1), kind="old_age", source="benefits"))
    assert len(await eligibility.published("entitlement.changed.v1")) == 2


async def test_of_what_is_heard_at_once_each_change_names_what_caused_it(eligibility: Eligibility) -> None:
    await eligibility.take(approved())
    exited = fact(LowIncomeExited, date(2026, 6, 11), source="low_income")
    reassessed = fact(CertificateRenewed, date(2026, 7, 4), category="physical", level=2, expires_on=date(2030, 4, 30))
    later = {"known_at": datetime(2026, 10, 2, tzinfo=UTC), "source": "benefits"}
    stacking = fact(BenefitStarted, date(2026, 1, 1), kind="old_age", **later)
    await eligibility.take(exited, reassessed, stacking)
    published = await eligibility.published("entitlement.changed.v1")
    told = {(event["subsidy"], event["version"]): event["cause"] for event in published}
    assert (told["living", 2], told["care", 2]) == ("low_income.exited", "certificate.renewed")


async def test_a_move_within_the_county_changes_nothing_and_one_to_another_ends(eligibility: Eligibility) -> None:
    await eligibility.take(approved())
    await eligibility.take(fact(PersonMoved, date(2026, 5, 5), to_area="530102003", source="population"))
    assert await eligibility.months("care") == [("2026-03", "2030-04", 11000)]
    moved: dict[str, Any] = {"to_area": "530103001", "source": "population"}
    await eligibility.take(fact(PersonMoved, date(2026, 8, 12), **moved))
    assert await eligibility.months("care") == [("2026-03", "2026-08", 11000)]
    accepted = datetime(2026, 11, 1, tzinfo=UTC)
    await eligibility.take(
        fact(PersonMoved, date(2026, 8, 12), accepted_on=date(2026, 9, 20), known_at=accepted, **moved)
    )
    assert await eligibility.months("care") == [("2026-03", "2026-08", 11000), ("2026-09", "2030-04", 11000)]


async def test_two_ids_of_one_person_become_one_entitlement(eligibility: Eligibility) -> None:
    await eligibility.take(approved(person="p1-wrong"))
    await eligibility.take(
        fact(LowIncomeExited, date(2026, 6, 11), person="p1-right", source="low_income"),
        PersonMerged(person_id="p1-wrong", version=1, into_person_id="p1-right"),
    )
    assert await eligibility.months("living", "p1-wrong") == []
    assert await eligibility.months("living", "p1-right") == [("2026-03", "2026-06", 10000)]
    assert await eligibility.months("care", "p1-right") == [("2026-03", "2030-04", 11000)]


async def test_who_goes_on_as_before_is_told_anew_once_another_id_goes_on_in_theirs(eligibility: Eligibility) -> None:
    """Both were paid: whoever pays learns by it that one person was paid twice."""
    await eligibility.take(approved(person="p1-wrong"), approved(person="p1-right", number=2))
    before = await eligibility.months("living", "p1-right")
    await eligibility.take(PersonMerged(person_id="p1-wrong", version=1, into_person_id="p1-right"))
    assert await eligibility.months("living", "p1-right") == before
    told = [event for event in await eligibility.published("entitlement.changed.v1") if event["version"] == 2]
    assert sorted((event["person_id"], event["subsidy"], event["members"]) for event in told) == [
        ("p1-right", "care", ["p1-wrong"]),
        ("p1-right", "living", ["p1-wrong"]),
        ("p1-wrong", "care", []),
        ("p1-wrong", "living", []),
    ]


async def test_an_id_under_which_nothing_is_entitled_any_more_is_told_to_go_on_under_another(
    eligibility: Eligibility,
) -> None:
    """What was paid under it moves with it, once."""
    await eligibility.take(approved(person="p1-wrong"))
    never = fact(CertificateCancelled, date(2026, 1, 5), "p1-wrong")
    await eligibility.take(never, fact(LowIncomeExited, date(2026, 1, 5), "p1-wrong", source="low_income"))
    assert await eligibility.months("care", "p1-wrong") == []
    for _ in range(2):
        await eligibility.take(PersonMerged(person_id="p1-wrong", version=1, into_person_id="p1-right"))
    told = await eligibility.published("entitlement.changed.v1")
    assert sorted(event["subsidy"] for event in told if event["merged_into"] == "p1-right") == ["care", "living"]


async def test_a_candidate_is_prescreened_by_the_same_rules(eligibility: Eligibility) -> None:
    renewal: dict[str, Any] = {"category": "physical", "level": 2, "expires_on": date(2036, 8, 9)}
    await eligibility.take(fact(CertificateRenewed, date(2026, 8, 10), **renewal))
    await eligibility.take(
        CandidateIdentified(
            person_id=PERSON,
            version=1,
            outreach_id=uuid4(),
            area="530102",
            because="certified",
            identified_on=date(2026, 8, 20),
        )
    )
    [screened] = await eligibility.published("candidate.prescreened.v1")
    assert screened["eligible"] == ["care"]


def _story(person: str) -> list[EventData]:
    """A life's worth of events, each of which matters."""
    died = fact(PersonDied, date(2026, 9, 3), person, source="deaths")
    frozen = fact(CertificateFrozen, date(2026, 6, 20), person)
    renewal: dict[str, Any] = {"category": "physical", "level": 2, "expires_on": date(2036, 8, 9)}
    return [
        submitted(person),
        reviewed(person),
        approved(person),
        fact(CertificateExpired, date(2026, 5, 16), person),
        frozen,
        fact(FactRetracted, date(2026, 6, 20), person, retracts=frozen.fact_id),
        fact(CertificateRenewed, date(2026, 8, 10), person, **renewal),
        fact(LowIncomeExited, date(2026, 10, 1), person, source="low_income"),
        fact(PersonMoved, date(2026, 4, 12), person, to_area="530102003", source="population"),
        died,
        fact(FactRetracted, date(2026, 9, 3), person, retracts=died.fact_id),
        submitted(person, 2, applied_on=date(2026, 11, 2), subsidies=("living",)),
    ]


@pytest.mark.parametrize("seed", range(6))
async def test_every_event_twice_and_shuffled_ends_in_the_same_state(eligibility: Eligibility, seed: int) -> None:
    chance = random.Random(seed)
    persons = [f"p1-{seed}-{number}" for number in range(4)]
    events = [received(event) for person in persons for event in _story(person)] * 2
    chance.shuffle(events)
    while events:
        batch, events = events[: (size := chance.randint(1, 9))], events[size:]
        await eligibility.take(*batch)
    for person in persons:
        assert await eligibility.months("living", person) == [
            ("2026-03", "2026-05", 10000),
            ("2026-08", "2026-09", 10000),
        ]
        assert await eligibility.months("care", person) == [
            ("2026-03", "2026-05", 11000),
            ("2026-08", "2036-08", 10000),
        ]


LAYER = """
layer: "{area}"
title: 提高标准
parameters:
  living.amount_fen:
    - {{since: 2026-05-01, value: {amount}, source: 昆民发〔2026〕9号, clause: 第一条, confidence: V, reason: 补发}}
"""


@asynccontextmanager
async def serving(databases: Databases, make_settings: Callable[..., Any]) -> AsyncIterator[Running]:
    settings = make_settings(await databases.fresh("eligibility"))
    async with running(build(settings), settings) as service:
        yield service


@pytest.fixture
async def service(databases: Databases, make_settings: Callable[..., Any]) -> AsyncIterator[Running]:
    async with serving(databases, make_settings) as started:
        yield started


async def _approve(service: Running, issuer: Issuer, layer: str, area: str = "5301") -> str:
    proposed = await service.http.post("/v1/policies", content=layer, headers=issuer.bearer("civil_affairs", area, "a"))
    assert proposed.status_code == 201, proposed.text
    policy_id: str = proposed.json()["policy_id"]
    approval = await service.http.post(
        f"/v1/policies/{policy_id}/approval", headers=issuer.bearer("civil_affairs", area, "b")
    )
    assert approval.status_code == 202, approval.text
    return policy_id


async def test_a_standard_raised_with_a_past_date_changes_past_months(service: Running, issuer: Issuer) -> None:
    eligibility = Eligibility(service.app.state.database)
    await eligibility.take(
        approved(), approved(person="p1-elsewhere", facts=facts_of_application(residence_area="532301"))
    )
    await _approve(service, issuer, LAYER.format(area="5301", amount=12000))
    while True:
        async with eligibility.database.transaction() as tx:
            if not await reevaluate_chunk(tx):
                break
    assert await eligibility.months("living") == [("2026-03", "2026-04", 10000), ("2026-05", "2030-04", 12000)]
    assert await eligibility.months("living", "p1-elsewhere") == [("2026-03", "2030-04", 10000)]
    told = await eligibility.published("policy.reevaluated.v1")
    assert [(event["status"], event["persons"], event["changed"]) for event in told] == [
        ("started", 0, 0),
        ("finished", 1, 1),
    ]
    async with eligibility.database.transaction() as tx:
        topics = await tx.connection.execute(
            text("SELECT DISTINCT topic FROM outbox WHERE body LIKE '%policy.changed%' AND type LIKE 'entitlement%'")
        )
        assert list(topics.scalars()) == ["liangbu.eligibility.bulk"]


async def test_a_policy_needs_two_persons_of_its_area(service: Running, issuer: Issuer) -> None:
    layer = LAYER.format(area="5301", amount=12000)
    outside = await service.http.post("/v1/policies", content=layer, headers=issuer.bearer("civil_affairs", "530102"))
    assert outside.status_code == 403
    proposed = await service.http.post(
        "/v1/policies", content=layer, headers=issuer.bearer("civil_affairs", "5301", "a")
    )
    path = f"/v1/policies/{proposed.json()['policy_id']}/approval"
    assert (await service.http.post(path, headers=issuer.bearer("civil_affairs", "5301", "a"))).status_code == 403
    assert (await service.http.post(path, headers=issuer.bearer("civil_affairs", "5303", "b"))).status_code == 404
    assert (await service.http.post(path, headers=issuer.bearer("finance", "5301", "b"))).status_code == 403
    assert (await service.http.post(path, headers=issuer.bearer("civil_affairs", "5301", "b"))).status_code == 202
    assert (await service.http.post(path, headers=issuer.bearer("civil_affairs", "5301", "c"))).status_code == 409


async def test_a_layer_below_the_one_above_it_is_refused_with_the_clause(service: Running, issuer: Issuer) -> None:
    layer = LAYER.format(area="5301", amount=9900)
    refused = await service.http.post("/v1/policies", content=layer, headers=issuer.bearer("civil_affairs", "5301"))
    assert refused.status_code == 422
    [error] = refused.json()["errors"]
    assert error["path"] == "parameters.living.amount_fen[0]"
    assert "notice 2.1" in error["message"]


async def test_policy_in_force_is_public_with_its_sources(service: Running) -> None:
    answer = await service.http.get("/v1/policies", params={"area": "530102", "on": "2025-12-31"})
    assert answer.status_code == 200
    held = {item["name"]: item for item in answer.json()["items"]}
    assert held["living.amount_fen"]["value"] == 9000
    assert held["care.amount_fen"]["value"] == {"1": 10000, "2": 9000}
    assert held["living.amount_fen"]["layer"] == "53"
    assert all(item["source"] and item["since"] and item["confidence"] in "VKU" for item in held.values())


async def test_an_assessment_is_pure_and_answers_any_role(service: Running, issuer: Issuer) -> None:
    question = {
        "area": "530102",
        "period": "2026-03",
        "facts": {
            "birth_date": "1970-05-01",
            "applications": [{"subsidy": "care", "applied_on": "2025-02-10"}],
            "certificate": [
                {"category": "physical", "level": 1, "status": "valid", "from": "2020-05-01", "to": "2030-04-30"}
            ],
        },
    }
    answer = await service.http.post("/v1/assessments", json=question, headers=issuer.bearer("partner", "53"))
    assert answer.status_code == 200, answer.text
    living, care = answer.json()["decisions"]
    assert (living["subsidy"], living["eligible"], living["amount_fen"]) == ("living", False, 0)
    assert (care["eligible"], care["amount_fen"], care["area"], care["level"]) == (True, 11000, "530102", 1)
    assert (await service.http.post("/v1/assessments", json=question)).status_code == 401
    question["facts"]["certificate"][0]["level"] = 5  # type: ignore[index]
    wrong = await service.http.post("/v1/assessments", json=question, headers=issuer.bearer("partner", "53"))
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["path"] == "facts.certificate.0.level"


async def test_a_person_is_seen_from_inside_the_area_only(service: Running, issuer: Issuer) -> None:
    await Eligibility(service.app.state.database).take(approved())
    for path in ("facts", "entitlements", "timeline", "decisions/care/2026-03"):
        url = f"/v1/persons/{PERSON}/{path}"
        assert (await service.http.get(url, headers=issuer.bearer("auditor", "530102"))).status_code == 200, path
        assert (await service.http.get(url, headers=issuer.bearer("auditor", "530103"))).status_code == 404
        assert (await service.http.get(url, headers=issuer.bearer("partner", "530102"))).status_code == 403
        assert (await service.http.get(url)).status_code == 401
    unknown = await service.http.get("/v1/persons/p1-nobody/facts", headers=issuer.bearer("auditor", "53"))
    assert unknown.status_code == 404


async def test_facts_and_decisions_as_they_are_shown(service: Running, issuer: Issuer) -> None:
    eligibility = Eligibility(service.app.state.database)
    await eligibility.take(approved(), fact(CertificateExpired, date(2026, 5, 16)))
    headers = issuer.bearer("township", "530102001")
    facts = (await service.http.get(f"/v1/persons/{PERSON}/facts", headers=headers)).json()
    assert [(c["status"], c["from"], c["to"]) for c in facts["certificate"]] == [
        ("valid", "2020-05-01", "2026-05-15"),
        ("expired", "2026-05-16", None),
    ]
    then = await service.http.get(f"/v1/persons/{PERSON}/facts?as_known_on=2026-09-30", headers=headers)
    assert then.json()["certificate"] == []
    held = (await service.http.get(f"/v1/persons/{PERSON}/entitlements", headers=headers)).json()
    assert [(m["from"], m["to"]) for m in held["care"]] == [("2026-03", "2026-05")]
    never = await service.http.get(f"/v1/persons/{PERSON}/facts?as_known_on=9999-12-31", headers=headers)
    assert never.status_code == 422
    before = await service.http.get(f"/v1/persons/{PERSON}/entitlements?as_known_on=2020-01-01", headers=headers)
    assert before.json() == {"living": [], "care": []}
    why = (await service.http.get(f"/v1/persons/{PERSON}/decisions/care/2026-06", headers=headers)).json()
    assert why["eligible"] is False
    assert [reason["rule"] for reason in why["reasons"] if reason["outcome"] == "fail"] == ["certificate_current"]


async def test_the_timeline_tells_the_story_newest_first(service: Running, issuer: Issuer) -> None:
    eligibility = Eligibility(service.app.state.database)
    await eligibility.take(submitted())
    await eligibility.take(approved())
    await eligibility.take(fact(CertificateExpired, date(2026, 5, 16)))
    headers = issuer.bearer("auditor", "530102")
    items = (await service.http.get(f"/v1/persons/{PERSON}/timeline", headers=headers)).json()["items"]
    assert [item["at"] for item in items] == sorted((item["at"] for item in items), reverse=True)
    told = {(item["what"], item["detail"]) for item in items}
    assert ("certificate.expired", "自 2026-05-16 起 (来源 certificates)") in told
    assert ("entitlement.changed", "重度残疾人护理补贴: 2026-03—2026-05 110.00 元 (certificate.expired)") in told
    assert ("application.assessed", "困难残疾人生活补贴: 符合; 重度残疾人护理补贴: 符合") in told


async def test_the_worker_finishes_a_reevaluation_by_itself(
    databases: Databases, make_settings: Callable[..., Any], issuer: Issuer
) -> None:
    settings = make_settings(await databases.fresh("eligibility"), roles="api,worker")
    async with running(build(settings), settings) as service:
        eligibility = Eligibility(service.app.state.database)
        await eligibility.take(*(approved(person=f"p1-{number}") for number in range(3)))
        await _approve(service, issuer, LAYER.format(area="530102", amount=12000), area="530102")

        async def finished() -> bool:
            told = await eligibility.published("policy.reevaluated.v1")
            return [event["status"] for event in told] == ["started", "finished"]

        assert await eventually(finished)
        for number in range(3):
            assert (await eligibility.months("living", f"p1-{number}"))[1] == ("2026-05", "2030-04", 12000)


async def test_invariants_hold_after_all_that(service: Running, issuer: Issuer) -> None:
    await Eligibility(service.app.state.database).take(*_story(PERSON))
    answer = (await service.http.get("/v1/invariants", headers=issuer.bearer("admin", "53"))).json()
    assert answer["holds"], answer


def test_every_kind_of_fact_event_is_understood_by_the_fold() -> None:
    kinds = {s.data.type.removesuffix(".v1") for s in SUBSCRIPTIONS if issubclass(s.data, FactEvent)}
    assert kinds <= KINDS


async def test_a_later_state_tells_of_an_approval_that_was_lost(eligibility: Eligibility) -> None:
    lost_approval = _state(
        PERSON, 1, 6, "withdrawn", withdrawn_on=date(2026, 7, 15), decided_on=date(2026, 4, 2), granted=("care",)
    )
    await eligibility.take(ApplicationWithdrawn(**lost_approval))
    assert await eligibility.months("care") == [("2026-03", "2026-07", 11000)]
    assert await eligibility.months("living") == []


async def test_an_open_application_is_assessed_again_when_a_fact_arrives(eligibility: Eligibility) -> None:
    await eligibility.take(submitted(facts=facts_of_application(confirmed=())))
    await eligibility.take(fact(LowIncomeExited, date(2026, 2, 11), source="low_income"))
    first, second = await eligibility.published("application.assessed.v1")
    assert (second["version"], second["application_version"]) == (2, first["application_version"])
    assert [d["eligible"] for d in first["decisions"]] == [True, True]
    assert [d["eligible"] for d in second["decisions"]] == [False, True]


async def test_a_fact_that_changes_no_judgement_is_not_told_to_intake(eligibility: Eligibility) -> None:
    await eligibility.take(submitted())
    await eligibility.take(fact(BenefitStarted, date(2020, 1, 1), kind="ltc_insurance", source="benefits"))
    assert len(await eligibility.published("application.assessed.v1")) == 1


async def test_feeds_that_disagree_are_shown_with_the_one_that_counts_and_why(service: Running, issuer: Issuer) -> None:
    eligibility = Eligibility(service.app.state.database)
    given: dict[str, Any] = {"category": "physical", "expires_on": date(2036, 5, 3)}
    feed = fact(CertificateRenewed, date(2026, 5, 4), level=1, **given)
    partner = fact(CertificateRenewed, date(2026, 5, 4), level=2, source="partner:one-thing", **given)
    await eligibility.take(approved(), feed, partner)
    headers = issuer.bearer("auditor", "530102")
    shown = (await service.http.get(f"/v1/persons/{PERSON}/facts", headers=headers)).json()
    [conflict] = shown["conflicts"]
    assert (conflict["line"], conflict["on"], conflict["because"]) == (
        "certificate",
        "2026-05-04",
        "source of higher rank",
    )
    assert (conflict["won"]["source"], conflict["won"]["fact_id"]) == ("certificates", str(feed.fact_id))
    assert [lost["source"] for lost in conflict["lost"]] == ["partner:one-thing"]
    assert shown["certificate"][-1]["level"] == 1


async def test_a_decision_as_known_on_a_day_uses_the_facts_applications_and_policy_of_then(
    service: Running, issuer: Issuer
) -> None:
    eligibility = Eligibility(service.app.state.database)
    early = datetime(2026, 4, 1, tzinfo=UTC)
    await eligibility.take(received(approved(), at=early))
    await eligibility.take(fact(LowIncomeExited, date(2026, 6, 11), source="low_income"))
    await _approve(service, issuer, LAYER.format(area="5301", amount=12000))

    async def living(query: str) -> tuple[bool, int]:
        answer = await service.http.get(
            f"/v1/persons/{PERSON}/decisions/living/2026-07{query}", headers=issuer.bearer("auditor", "530102")
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["eligible"], answer.json()["amount_fen"]

    assert await living("") == (False, 0)
    assert await living("?as_known_on=2026-09-30") == (True, 10000)
    assert await living("?as_known_on=2026-04-01") == (False, 0), "not decided before 2026-04-02"
    june = await service.http.get(
        f"/v1/persons/{PERSON}/decisions/living/2026-06", headers=issuer.bearer("auditor", "530102")
    )
    assert june.json()["amount_fen"] == 12000


async def test_an_assessment_says_which_benefit_is_higher_and_what_was_chosen(eligibility: Eligibility) -> None:
    elderly: dict[str, Any] = {
        "kind": "elderly_care",
        "amount_fen": 12000,
        "source": "benefits",
        "until": date(2026, 4, 30),
    }
    await eligibility.take(fact(BenefitStarted, date(2025, 1, 1), **elderly), submitted())
    unsigned = (await eligibility.published("application.assessed.v1"))[-1]["decisions"][1]
    assert (unsigned["eligible"], unsigned["first_period"]) == (True, "2026-05")
    told = unsigned["comparison"]
    assert (told["other"], told["higher"], told["by_fen"], told["keep"]) == ("elderly_care", "other", 1000, None)
    assert (told["ours_fen"], told["other_fen"], told["ours_from"]) == (11000, 12000, "2026-05")

    kept = BenefitChoice(kind="elderly_care", keep="other", signed_on=date(2026, 3, 10))
    await eligibility.take(reviewed(facts=facts_of_application(choices=(kept,))))
    living, care = (await eligibility.published("application.assessed.v1"))[-1]["decisions"]
    assert living["eligible"]
    assert living["comparison"] is None
    assert not care["eligible"]
    assert care["comparison"]["keep"] == "other"
    assert [reason["rule"] for reason in care["reasons"] if reason["outcome"] == "fail"] == ["choice"]


async def test_a_month_that_another_benefit_is_paid_for_is_explained_with_the_choice(
    service: Running, issuer: Issuer
) -> None:
    elderly: dict[str, Any] = {"kind": "elderly_care", "amount_fen": 8000, "source": "benefits"}
    ours = BenefitChoice(kind="elderly_care", keep="ours", signed_on=date(2026, 4, 2))
    await Eligibility(service.app.state.database).take(
        fact(BenefitStarted, date(2025, 1, 1), until=date(2026, 4, 30), **elderly),
        approved(facts=facts_of_application(choices=(ours,))),
    )
    told = {}
    for period in ("2026-03", "2026-04", "2026-05"):
        answer = await service.http.get(
            f"/v1/persons/{PERSON}/decisions/care/{period}", headers=issuer.bearer("civil_affairs", "530102")
        )
        decision = answer.json()
        comparison = decision["comparison"] or {}
        told[period] = (
            decision["eligible"],
            comparison.get("higher"),
            comparison.get("by_fen"),
            comparison.get("keep"),
        )
    assert told == {
        "2026-03": (False, "ours", 3000, None),
        "2026-04": (False, "ours", 3000, "ours"),
        "2026-05": (True, None, None, None),
    }


@pytest.mark.parametrize(
    "rewriting",
    ["UPDATE assertions SET valid = daterange('2020-01-01', NULL)", "DELETE FROM entitlements", "TRUNCATE assertions"],
)
async def test_what_was_asserted_and_what_was_decided_cannot_be_rewritten(
    eligibility: Eligibility, rewriting: str
) -> None:
    await eligibility.take(approved())
    with pytest.raises(DBAPIError, match="append-only"):
        async with eligibility.database.transaction() as tx:
            await tx.connection.execute(text(rewriting))
