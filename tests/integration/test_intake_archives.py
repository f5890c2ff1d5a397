"""Documents, objections and the public's question, over HTTP on a real database."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from tests.conftest import Databases, Issuer, Running
from tests.integration.test_intake_applications import Office, open_intake, open_office

PDF = b"%PDF-1.7\n" + b"commitment " * 50


@pytest.fixture(scope="module")
async def intake(databases: Databases, issuer: Issuer) -> AsyncIterator[Running]:
    async with open_intake(databases, issuer) as started:
        yield started


@pytest.fixture
async def office(intake: Running, issuer: Issuer) -> AsyncIterator[Office]:
    async with open_office(intake, issuer) as opened:
        yield opened


def stored_files(office: Office, content: bytes = PDF) -> list[list[Path]]:
    """The files that hold this content, in the first store and in the second."""
    sha256 = hashlib.sha256(content).hexdigest()
    folder = office.running.settings.data_dir
    return [list((folder / name).glob(f"*/{sha256}-*")) for name in ("archive-a", "archive-b")]


async def add(office: Office, application_id: str, content: bytes, kind: str = "commitment", **options: Any) -> Any:
    return await office.running.http.post(
        f"/v1/applications/{application_id}/documents",
        data={"kind": kind, "source": options.pop("source", "scan")},
        files={"file": (options.pop("name", "张三的身份证.pdf"), content, "text/plain")},
        headers=office.token("partner", **options),
    )


async def test_a_document_is_kept_by_its_digest_sealed_and_read_back_equal(office: Office) -> None:
    application_id = (await office.submit())["application_id"]
    added = await add(office, application_id, PDF)
    assert added.status_code == 201, added.text
    assert added.json()["sha256"] == hashlib.sha256(PDF).hexdigest()
    assert added.json()["size"] == len(PDF)

    for store in stored_files(office):
        assert len(store) == 1
        assert b"commitment" not in store[0].read_bytes()
    document = f"/applications/{application_id}/documents/{added.json()['document_id']}"
    read = await office.get(document, "township")
    assert (read.content, read.headers["content-type"]) == (PDF, "application/pdf")
    assert (await office.get(document, "township", area="530302")).status_code == 404
    assert (await office.get(document, "finance")).status_code == 403


async def test_the_archive_lists_what_is_there_and_what_is_missing(office: Office) -> None:
    application_id = (await office.submit())["application_id"]
    await add(office, application_id, PDF)
    archive = (await office.get(f"/applications/{application_id}/archive")).json()
    assert [item["kind"] for item in archive["items"]] == ["commitment"]
    assert (archive["missing"], archive["complete"]) == (["id_card", "certificate", "account"], False)
    for kind in archive["missing"]:
        await add(office, application_id, b"\xff\xd8\xff" + kind.encode(), kind)
    assert (await office.get(f"/applications/{application_id}/archive")).json()["complete"] is True


async def test_the_same_document_again_is_the_same_document(office: Office) -> None:
    application_id = (await office.submit())["application_id"]
    first, again = await add(office, application_id, PDF), await add(office, application_id, PDF)
    assert first.json() == again.json()
    other = (await office.submit())["application_id"]
    assert (await add(office, other, PDF)).status_code == 201
    assert len(await office.rows(f"SELECT 1 FROM contents WHERE sha256 = '{first.json()['sha256']}'")) == 1


async def test_content_decides_what_a_file_is(office: Office) -> None:
    application_id = (await office.submit())["application_id"]
    assert (await add(office, application_id, b"MZ\x90 not a picture", name="photo.jpg")).status_code == 415
    assert (await add(office, application_id, b"")).status_code == 422
    assert (await add(office, application_id, PDF, "passport")).status_code == 422
    assert (await add(office, application_id, PDF, source="fax")).status_code == 422


async def test_too_large_a_document_is_refused(office: Office) -> None:
    application_id = (await office.submit())["application_id"]
    assert (await add(office, application_id, b"%PDF-" + b"x" * 10_000_000)).status_code == 413
    assert (await add(office, application_id, b"%PDF-" + b"x" * (8 << 20))).status_code == 413
    assert (await add(office, application_id, b"%PDF-" + b"x" * (2 << 20))).status_code == 201


async def test_documents_are_never_changed(office: Office) -> None:
    await add(office, (await office.submit())["application_id"], PDF)
    for statement in ("UPDATE documents SET kind = 'other'", "DELETE FROM documents", "TRUNCATE reviews"):
        with pytest.raises(DBAPIError):
            await office.rows(statement)


async def test_only_who_submitted_adds_to_it(office: Office) -> None:
    application_id = (await office.submit())["application_id"]
    assert (await add(office, application_id, PDF, sub="other")).status_code == 404


async def test_an_objection_that_is_upheld_opens_the_review_again(office: Office) -> None:
    application_id = (await office.submit())["application_id"]
    await office.review(application_id, "township", "reject", reason="户籍不符")
    filed = await office.post("/objections", "partner", {"application_id": application_id, "text": "户籍已迁回"})
    assert filed.status_code == 201, filed.text
    path = f"/objections/{filed.json()['objection_id']}/decision"
    decision = {"outcome": "upheld", "reason": "经核实户籍在本县"}
    decided = await office.post(path, "civil_affairs", decision)
    assert decided.json()["status"] == "upheld"
    assert (await office.post(path, "civil_affairs", decision)).status_code == 409
    reopened = await office.read(application_id)
    assert (reopened["status"], reopened["stage"], reopened["accrues_from"]) == ("in_review", "township", "2026-03-02")
    await office.approve_by_three(application_id)


async def test_an_objection_is_decided_by_another_person(office: Office) -> None:
    application_id = (await office.submit())["application_id"]
    await office.approve_by_three(application_id)
    await office.assess(application_id)
    await office.review(application_id, "civil_affairs", "reject", reason="不符合")
    own = await office.post("/objections", "civil_affairs", {"application_id": application_id, "text": "代提"}, "clerk")
    path = f"/objections/{own.json()['objection_id']}/decision"
    decision = {"outcome": "dismissed", "reason": "维持"}
    assert (await office.post(path, "civil_affairs", decision, "clerk")).status_code == 403
    assert (await office.post(path, "civil_affairs", decision, "civil_affairs clerk")).status_code == 403
    assert (await office.post(path, "civil_affairs", decision, "third")).status_code == 200
    assert (await office.read(application_id))["status"] == "rejected"


async def test_one_objects_to_a_month_too(office: Office) -> None:
    person_id = (await office.granted())["person_id"]
    body = {"person_id": person_id, "subsidy": "living", "period": "2026-04", "text": "四月未发"}
    assert (await office.post("/objections", "township", body)).status_code == 201
    listed = (await office.get("/objections?status=open")).json()["items"]
    assert [(item["period"], item["text"]) for item in listed] == [("2026-04", "四月未发")]
    assert (await office.post("/objections", "township", {"text": "无对象"})).status_code == 422


async def test_anybody_with_receipt_and_last_four_sees_the_progress(office: Office) -> None:
    body = office.declaration()
    receipt_no = (await office.submit(body))["receipt_no"]
    question = {"receipt_no": receipt_no.lower(), "id_last4": body["applicant"]["id_number"][-4:].lower()}
    http = office.running.http
    answer = await http.post("/v1/public/progress", json=question)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.json()["stage"]) == ("submitted", "township")
    assert body["applicant"]["name"] not in answer.text

    wrong = question | {"id_last4": "0000"}
    answers = [await http.post("/v1/public/progress", json=wrong) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [404] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
    unknown = await http.post("/v1/public/progress", json=question | {"receipt_no": "530102-20260101-AAAAAAAA"})
    assert unknown.json()["detail"] == answers[0].json()["detail"]
