"""Applications: submitted by a partner, reviewed by three officials, decided by the facts as confirmed."""

from __future__ import annotations

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
    status: str
    granted: tuple[Subsidy, ...]


async def apply_and_review(stage: Stage, persons: list[Person]) -> list[Decided]:
    """Every person applies; the three stages approve what eligibility finds payable, and reject the rest."""
    submitted = dict(zip([person.id_number for person in persons], await each(_submitter(stage), persons), strict=True))

    async def follow(person: Person) -> Decided:
        application_id = submitted[person.id_number]
        await _review(stage, person, application_id)
        return await _await_decision(stage, person, application_id)

    decided = await each(follow, persons)
    for outcome in decided:
        expected = expected_grants(outcome.person)
        stage.expectations.equal(f"{_describe(outcome.person)} is granted", set(outcome.granted), set(expected))
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


def _submitter(stage: Stage) -> Any:
    async def submit(person: Person) -> str:
        officials = stage.officials
        try:
            key = stage.key("apply", stage.number(person))
            answer = await stage.rest.post(
                "intake", "/v1/applications", officials.partner, application(person), key=key
            )
        except Refused as refusal:
            known = refusal.problem.get("application_id")
            if refusal.status != 409 or known is None:
                raise
            found = await stage.rest.get("intake", f"/v1/applications/{known}", officials.civil_affairs)
            answer = {"application_id": known, "person_id": found["person_id"]}
        stage.person_ids[person.id_number] = answer["person_id"]
        application_id: str = answer["application_id"]
        return application_id

    return submit


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


async def _await_decision(stage: Stage, person: Person, application_id: str) -> Decided:
    """Approved by the last review, or sent back to civil affairs with the reasons, which then rejects."""
    civil_affairs = stage.officials.civil_affairs
    path = f"/v1/applications/{application_id}"

    async def look() -> dict[str, Any] | None:
        found: dict[str, Any] = await stage.rest.get("intake", path, civil_affairs)
        back = found["status"] == "in_review" and found["stage"] == "civil_affairs"
        return found if back or found["status"] in ("approved", "rejected") else None

    found = await until(look, f"application {application_id} to be assessed")
    assert found is not None
    if found["status"] == "in_review":
        rejection = {"stage": "civil_affairs", "outcome": "reject", "reason": "经核对不符合补贴条件"}
        key = stage.key("reject", application_id)
        await stage.rest.post("intake", f"{path}/reviews", civil_affairs, rejection, key=key)
    granted = tuple(found.get("granted") or ())
    status = "rejected" if found["status"] == "in_review" else found["status"]
    return Decided(person, application_id, status, granted)
