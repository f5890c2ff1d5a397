"""Findings in the county's hands: assigned, decided once overdue, verified with evidence, many at once."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from libs.common.clock import utc_now
from libs.common.events.intake import TransferAccepted
from libs.common.working_days import working_days_after
from tests.integration.matching import COUNTY, TOWNSHIP, Matching, invariants_hold

JPEG = b"\xff\xd8\xff\xe0 a picture of a person at home"


async def lead(matching: Matching, kind: str = "person.died", area: str = TOWNSHIP, **more: Any) -> dict[str, Any]:
    answer = await matching.push(
        kind, matching.new_id_number(), "2026-03-05", role="civil_affairs", **{"area": area, **more}
    )
    assert answer.json()["outcome"] == "finding", answer.text
    return await finding(matching, answer.json()["finding_id"])


async def finding(matching: Matching, finding_id: str) -> dict[str, Any]:
    return (await matching.call("GET", f"/v1/findings/{finding_id}")).json()


async def decide(matching: Matching, finding_id: str, decision: str, **more: Any) -> httpx.Response:
    body = {"decision": decision, "reason": "乡镇尚未核实，县级先行决定"}
    return await matching.call("POST", f"/v1/findings/{finding_id}/decision", json=body, **more)


async def overdue(matching: Matching, found: dict[str, Any]) -> None:
    as_of = date.fromisoformat(found["due_on"]) + timedelta(days=1)
    await matching.call("POST", "/v1/daily-runs", "admin", json={"as_of": as_of.isoformat()})


async def test_a_finding_is_due_ten_working_days_after_it_was_opened(matching: Matching) -> None:
    found = await lead(matching)
    opened_on = date.fromisoformat(found["opened_on"])
    assert date.fromisoformat(found["due_on"]) == working_days_after(opened_on, 10)
    assert found["assigned_to"] == TOWNSHIP


async def test_an_overdue_finding_is_released_or_kept_by_the_county_and_verified_after_all(matching: Matching) -> None:
    found = await lead(matching, "person.missing")
    finding_id = found["finding_id"]
    early = await decide(matching, finding_id, "release")
    assert (early.status_code, early.json()["type"].rsplit("/", 1)[-1]) == (409, "not-overdue")
    await overdue(matching, found)
    assert (await decide(matching, finding_id, "release", role="township", area=TOWNSHIP)).status_code == 403
    kept = (await decide(matching, finding_id, "keep")).json()
    assert (kept["overdue"], kept["decision"], kept["hold_from"]) == (False, "keep", found["hold_from"])
    await overdue(matching, kept)
    released = (await decide(matching, finding_id, "release")).json()
    assert (released["status"], released["hold_from"]) == ("open", "9999-12")
    told = await matching.told(found["person_id"])
    assert [event["hold_from"] for event in told] == ["2026-04", "2026-04", "9999-12"]
    assert (await matching.verify(finding_id, "confirmed")).status_code == 200
    assert await invariants_hold(matching)


async def test_an_open_finding_goes_along_to_the_county_that_accepts_the_person(matching: Matching) -> None:
    found, there = await lead(matching), "530103002"
    moved = {
        "person_id": found["person_id"], "fact_id": uuid4(), "occurred_on": "2026-04-10", "known_at": utc_now(),
        "source": "review", "from_area": TOWNSHIP, "to_area": there, "accepted_on": "2026-04-20",
    }  # fmt: skip
    await matching.hear(TransferAccepted.model_validate(moved))
    told = (await matching.told(found["person_id"]))[-1]
    assert (told["type"], told["area"], told["hold_from"]) == ("finding.opened", there, found["hold_from"])
    assert (await matching.verify(found["finding_id"], "dismissed")).status_code == 404, "the township of before"
    assert (await matching.verify(found["finding_id"], "dismissed", area=there)).status_code == 200


async def test_what_the_county_released_is_held_again_once_somebody_else_says_so_too(matching: Matching) -> None:
    id_number = matching.new_id_number()
    by: dict[str, Any] = {"area": TOWNSHIP, "role": "township"}
    pushed = (await matching.push("person.missing", id_number, "2026-03-05", sub="one", **by)).json()
    found = await finding(matching, pushed["finding_id"])
    await overdue(matching, found)
    released = (await decide(matching, found["finding_id"], "release")).json()
    await matching.push("person.missing", id_number, "2026-03-05", sub="one", **by)
    assert (await finding(matching, found["finding_id"]))["hold_from"] == released["hold_from"] == "9999-12"
    await matching.push("person.missing", id_number, "2026-04-10", sub="another", **by)
    held = await finding(matching, found["finding_id"])
    assert (held["alleged_on"], held["hold_from"]) == ("2026-03-05", "2026-05")
    assert [event["hold_from"] for event in await matching.told(found["person_id"])][-1] == "2026-05"


@pytest.mark.parametrize("kind", ["person.died", "person.declared_dead"])
async def test_a_lead_of_death_is_never_released_by_time(matching: Matching, kind: str) -> None:
    found = await lead(matching, kind)
    await overdue(matching, found)
    refused = await decide(matching, found["finding_id"], "release")
    assert (refused.status_code, refused.json()["type"].rsplit("/", 1)[-1]) == (409, "death-is-not-released")
    assert (await finding(matching, found["finding_id"]))["hold_from"] == found["hold_from"]
    assert (await decide(matching, found["finding_id"], "keep")).status_code == 200


async def test_the_county_assigns_a_finding_to_the_township_that_sees_the_person(matching: Matching) -> None:
    found = await lead(matching, area=COUNTY)
    path = f"/v1/findings/{found['finding_id']}"
    assert (await matching.call("GET", path, "township", area="530102007")).status_code == 404
    body = {"area": "530102007", "due_on": "2027-01-15"}
    assigned = (await matching.call("POST", f"{path}/assignment", json=body)).json()
    assert (assigned["assigned_to"], assigned["due_on"]) == ("530102007", "2027-01-15")
    assert (await matching.call("GET", path, "township", area="530102007")).status_code == 200
    listed = await matching.call("GET", "/v1/findings", "township", area="530102007")
    assert [item["finding_id"] for item in listed.json()["items"]] == [found["finding_id"]]
    outside = await matching.call("POST", f"{path}/assignment", json={"area": "530103001"})
    assert outside.status_code == 422
    assert (await matching.verify(found["finding_id"], "dismissed", area="530102007")).status_code == 200


async def test_many_are_verified_at_once_each_with_its_own_audit_entry(matching: Matching) -> None:
    found = [await lead(matching) for _ in range(3)]
    await matching.verify(found[0]["finding_id"], "dismissed")
    ids = [item["finding_id"] for item in found] + [str(uuid4())]
    body = {"finding_ids": ids, "method": "document", "outcome": "confirmed", "note": "县殡仪馆火化证明"}
    answer = await matching.call("POST", "/v1/findings/bulk-verification", json=body)
    assert [item["status"] for item in answer.json()] == [None, "confirmed", "confirmed", None]
    assert answer.json()[0]["refused"] == "it is dismissed"
    log = (await matching.call("GET", "/v1/audit-log", "auditor")).json()["items"]
    entries = [entry for entry in log if entry["action"] == "verify finding" and entry["reason"] == body["note"]]
    assert {entry["object"] for entry in entries} == set(ids[1:3])
    without_reason = {**body, "note": ""}
    assert (await matching.call("POST", "/v1/findings/bulk-verification", json=without_reason)).status_code == 422
    assert await invariants_hold(matching)


async def upload(matching: Matching, path: str, finding_id: str, content: bytes, **by: Any) -> httpx.Response:
    by = {"role": "township", "area": TOWNSHIP, **by}
    return await matching.call("POST", path, params={"about": "finding", "id": finding_id}, content=content, **by)


async def test_evidence_is_kept_sealed_and_read_back_for_a_logged_reason(matching: Matching, tmp_path: Path) -> None:
    found = await lead(matching)
    stored = await upload(matching, "/v1/evidence", found["finding_id"], JPEG)
    assert (stored.status_code, stored.json()["media_type"]) == (201, "image/jpeg"), stored.text
    again = await upload(matching, "/v1/evidence", found["finding_id"], JPEG)
    assert again.json()["evidence_id"] == stored.json()["evidence_id"]
    (file,) = tmp_path.glob("evidence/*/*.sealed")
    assert b"picture" not in file.read_bytes()
    path = f"/v1/evidence/{stored.json()['evidence_id']}"
    assert (await matching.call("GET", path)).status_code == 422, "a reason is asked for"
    read = await matching.call("GET", path, "auditor", params={"reason": "抽查"})
    assert (read.content, read.headers["content-type"]) == (JPEG, "image/jpeg")
    assert (await matching.call("GET", path, area="530103", params={"reason": "抽查"})).status_code == 404
    file.write_bytes(file.read_bytes()[:-20])
    damaged = await matching.call("GET", path, params={"reason": "抽查"})
    assert damaged.json()["type"].endswith("evidence-damaged")


@pytest.mark.parametrize("content", [b"", b"<html><script>", b"MZ\x90\x00"])
async def test_what_is_no_picture_or_paper_is_no_evidence(matching: Matching, content: bytes) -> None:
    found = await lead(matching)
    assert (await upload(matching, "/v1/evidence", found["finding_id"], content)).status_code == 422


async def test_evidence_is_stored_by_who_verifies_there(matching: Matching) -> None:
    found = await lead(matching)
    elsewhere = await upload(matching, "/v1/evidence", found["finding_id"], JPEG, area="530103001")
    assert elsewhere.status_code == 404
    finance = await upload(matching, "/v1/evidence", found["finding_id"], JPEG, role="finance", area=COUNTY)
    assert finance.status_code == 403


async def test_a_failed_face_check_asks_for_another_method(matching: Matching) -> None:
    found = await lead(matching, "person.missing")
    finding_id = found["finding_id"]
    failed = await upload(matching, "/v1/face-checks", finding_id, JPEG + b" NO MATCH")
    assert (failed.status_code, failed.json()["matched"]) == (201, False)
    refused = await matching.verify(finding_id, "dismissed", method="face")
    assert (refused.status_code, refused.json()["type"].rsplit("/", 1)[-1]) == (422, "face-did-not-match")
    assert (await finding(matching, finding_id))["status"] == "open", "a failed check is no proof of anything"
    matched = await upload(matching, "/v1/face-checks", finding_id, JPEG)
    assert matched.json()["matched"] is True
    assert (await matching.verify(finding_id, "dismissed", method="face")).status_code == 200
