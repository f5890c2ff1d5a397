"""Proofs of life over REST: who is due when, high risk first, and what each attempt comes to."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any
from uuid import uuid4

import httpx
import pytest

from libs.common.events.eligibility import PolicyChanged, PolicyValue
from libs.common.events.intake import ApplicationFacts, ApplicationSubmitted
from libs.common.period import Period
from libs.common.settings import Settings
from services.matching.faces import NoFaces
from tests.integration.matching import TOWNSHIP, Matching, Recipient, invariants_hold
from tests.integration.test_matching_findings import JPEG


async def recipient(matching: Matching, *, born: int, applied_on: str = "2025-06-10", **more: Any) -> Recipient:
    """Somebody who receives a subsidy since January 2025 and was last dealt with on the day of an application."""
    person = await matching.recipient(**more)
    await matching.hear(
        ApplicationSubmitted(
            person_id=person.person_id, version=1, application_id=uuid4(), area=TOWNSHIP, channel="counter",
            subsidies=("living",), applied_on=applied_on, status="withdrawn", stage=None,
            facts=ApplicationFacts(residence_area=TOWNSHIP, birth_year=born),
        )
    )  # fmt: skip
    return person


async def daily(matching: Matching, as_of: str) -> None:
    answer = await matching.call("POST", "/v1/daily-runs", "admin", json={"as_of": as_of})
    assert answer.status_code == 201, answer.text


async def proofs(matching: Matching, **query: Any) -> list[dict[str, Any]]:
    answer = await matching.call("GET", "/v1/proofs-of-life", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def attempt(matching: Matching, proof: dict[str, Any], outcome: str, **more: Any) -> httpx.Response:
    body = {"method": "visit", "outcome": outcome, "on": "2026-06-01", **more}
    path = f"/v1/proofs-of-life/{proof['proof_id']}"
    return await matching.call("POST", path, "township", area=TOWNSHIP, json=body)


async def test_a_year_after_the_last_sign_of_life_a_proof_is_due_and_of_the_aged_after_half(matching: Matching) -> None:
    younger = await recipient(matching, born=1970)
    aged = await recipient(matching, born=1940)
    await daily(matching, "2025-11-20")
    (first,) = await proofs(matching)
    assert (first["person_id"], first["due_on"], first["because"]) == (aged.person_id, "2025-12-10", "age")
    await daily(matching, "2026-05-20")
    await daily(matching, "2026-05-21")
    listed = await proofs(matching)
    assert [(item["person_id"], item["risk"]) for item in listed] == [
        (aged.person_id, "high"),
        (younger.person_id, "normal"),
    ]
    assert listed[1]["due_on"] == "2026-06-10"
    assert await proofs(matching, due_before="2025-12-09") == []
    assert len(await proofs(matching, due_before="2025-12-10")) == 1


async def test_how_often_and_from_which_age_is_the_policy_of_the_area(matching: Matching) -> None:
    values = tuple(
        PolicyValue(parameter=f"proof_of_life.{name}", since=date(2025, 1, 1), value=value)
        for name, value in (("high_risk_age", 55), ("high_risk_interval_months", 3))
    )
    await matching.hear(PolicyChanged(version=1, area=TOWNSHIP[:6], policy_version="a", values=values))
    person = await recipient(matching, born=1965)
    await daily(matching, "2025-08-20")
    (proof,) = await proofs(matching)
    assert (proof["person_id"], proof["due_on"], proof["because"]) == (person.person_id, "2025-09-10", "age")


async def test_who_is_seen_alive_is_due_again_a_year_later(matching: Matching) -> None:
    await recipient(matching, born=1970)
    await daily(matching, "2026-05-20")
    (proof,) = await proofs(matching)
    done = (await attempt(matching, proof, "alive", note="本人在家")).json()
    assert (done["status"], done["outcome"], done["proved_on"]) == ("done", "alive", "2026-06-01")
    assert (await attempt(matching, proof, "alive")).status_code == 409
    await daily(matching, "2027-04-30")
    assert await proofs(matching) == []
    await daily(matching, "2027-05-05")
    assert [item["due_on"] for item in await proofs(matching)] == ["2027-06-01"]


async def test_who_was_not_seen_is_tried_again_and_comes_first(matching: Matching) -> None:
    await recipient(matching, born=1970)
    await daily(matching, "2026-05-20")
    (proof,) = await proofs(matching)
    again = (await attempt(matching, proof, "not_seen", on="2026-06-09", note="外出务工")).json()
    assert (again["status"], again["risk"], again["because"]) == ("open", "high", "not_seen")
    assert again["due_on"] > proof["due_on"]
    assert [one["outcome"] for one in again["tried"]] == ["not_seen"]


async def test_a_failed_face_check_asks_for_another_method_and_is_never_a_death(matching: Matching) -> None:
    person = await recipient(matching, born=1970)
    await daily(matching, "2026-05-20")
    (proof,) = await proofs(matching)
    query = {"about": "proof_of_life", "id": proof["proof_id"]}
    by: dict[str, Any] = {"role": "township", "area": TOWNSHIP, "params": query}
    check = await matching.call("POST", "/v1/face-checks", content=JPEG + b" NO MATCH", **by)
    assert check.json()["matched"] is False
    assert (await attempt(matching, proof, "alive", method="face")).json()["type"].endswith("face-did-not-match")
    dead = await attempt(matching, proof, "dead", method="face")
    assert dead.json()["type"].endswith("face-check-proves-no-death")
    assert await matching.findings() == []
    assert (await attempt(matching, proof, "alive", method="video")).json()["outcome"] == "alive"
    assert await matching.told(person.person_id) == []


async def test_where_no_provider_is_connected_no_face_is_a_sign_of_life(matching: Matching) -> None:
    assert Settings().faces_simulated is False, "a simulation sees everybody alive: it has to be asked for"
    await recipient(matching, born=1970)
    await daily(matching, "2026-05-20")
    (proof,) = await proofs(matching)
    state = matching.running.app.state
    state.parts = replace(state.parts, faces=NoFaces())
    query = {"about": "proof_of_life", "id": proof["proof_id"]}
    check = await matching.call("POST", "/v1/face-checks", "township", area=TOWNSHIP, params=query, content=JPEG)
    assert (check.status_code, "请用其他方式核实" in check.json()["detail"]) == (503, True)


@pytest.mark.parametrize(("outcome", "kind"), [("dead", "person.died"), ("missing", "person.missing")])
async def test_who_is_said_to_be_dead_or_missing_is_a_lead_to_be_verified(
    matching: Matching, outcome: str, kind: str
) -> None:
    person = await recipient(matching, born=1970)
    await daily(matching, "2026-05-20")
    (proof,) = await proofs(matching)
    answer = (await attempt(matching, proof, outcome, note="邻居告知")).json()
    (finding,) = await matching.findings()
    assert (finding["kind"], finding["status"], finding["finding_id"]) == (kind, "open", answer["finding_id"])
    assert [event["type"] for event in await matching.told(person.person_id)] == ["finding.opened"]
    assert await invariants_hold(matching)


async def test_who_no_longer_receives_need_not_be_seen(matching: Matching) -> None:
    await recipient(matching, born=1970, to=Period(2026, 6))
    await daily(matching, "2026-05-20")
    assert len(await proofs(matching)) == 1
    await daily(matching, "2026-07-01")
    assert await proofs(matching) == []
    assert (await proofs(matching, status="done"))[0]["outcome"] == "stopped"


async def test_an_overdue_proof_is_raised_to_the_county(matching: Matching) -> None:
    await recipient(matching, born=1970)
    await daily(matching, "2026-05-20")
    (proof,) = await proofs(matching)
    for as_of in (proof["late_after"], "2026-08-01"):
        await daily(matching, as_of)
    raised = await matching.call("GET", "/v1/escalations", params={"kind": "proof_of_life"})
    assert [(item["raised_to"], item["raised_on"]) for item in raised.json()["items"]] == [("530102", "2026-08-01")]


async def test_a_proof_is_seen_and_given_in_its_area_only(matching: Matching) -> None:
    await recipient(matching, born=1970)
    await daily(matching, "2026-05-20")
    (proof,) = await proofs(matching)
    path = f"/v1/proofs-of-life/{proof['proof_id']}"
    body = {"method": "visit", "outcome": "alive", "on": "2026-06-01"}
    assert (await matching.call("POST", path, "township", area="530103001", json=body)).status_code == 404
    assert (await matching.call("POST", path, "cdpf", json=body)).status_code == 403
    assert (await matching.call("POST", path, json={**body, "on": "2999-01-01"})).status_code == 422
    assert (await matching.call("GET", "/v1/proofs-of-life", params={"area": "5303"})).status_code == 403
