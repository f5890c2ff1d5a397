"""Documents, objections and the public's question, over HTTP on a real database."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.exc import DBAPIError

from libs.common.clock import business_today
from libs.common.period import Period
from services.intake.handlers.store_checks import remove_strays
from tests.integration.intake import Office, schedule

PDF = b"%PDF-1.7\n" + b"commitment " * 50


def stored_files(office: Office, content: bytes = PDF) -> list[list[Path]]:
    """The files that hold this content, in the first store and in the second."""
    sha256 = hashlib.sha256(content).hexdigest()
    folder = office.running.settings.data_dir
    return [list((folder / name).glob(f"*/{sha256}-*")) for name in ("archive-a", "archive-b")]


async def add(office: Office, application_id: str, content: bytes, kind: str = "commitment", **options: Any) -> Any:
    return await office.running.http.post(
        f"/v1/applications/{application_id}/documents",
        data={
            "kind": kind,
            "source": options.pop("source", "scan"),
            **({"replaces": options.pop("replaces")} if "replaces" in options else {}),
        },
        files={"file": (options.pop("name", "张三的身份证.pdf"), content, "text/plain")},
        headers=options.pop("headers", {}) | office.token("partner", **options),
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


async def test_a_store_that_lost_everything_is_repaired_from_the_other(office: Office) -> None:
    application_id = (await office.submit())["application_id"]
    contents = [PDF + office.area.encode(), b"\x00\x00\x00\x18ftypheic" + office.area.encode() * 500_000]
    ids = [(await add(office, application_id, content)).json()["document_id"] for content in contents]
    shutil.rmtree(office.running.settings.data_dir / "archive-a")
    for document_id, content in zip(ids, contents, strict=True):
        read = await office.get(f"/applications/{application_id}/documents/{document_id}", "township")
        assert read.content == content, "read from the second store meanwhile"

    checked = (await office.post("/archive-store-checks", "admin", area="00")).json()
    assert checked["repaired"][0] >= 2
    assert (checked["repaired"][1], checked["lost"]) == (0, [])
    shutil.rmtree(office.running.settings.data_dir / "archive-b")
    for document_id, content in zip(ids, contents, strict=True):
        read = await office.get(f"/applications/{application_id}/documents/{document_id}", "township")
        assert read.content == content
    again = (await office.post("/archive-store-checks", "admin", area="00")).json()
    assert again["repaired"] == [0, checked["checked"]]


async def test_a_damaged_copy_is_replaced_and_one_that_is_lost_is_named(office: Office) -> None:
    application_id = (await office.submit())["application_id"]
    content = PDF + f"damaged {office.area}".encode()
    document_id = (await add(office, application_id, content)).json()["document_id"]
    first, second = (store[0] for store in stored_files(office, content))
    damaged = bytearray(first.read_bytes())
    damaged[20] ^= 1
    first.write_bytes(damaged)
    checked = (await office.post("/archive-store-checks", "admin", area="00")).json()
    assert checked["repaired"] == [1, 0]
    assert first.read_bytes() == second.read_bytes()

    first.unlink()
    second.write_bytes(b"")
    checked = (await office.post("/archive-store-checks", "admin", area="00")).json()
    assert checked["lost"] == [hashlib.sha256(content).hexdigest()]
    path = f"/applications/{application_id}/documents/{document_id}"
    assert (await office.get(path, "township")).status_code == 503
    listed = await office.get("/archive-store-checks", "admin", area="00")
    assert listed.json()["items"][0]["lost"] == checked["lost"]
    first.write_bytes(bytes([damaged[i] ^ (i == 20) for i in range(len(damaged))]))
    assert (await office.get(path, "township")).content == content


async def test_the_daily_run_reads_back_what_was_not_read_for_long(office: Office) -> None:
    application_id = (await office.submit())["application_id"]
    content = PDF + f"daily {office.area}".encode()
    await add(office, application_id, content)
    stored_files(office, content)[1][0].unlink()
    run = await office.post("/daily-runs", "admin", {"as_of": business_today().isoformat()}, area="00")
    assert run.json()["done"]["read archives back"] >= 1
    assert stored_files(office, content)[1]


async def test_the_daily_run_removes_what_a_killed_process_left_in_the_stores(office: Office) -> None:
    application_id = (await office.submit())["application_id"]
    content = PDF + f"named {office.area}".encode()
    await add(office, application_id, content)
    named, two_days_ago = stored_files(office, content)[0][0], time.time() - 2 * 86_400
    whole, half, young = (named.with_name(f"{uuid4().hex}{end}") for end in ("", ".part", ".young.part"))
    for path in (whole, half, young):
        path.write_bytes(b"left behind")
    for path in (named, whole, half):
        os.utime(path, (two_days_ago, two_days_ago))
    async with office.running.app.state.database.transaction() as tx:
        for day in range(32):  # each looks through some of the folders
            await remove_strays(tx, office.running.app.state.stores, business_today() + timedelta(days=day))
    assert [path.exists() for path in (named, whole, half, young)] == [True, False, False, True]


async def test_a_correction_is_a_new_version_and_the_old_one_stays(office: Office) -> None:
    application_id = (await office.submit())["application_id"]
    first = (await add(office, application_id, PDF)).json()["document_id"]
    second = (await add(office, application_id, PDF + b"2", replaces=first)).json()["document_id"]
    items = (await office.get(f"/applications/{application_id}/archive")).json()["items"]
    assert [(item["document_id"], item["replaces"], item["replaced_by"]) for item in items] == [
        (first, None, second),
        (second, first, None),
    ]
    assert (await add(office, application_id, PDF + b"3", replaces=first)).status_code == 422
    assert (await add(office, application_id, PDF + b"3", "photo", replaces=second)).status_code == 422
    other = (await office.submit())["application_id"]
    assert (await add(office, other, PDF + b"3", replaces=second)).status_code == 422


async def test_a_key_used_twice_for_a_document_is_answered_as_for_any_post(office: Office) -> None:
    application_id = (await office.submit())["application_id"]
    key = {"Idempotency-Key": f"document {office.area}"}
    first = await add(office, application_id, PDF, headers=key)
    again = await add(office, application_id, PDF, headers=key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotent-replay"] == "true"
    assert (await add(office, application_id, PDF + b"2", headers=key)).status_code == 409


async def test_every_look_into_an_archive_is_logged(office: Office) -> None:
    submitted = await office.submit()
    application_id = submitted["application_id"]
    document_id = (await add(office, application_id, PDF)).json()["document_id"]
    await office.get(f"/applications/{application_id}/archive", "cdpf")
    await office.get(f"/applications/{application_id}/documents/{document_id}", "auditor")
    log = (await office.get(f"/audit-log?person_id={submitted['person_id']}", "auditor")).json()["items"]
    assert [entry["action"] for entry in log[:3]] == ["read document", "read archive", "add document"]


async def test_without_a_token_nothing_of_a_body_is_read(office: Office) -> None:
    application_id = (await office.submit())["application_id"]
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 1
            yield b"x" * 1000

    answer = await office.running.http.post(f"/v1/applications/{application_id}/documents", content=body())
    assert (answer.status_code, sent) == (401, 0)


async def test_the_archive_lists_what_is_there_and_what_is_missing(office: Office) -> None:
    application_id = (await office.submit())["application_id"]
    await add(office, application_id, PDF)
    archive = (await office.get(f"/applications/{application_id}/archive")).json()
    assert [item["kind"] for item in archive["items"]] == ["commitment"]
    assert (archive["missing"], archive["complete"]) == (["id_card", "certificate", "account"], False)
    for kind in archive["missing"]:
        await add(office, application_id, b"\xff\xd8\xff" + kind.encode(), kind)
    assert (await office.get(f"/applications/{application_id}/archive")).json()["complete"] is True


async def test_an_archive_is_kept_for_years_once_nothing_more_is_paid(office: Office) -> None:
    granted = await office.granted(subsidies=("living",))

    async def retained_until() -> Any:
        answer = await office.get(f"/applications/{granted['application_id']}/archive")
        return answer.json()["retain_until"]

    this = Period.of(business_today())
    assert await retained_until() is None, "eligibility has not told yet what it made payable"
    for version, last, until in ((1, None, None), (2, this, None), (3, this.previous, this.previous.year + 30)):
        await office.tell(schedule(granted["person_id"], version, last=last))
        assert await retained_until() == (until and f"{until}-12-31")

    rejected = await office.submit()
    await office.review(rejected["application_id"], "township", "reject", reason="户籍不符")
    archive = (await office.get(f"/applications/{rejected['application_id']}/archive")).json()
    assert archive["retain_until"] == f"{business_today().year + 30}-12-31"


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


async def upheld(office: Office, objection: dict[str, Any]) -> dict[str, Any]:
    """The objection as it stands after somebody new has upheld it."""
    filed = await office.post("/objections", "partner", objection)
    path = f"/objections/{filed.json()['objection_id']}/decision"
    decided = await office.post(path, "civil_affairs", {"outcome": "upheld", "reason": "理由成立"}, "who upheld it")
    assert decided.status_code == 200, decided.text
    listed = (await office.get("/objections?status=upheld")).json()["items"]
    [shown] = [item for item in listed if item["objection_id"] == filed.json()["objection_id"]]
    return dict(shown)


async def test_what_was_refused_beside_a_grant_is_reviewed_as_an_application_of_its_own(office: Office) -> None:
    submitted = await office.submit()
    first, person_id = submitted["application_id"], submitted["person_id"]
    replaced = await add(office, first, PDF, "photo")
    await add(office, first, PDF + b"%", "photo", replaces=replaced.json()["document_id"])
    await office.approve_by_three(first)
    await office.assess(first, "living")
    [before] = (await office.told("payee.changed", person_id))[-1:]

    objection = await upheld(office, {"application_id": first, "text": "护理补贴应当发放"})
    assert objection["handle_by"] is None
    anew = await office.read(objection["new_application_id"])
    assert (anew["subsidies"], anew["status"], anew["stage"]) == (["care"], "submitted", "township")
    assert (anew["applied_on"], anew["accrues_from"]) == ("2026-03-02", "2026-03-02"), "under its first date"
    archive = await office.get(f"/applications/{anew['application_id']}/archive")
    assert [item["kind"] for item in archive.json()["items"]] == ["photo"], "the newest of each"
    unchanged = await office.read(first)
    assert (unchanged["status"], unchanged["granted"]) == ("approved", ["living"])

    await office.approve_by_three(anew["application_id"])
    await office.assess(anew["application_id"], "care")
    assert (await office.read(anew["application_id"]))["granted"] == ["care"]
    [after] = (await office.told("payee.changed", person_id))[-1:]
    assert after["account"]["number_token"] == before["account"]["number_token"], "paid where it is paid"
    [answer] = await office.told("objection.answered", person_id)
    assert (answer["outcome"], answer["handle_by"]) == ("upheld", None)
    objected_again = await office.post("/objections", "partner", {"application_id": first, "text": "再次"})
    path = f"/objections/{objected_again.json()['objection_id']}/decision"
    refused = await office.post(path, "civil_affairs", {"outcome": "upheld", "reason": "又"}, "a third")
    assert refused.status_code == 409, "it is granted by now"


async def test_an_upheld_objection_against_a_month_waits_until_the_office_has_looked_into_it(office: Office) -> None:
    person_id = (await office.granted())["person_id"]
    month = {"person_id": person_id, "subsidy": "living", "period": "2026-04", "text": "四月未发"}
    objection = await upheld(office, month)
    handle_by = date.fromisoformat(objection["handle_by"])
    assert objection["new_application_id"] is None
    [answer] = await office.told("objection.answered", person_id)
    assert answer["handle_by"] == objection["handle_by"], "the person is told the day"

    async def late_by(as_of: date) -> list[str]:
        await office.post("/daily-runs", "admin", {"as_of": f"{as_of}"}, area="00")
        found = await office.get("/escalations", area=office.area[:4])
        return [item["kind"] for item in found.json()["items"] if item["subject_id"] == objection["objection_id"]]

    assert await late_by(handle_by) == []
    assert await late_by(handle_by + timedelta(days=1)) == ["handling"]
    assert [o["objection_id"] for o in (await office.get("/objections?to_handle=true")).json()["items"]] == [
        objection["objection_id"]
    ]
    path, found = f"/objections/{objection['objection_id']}/handling", {"handling": "残疾人证状态录错，已更正"}
    assert (await office.post(path, "township", found)).status_code == 403
    assert (await office.post(path, "civil_affairs", found, area="110101")).status_code == 404
    assert (await office.post(path, "civil_affairs", {"handling": ""})).status_code == 422
    assert (await office.post(path, "civil_affairs", found)).status_code == 200
    assert (await office.post(path, "civil_affairs", found)).status_code == 409
    assert (await office.get("/objections?to_handle=true")).json()["items"] == []


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
