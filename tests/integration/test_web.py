"""The HTTP edge of every service, shown on a small one: transactions, idempotency keys, problems, tokens, limits."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict
from sqlalchemy import BigInteger, column, select, table, text

from deploy.local.postgres import PostgresServer
from libs.common.auth import CivilAffairs, Official, in_role
from libs.common.daily import DailyTask
from libs.common.database import Appended, Transaction, asyncpg_dsn, rows
from libs.common.errors import Conflict
from libs.common.invariants import Invariant
from libs.common.issuer import issue_token, new_key_pair
from libs.common.platform_schema import PLATFORM_V1
from libs.common.service import Service, create_app
from libs.common.settings import Settings
from libs.common.web import ForeseeingRoute, Page, Paging, Tx, router
from tests.conftest import Issuer, Running, running

NOTES = table("notes", column("note_id", BigInteger), column("text"), column("area"))

api = router(prefix="/v1")


class Note(BaseModel):
    model_config = ConfigDict(extra="forbid")

    area: str
    text: str
    then: str = ""


@api.post("/notes", status_code=201)
async def write_note(body: Note, tx: Tx, caller: CivilAffairs) -> dict[str, Any]:
    caller.require_area(body.area)
    if body.then == "slow":
        await asyncio.sleep(2.0)
    result = await tx.connection.execute(
        text("INSERT INTO notes (text, area) VALUES (:text, :area) RETURNING note_id"),
        {"text": body.text, "area": body.area},
    )
    if body.then == "refuse":
        raise Conflict("written and then refused")
    if body.then == "crash":
        raise ZeroDivisionError
    return {"note_id": result.scalar_one()}


foreseen = router(prefix="/v1", route_class=ForeseeingRoute)

_NOTES = Appended("notes", {"text": "text", "area": "text"})
_NOTES_OTHERWISE = """
CREATE FUNCTION notes_otherwise(of_text text, supposed bigint) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lock_keys(ARRAY[of_text]);
    RETURN (SELECT to_jsonb(NULLIF(count(*), supposed)) FROM notes n WHERE n.text = of_text);
