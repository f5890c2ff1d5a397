"""Applications: submitted by a partner, reviewed by three officials, decided by the facts as confirmed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from deploy.local.play.stage import Stage, each, until
from deploy.local.rest import Refused
from deploy.local.sample.county import Person
from deploy.local.sample.files import application
from libs.common.vocabulary import SUBSIDIES, Subsidy


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of one person's application."""

    person: Person
    application_id: str
    granted: tuple[Subsidy, ...]


async def apply_and_review(stage: Stage, persons: list[Person]) -> list[Decided]:
    """Every person applies; the three stages approve what eligibility finds payable, and reject the rest."""

    async def apply(person: Person) -> str:
        application_id = await _submit(stage, person)
        await _review(stage, person, application_id)
        return application_id

    by_application = dict(zip(await each(apply, persons), persons, strict=True))
    found = await until(lambda: _assessed(stage, by_application.keys()), "the applications to be assessed")
    refused = [application_id for application_id, row in found.items() if row["status"] == "in_review"]
    await each(lambda application_id: _reject(stage, application_id), refused)
    decided = [
        Decided(person, application_id, tuple(found[application_id]["granted"] or ()))
        for application_id, person in by_application.items()
    ]
    for outcome in decided:
        expected = set(expected_grants(outcome.person))
        stage.expectations.equal(f"{_describe(outcome.person)} is granted", set(outcome.granted), expected)
    return decided


def expected_grants(person: Person) -> tuple[Subsidy, ...]:
    """What the notice grants this person, told apart from the rules in the product by hand."""
    kinds = {benefit.kind for benefit in person.benefits}
    excluded = person.family == "tekun" or "work_injury_care" in kinds
    living = person.family == "dibao" and not excluded and not kinds & {"orphan", "unattended_child_full"}
    other_kept = "elderly_care" in kinds and not person.keeps_ours
    care = person.level <= 2 and not excluded and not other_kept
    entitled = {"living": living, "care": care}
    return tuple(subsidy for subsidy in SUBSIDIES if subsidy in person.subsidies and entitled[subsidy])


def _describe(person: Person) -> str:
    benefits = "+".join(benefit.kind for benefit in person.benefits)
    return f"{person.category} level {person.level}, {person.family or 'no'} family {benefits}".rstrip()


async def _submit(stage: Stage, person: Person) -> str:
    """The application's id; that of an earlier play, if it was interrupted long ago."""
    officials = stage.officials
    try:
        key = stage.key("apply", stage.number(person))
        answer = await stage.rest.post("intake", "/v1/applications", officials.partner, application(person), key=key)
    except Refused as refusal:
        known = refusal.problem.get("application_id")
        if refusal.status != 409 or known is None:
            raise
        answer = await stage.rest.get("intake", f"/v1/applications/{known}", officials.civil_affairs)
    stage.person_ids[person.id_number] = answer["person_id"]
    application_id: str = answer["application_id"]
    return application_id


async def _review(stage: Stage, person: Person, application_id: str) -> None:
    officials = stage.officials
    certificate = {
        "category": person.category,
        "level": person.level,
        "issued_on": person.issued_on.isoformat(),
        "expires_on": person.expires_on.isoformat(),
        "status": "valid",
    }
    confirmed: dict[str, Any] = {"stage": "civil_affairs", "outcome": "approve"}
    if person.family and person.family_since:
        confirmed["low_income"] = {"category": person.family, "from": person.family_since.isoformat()}
    for caller, review in (
        (officials.township(person.township), {"stage": "township", "outcome": "approve"}),
        (officials.cdpf, {"stage": "cdpf", "outcome": "approve", "certificate": certificate}),
        (officials.civil_affairs, confirmed),
    ):
        key = stage.key("review", application_id, review["stage"])
        try:
            await stage.rest.post("intake", f"/v1/applications/{application_id}/reviews", caller, review, key=key)
        except Refused as refusal:
            if refusal.status != 409:  # reviewed by a play that was interrupted long ago
                raise


async def _assessed(stage: Stage, application_ids: Collection[str]) -> dict[str, dict[str, Any]] | None:
    """These applications as the county's list shows them: approved, rejected, or back at civil affairs with the
    reasons. None while one still waits for its last assessment."""
    listed = stage.rest.items("intake", "/v1/applications", stage.officials.civil_affairs, area=stage.county.area)
    found = {row["application_id"]: row async for row in listed if row["application_id"] in application_ids}
    waits = any(row["status"] == "in_review" and row["stage"] is None for row in found.values())
    return None if waits else found


async def _reject(stage: Stage, application_id: str) -> None:
    rejection = {"stage": "civil_affairs", "outcome": "reject", "reason": "经核对不符合补贴条件"}
    key = stage.key("reject", application_id)
    path = f"/v1/applications/{application_id}/reviews"
    await stage.rest.post("intake", path, stage.officials.civil_affairs, rejection, key=key)