END $$;
"""


class Written(BaseModel):
    foreseen: bool


@foreseen.post("/new-notes", status_code=201)
async def write_new_note(body: Note, request: Request) -> Written:
    """Of each text there is one note; that there is none yet is foreseen."""
    in_role(request, "civil_affairs")
    tx: Transaction = request.state.tx
    if tx.foresees and body.then != "read":
        if tx.found and body.then != "repeat":
            raise Conflict("there is one")
        tx.provided("notes_otherwise", body.text, tx.found or 0)
    else:
        await tx.lock(body.text)
        if (await tx.connection.execute(select(NOTES).where(NOTES.c.text == body.text))).first():
            raise Conflict("there is one")
    tx.append(_NOTES, {"text": body.text, "area": body.area})
    return Written(foreseen=tx.foresees)


@api.get("/notes")
async def list_notes(tx: Tx, caller: Official, paging: Annotated[Paging, Depends()], area: str | None = None) -> Page:
    query = select(NOTES).where(caller.within(NOTES.c.area, area))
    return paging.page(rows(await tx.connection.execute(paging.cut(query, NOTES.c.note_id))), "note_id")


async def _count_due(tx: Any, as_of: Any) -> int:
    return int((await tx.connection.execute(text("SELECT count(*) FROM notes"))).scalar_one())


SERVICE = Service(
    name="matching",
    version="0",
    routers=[api, foreseen],
    daily_tasks=[DailyTask("notes counted", _count_due)],
    invariants=[Invariant("no empty note", "every note has a text", "SELECT note_id FROM notes WHERE text = ''")],
)


@pytest.fixture(scope="module")
async def notes(postgres: PostgresServer, issuer: Issuer) -> AsyncIterator[Running]:
    name = f"web_{uuid4().hex[:8]}"
    postgres.create_databases(name)
    raw = await asyncpg.connect(asyncpg_dsn(postgres.url(name)))
    await raw.execute(PLATFORM_V1 + "CREATE TABLE notes (note_id bigserial PRIMARY KEY, text text, area text);")
    await raw.execute(_NOTES_OTHERWISE)
    await raw.close()
    settings = Settings(
        database_url=postgres.url(name), roles="api", jwt_public_key=issuer.public_key, idempotency_wait_s=1.0
    )
    async with running(create_app(SERVICE, settings), settings) as started:
        yield started


@pytest.fixture
def civil(issuer: Issuer) -> dict[str, str]:
    return issuer.bearer("civil_affairs", "530102")


async def _texts(notes: Running) -> list[str]:
    async with notes.app.state.database.transaction() as tx:
        return list((await tx.connection.execute(text("SELECT text FROM notes"))).scalars())


def _note(**changes: str) -> dict[str, str]:
    return {"area": "530102", "text": uuid4().hex, **changes}


async def test_a_refused_request_leaves_nothing_behind(notes: Running, civil: dict[str, str]) -> None:
    body = _note(then="refuse")
    answer = await notes.http.post("/v1/notes", json=body, headers=civil)
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "written and then refused"
    assert body["text"] not in await _texts(notes)


async def test_the_same_key_and_body_get_the_first_answer_again(notes: Running, civil: dict[str, str]) -> None:
    body, headers = _note(), {**civil, "Idempotency-Key": "k-1"}
    first = await notes.http.post("/v1/notes", json=body, headers=headers)
    second = await notes.http.post("/v1/notes", json=body, headers=headers)
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert (await _texts(notes)).count(body["text"]) == 1


async def test_the_same_key_with_another_body_is_refused(notes: Running, civil: dict[str, str]) -> None:
    headers = {**civil, "Idempotency-Key": "k-2"}
    assert (await notes.http.post("/v1/notes", json=_note(), headers=headers)).status_code == 201
    assert (await notes.http.post("/v1/notes", json=_note(), headers=headers)).status_code == 409


async def test_the_same_key_of_another_person_is_another_key(
    notes: Running, civil: dict[str, str], issuer: Issuer
) -> None:
    headers = {**civil, "Idempotency-Key": "k-3"}
    other = {**issuer.bearer("civil_affairs", "530102", sub="somebody else"), "Idempotency-Key": "k-3"}
    one = await notes.http.post("/v1/notes", json=_note(), headers=headers)
    two = await notes.http.post("/v1/notes", json=_note(), headers=other)
    assert one.json() != two.json()


async def test_a_refusal_is_not_kept_under_its_key(notes: Running, civil: dict[str, str]) -> None:
    headers = {**civil, "Idempotency-Key": "k-4"}
    assert (await notes.http.post("/v1/notes", json=_note(then="refuse"), headers=headers)).status_code == 409
    assert (await notes.http.post("/v1/notes", json=_note(), headers=headers)).status_code == 201


async def test_a_concurrent_twin_waits_then_is_told_to_come_again(notes: Running, civil: dict[str, str]) -> None:
    body, headers = _note(then="slow"), {**civil, "Idempotency-Key": "k-5"}
    first = asyncio.create_task(notes.http.post("/v1/notes", json=body, headers=headers))
    await asyncio.sleep(0.2)
    twin = await notes.http.post("/v1/notes", json=body, headers=headers)
    assert twin.status_code == 409
    assert twin.headers["retry-after"] == "1"
    assert (await first).status_code == 201
    again = await notes.http.post("/v1/notes", json=body, headers=headers)
    assert again.json() == (await first).json()
    assert (await _texts(notes)).count(body["text"]) == 1


async def test_what_was_foreseen_is_written_without_a_look_and_what_was_not_after_one(
    notes: Running, civil: dict[str, str]
) -> None:
    body = _note()
    first = await notes.http.post("/v1/new-notes", json=body, headers=civil)
    assert (first.status_code, first.json()) == (201, {"foreseen": True})
    again = await notes.http.post("/v1/new-notes", json=body, headers=civil)
    assert (again.status_code, again.json()["detail"]) == (409, "there is one")
    read = await notes.http.post("/v1/new-notes", json=_note(then="read"), headers=civil)
    assert (read.status_code, read.json()) == (201, {"foreseen": False})
    assert (await _texts(notes)).count(body["text"]) == 1


async def test_what_was_told_to_be_otherwise_is_foreseen_once_more(notes: Running, civil: dict[str, str]) -> None:
    body = _note(then="repeat")
    headers = {**civil, "Idempotency-Key": "k-8"}
    for keyed in (civil, headers, headers):
        answer = await notes.http.post("/v1/new-notes", json=body, headers=keyed)
        assert (answer.status_code, answer.json()) == (201, {"foreseen": True})
    assert (await _texts(notes)).count(body["text"]) == 2


async def test_of_two_that_foresee_the_same_one_is_written(notes: Running, civil: dict[str, str]) -> None:
    body = _note()
    answers = await asyncio.gather(*(notes.http.post("/v1/new-notes", json=body, headers=civil) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert (await _texts(notes)).count(body["text"]) == 1


async def test_twins_that_foresee_get_one_answer(notes: Running, civil: dict[str, str]) -> None:
    body, headers = _note(), {**civil, "Idempotency-Key": "k-6"}
    answers = await asyncio.gather(*(notes.http.post("/v1/new-notes", json=body, headers=headers) for _ in range(8)))
    assert [(answer.status_code, answer.json()) for answer in answers] == [(201, {"foreseen": True})] * 8
    assert sum("idempotent-replay" not in answer.headers for answer in answers) == 1
    assert (await _texts(notes)).count(body["text"]) == 1
    other = await notes.http.post("/v1/new-notes", json=_note(), headers=headers)
    assert other.status_code == 409, "another body under the same key"


async def test_who_foresees_waits_for_a_twin_at_work_then_is_told_to_come_again(notes: Running, issuer: Issuer) -> None:
    headers = {**issuer.bearer("civil_affairs", "530102", sub="hasty"), "Idempotency-Key": "k-7"}
    async with notes.app.state.database.transaction() as tx:
        await tx.fetch("SELECT * FROM first_answer('hasty', '/v1/new-notes', 'k-7', '0')")
        twin = await notes.http.post("/v1/new-notes", json=_note(), headers=headers)
        assert (twin.status_code, twin.headers["retry-after"]) == (409, "1")
    assert (await notes.http.post("/v1/new-notes", json=_note(), headers=headers)).status_code == 201


async def test_without_a_token_or_with_a_bad_one_it_is_401(notes: Running) -> None:
    stranger, _ = new_key_pair()
    forged = issue_token(stranger, role="civil_affairs", area="530102")
    expired = issue_token(stranger, role="civil_affairs", area="530102", hours=-1)
    for headers in (
        {},
        {"Authorization": "Basic x"},
        *({"Authorization": f"Bearer {t}"} for t in (forged, expired, "x")),
    ):
        answer = await notes.http.post("/v1/notes", json=_note(), headers=headers)
        assert answer.status_code == 401, headers
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_wrong_role_or_an_area_outside_one_s_own_is_403(notes: Running, issuer: Issuer) -> None:
    wrong_role = await notes.http.post("/v1/notes", json=_note(), headers=issuer.bearer("finance", "530102"))
    wrong_area = await notes.http.post("/v1/notes", json=_note(), headers=issuer.bearer("civil_affairs", "530103"))
    asked_for = await notes.http.get("/v1/notes?area=530103", headers=issuer.bearer("auditor", "530102"))
    assert [wrong_role.status_code, wrong_area.status_code, asked_for.status_code] == [403, 403, 403]


async def test_a_list_shows_only_one_s_own_area_and_pages_through_all_of_it(notes: Running, issuer: Issuer) -> None:
    for number in range(5):
        body = _note(area="5303", text=f"5303 {number}")
        await notes.http.post("/v1/notes", json=body, headers=issuer.bearer("civil_affairs", "53"))
    seen, cursor = [], ""
    while True:
        answer = await notes.http.get(f"/v1/notes?limit=2{cursor}", headers=issuer.bearer("auditor", "5303"))
        seen += [item["text"] for item in answer.json()["items"]]
        if answer.json()["next_cursor"] is None:
            break
        cursor = f"&cursor={answer.json()['next_cursor']}"
    assert seen == [f"5303 {number}" for number in range(5)]


async def test_a_cursor_that_no_list_gave_is_refused(notes: Running, civil: dict[str, str]) -> None:
    for made_up in ('["x"]', '["1", "2"]', "[1]", "[null]", "{}", '["\\u0000"]', f'["{2**63}"]', "[" * 300):
        cursor = base64.urlsafe_b64encode(made_up.encode()).decode()
        answer = await notes.http.get("/v1/notes", params={"cursor": cursor}, headers=civil)
        assert answer.status_code == 422, made_up
        assert [error["path"] for error in answer.json()["errors"]] == ["query.cursor"]


async def test_broken_json_and_wrong_fields_are_named(notes: Running, civil: dict[str, str]) -> None:
    headers = {**civil, "content-type": "application/json"}
    broken = await notes.http.post("/v1/notes", content=b'{"area": ', headers=headers)
    assert broken.status_code == 400
    wrong = await notes.http.post("/v1/notes", json={"area": 5, "extra": 1}, headers=civil)
    assert wrong.status_code == 422
    assert {error["path"]: error["message"] for error in wrong.json()["errors"]} == {
        "area": "应为文字 (Input should be a valid string)",
        "text": "此项必填 (Field required)",
        "extra": "没有这一项 (Extra inputs are not permitted)",
    }
    cursor = await notes.http.get("/v1/notes?cursor=nonsense", headers=civil)
    assert cursor.json()["errors"][0]["path"] == "query.cursor"


async def test_what_no_text_can_hold_is_refused_where_it_stands(notes: Running, civil: dict[str, str]) -> None:
    civil["content-type"] = "application/json"
    for odd in ("\\u0000", "\\ud800", "\\udc00\\ud840"):
        body = f'{{"area": "530102", "text": "a{odd}", "more": [{{"b{odd}": 1}}]}}'
        answer = await notes.http.post("/v1/notes", content=body, headers=civil)
        assert answer.status_code == 422
        assert sorted(error["path"] for error in answer.json()["errors"]) == ["more.0", "text"]
    assert (await notes.http.get("/v1/notes?area=%00", headers=civil)).status_code == 422
    whole = await notes.http.post("/v1/notes", content=r'{"area": "530102", "text": "\ud842\udfb7"}', headers=civil)
    assert whole.status_code == 201
    assert "𠮷" in await _texts(notes)


@pytest.mark.parametrize("as_of", ["0001-01-01", "2015-12-31", "2200-01-01", "9999-12-31"])
async def test_a_daily_run_of_a_day_that_no_calendar_of_ours_has_is_refused(
    notes: Running, issuer: Issuer, as_of: str
) -> None:
    admin = issuer.bearer("admin", "53")
    answer = await notes.http.post("/v1/daily-runs", json={"as_of": as_of}, headers=admin)
    assert answer.status_code == 422
    assert [error["path"] for error in answer.json()["errors"]] == ["as_of"]


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_of_10_megabytes_is_refused(notes: Running, civil: dict[str, str], declared: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(160):
            yield b" " * 65536

    content: Any = b" " * (10 << 20) if declared else chunks()
    answer = await notes.http.post("/v1/notes", content=content, headers=civil)
    assert answer.status_code == 413
    assert answer.json()["title"] == "The body is larger than this endpoint takes."
    assert answer.json()["detail"].startswith("请求内容不超过 1048576 字节，没有保存任何内容")


async def test_a_crash_is_500_without_its_inside(notes: Running, civil: dict[str, str]) -> None:
    transport = httpx.ASGITransport(app=notes.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
        answer = await http.post("/v1/notes", json=_note(then="crash"), headers=civil)
    assert answer.status_code == 500
    assert "ZeroDivision" not in answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_health_readiness_metrics_and_openapi_need_no_token(notes: Running) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
        assert (await notes.http.get(path)).status_code == 200
    assert (await notes.http.get("/openapi.json")).json()["openapi"].startswith("3.1")
    assert (await notes.http.get("/nowhere")).status_code == 404


async def test_the_audit_log_and_the_dead_letters_are_paged_newest_first(notes: Running, issuer: Issuer) -> None:
    admin = issuer.bearer("admin", "53")
    await _execute(
        notes,
        'INSERT INTO dead_letters (projection, topic, partition, "offset", body, reason)'
        " SELECT 'p', 't', 0, n, '', 'because ' || n FROM generate_series(1, 3) AS n",
    )
    for day in (1, 2, 3):
        body = {"as_of": f"2026-10-0{day}"}
        assert (await notes.http.post("/v1/daily-runs", json=body, headers=admin)).status_code == 201
    for path, field, newest in (
        ("/v1/dead-letters", "reason", ["because 3", "because 2", "because 1"]),
        ("/v1/audit-log", "object", ["2026-10-03", "2026-10-02", "2026-10-01"]),
    ):
        found, cursor = [], None
        while len(found) < 3:
            page = (await notes.http.get(path, params={"limit": 2, "cursor": cursor or ""}, headers=admin)).json()
            found += [item[field] for item in page["items"]]
            cursor = page["next_cursor"]
        assert found[:3] == newest
        assert (await notes.http.get(path, params={"limit": 501}, headers=admin)).status_code == 422
    entry = (await notes.http.get("/v1/audit-log", headers=admin)).json()["items"][0]
    assert isinstance(entry["detail"]["done"], dict)


async def test_the_audit_log_can_only_grow(notes: Running, issuer: Issuer) -> None:
    admin = issuer.bearer("admin", "53")
    assert (await notes.http.post("/v1/daily-runs", json={"as_of": "2026-11-01"}, headers=admin)).status_code == 201
    entries = (await notes.http.get("/v1/audit-log", headers=admin)).json()["items"]
    assert entries[0]["action"] == "run daily"
    for statement in ("UPDATE audit_log SET sub = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log"):
        with pytest.raises(Exception, match="append-only"):
            await _execute(notes, statement)


async def _execute(notes: Running, statement: str) -> None:
    async with notes.app.state.database.transaction() as tx:
        await tx.connection.execute(text(statement))


async def test_an_invariant_names_what_breaks_it(notes: Running, issuer: Issuer, civil: dict[str, str]) -> None:
    admin = issuer.bearer("admin", "53")
    assert (await notes.http.get("/v1/invariants", headers=admin)).json()["holds"] is True
    await notes.http.post("/v1/notes", json=_note(text=""), headers=civil)
    answer = (await notes.http.get("/v1/invariants", headers=admin)).json()
    assert answer["holds"] is False
    assert len(answer["invariants"][0]["broken_by"]) == 1
    daily = await notes.http.post("/v1/daily-runs", json={"as_of": "2026-11-02"}, headers=admin)
    assert daily.json()["done"]["broken invariants"] == 1
    measured = (await notes.http.get("/metrics")).text
    assert 'liangbu_invariant_broken_rows{name="no empty note",service="matching"} 1.0' in measured
    ran = (await notes.http.get("/v1/status", headers=admin)).json()["daily_runs"]
    assert {"broken invariants": "2026-11-02"}.items() <= {item["task"]: item["as_of"] for item in ran}.items()


@pytest.mark.parametrize(("given", "kept"), [("abc-1", True), ("x" * 65, False), ("a\tb", False)])
async def test_a_request_id_of_the_caller_comes_back_only_if_harmless(notes: Running, given: str, kept: bool) -> None:
    answer = await notes.http.get("/healthz", headers={"x-request-id": given})
    assert (answer.headers["x-request-id"] == given) is kept
