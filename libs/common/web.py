"""The HTTP edge: one request is one transaction, committed here and nowhere else.

`TransactionalRoute` opens it, gives it to the handler as `Tx`, stores the idempotent answer in it, commits, and only
then lets the response go. A deadlock or a lost serialisation is tried again: nothing had taken effect.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from datetime import date, datetime
from typing import Annotated, Any, get_type_hints
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from sqlalchemy import BigInteger, ColumnElement, Select, literal, tuple_
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.common.auth import authenticate
from libs.common.database import Database, Transaction, Unforeseen, is_transient, new_id
from libs.common.errors import BodyTooLarge, DomainError, InvalidInput, MalformedBody, NotFound, Unavailable
from libs.common.idempotency import HEADER as IDEMPOTENCY_HEADER
from libs.common.idempotency import IdempotentCall, twin_told
from libs.common.mistakes import mistakes, path_of
from libs.common.telemetry import REQUESTS

log = structlog.get_logger(__name__)

PROBLEM = "application/problem+json"
PROBLEM_TYPE = "https://liangbu.org/problems/"
_TRIES = 3


class TransactionalRoute(APIRoute):
    """A route whose handler runs in one transaction of the service's database."""

    foresees = False

    def answering(self) -> Callable[[Request], Awaitable[Response]]:
        """Runs the handler once, by what `request.state` holds."""
        return super().get_route_handler()

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = self.answering()

        async def handle(request: Request) -> Response:
            authenticate(request)
            body = await request.body()  # before a connection is taken: a slow sender must not hold one
            _refuse_what_no_text_holds(request, body)
            if self.foresees:
                done = await _foreseen(request, self.path_format, answer)
                if done is not None:
                    return done
            for attempt in range(1, _TRIES + 1):
                try:
                    return await _in_transaction(request, self.path_format, answer)
                except Exception as error:
                    if isinstance(error, DomainError) or not is_transient(error):
                        raise
                    if attempt == _TRIES:
                        raise Unavailable("the database is not reachable or busy; try again") from error
            raise AssertionError("unreachable")

        return handle


class ForeseeingRoute(TransactionalRoute):
    """A route whose handler knows in most cases without reading what it will write: tried first, in one round trip, and
    where the database tells what it has instead, once more by that.

    Only what succeeds ends there. A refusal, a key that was used before, something that changes meanwhile: the handler
    runs again in a transaction that reads, and that says how it is.

    Such a handler takes the body, a model, and the request, and answers with a model. Both are read and written without
    FastAPI's way over Python's values and its dependencies, which takes a tenth of the process's time.
    """

    foresees = True

    def answering(self) -> Callable[[Request], Awaitable[Response]]:
        handler = self.endpoint
        body, request, *more = get_type_hints(handler).values()
        if request is not Request or len(more) != 1 or self.dependencies:
            raise TypeError(f"{self.path}: a handler that foresees takes a body and the request")

        async def answer(request: Request) -> Response:
            try:
                given = body.model_validate_json(await request.body())
            except ValidationError as error:
                found = [{**problem, "loc": ("body", *problem["loc"])} for problem in error.errors(include_url=False)]
                raise RequestValidationError(found) from error
            said: BaseModel = await handler(given, request)
            return Response(said.model_dump_json(by_alias=True), self.status_code or 200, media_type="application/json")

        return answer


async def _foreseen(request: Request, route: str, answer: Callable[[Request], Awaitable[Response]]) -> Response | None:
    """The answer, if it was as the handler had foreseen. Else None, and nothing was written."""
    database: Database = request.app.state.database
    call = await _idempotent_call(request, route)
    found: Any = None
    with twin_told():
        for _ in range(2):
            try:
                async with database.foreseen(traceparent=request.headers.get("traceparent"), found=found) as tx:
                    request.state.tx = tx
                    if call is not None:
                        tx.provided("key_in_use", call.sub, call.route, call.key)
                    response = await answer(request)
                    if call is not None:
                        call.remember(tx, response)
                return response
            except Unforeseen as otherwise:
                found = otherwise.found
                if not found:
                    return None
            except DomainError:
                return None
            except Exception as error:
                if not is_transient(error):
                    raise
                return None
    return None


_MAY_ESCAPE_NO_TEXT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


def _refuse_what_no_text_holds(request: Request, body: bytes) -> None:
    """U+0000 and halves of characters can be written in URLs and JSON, and stored nowhere."""
    if "\0" in request.scope["path"]:
        raise NotFound("no such path")
    if b"%00" in request.scope["query_string"]:
        raise InvalidInput.at("query", "含有空字符 (holds U+0000)")
    if not _MAY_ESCAPE_NO_TEXT.search(body):
        return
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return  # it is refused where it is read
    if wrong := [
        {"path": path, "message": "含有无法识别的字符 (holds what is no character)"} for path in _no_texts(value)
    ]:
        raise InvalidInput("see errors", errors=wrong)


def _no_texts(value: Any) -> Iterator[str]:
    """The paths of texts in a JSON value that are none; of a name that is none, the path of what has it."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [(("body",), value)]
    while waiting:
        place, inner = waiting.pop()
        if isinstance(inner, str) and _NO_TEXT.search(inner):
            yield path_of(place) or "body"
        elif isinstance(inner, dict):
            if any(_NO_TEXT.search(name) for name in inner):
                yield path_of(place) or "body"
            waiting += [((*place, name), part) for name, part in inner.items() if not _NO_TEXT.search(name)]
        elif isinstance(inner, list):
            waiting += [((*place, number), part) for number, part in enumerate(inner)]


async def _in_transaction(request: Request, route: str, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    database: Database = request.app.state.database
    traceparent = request.headers.get("traceparent")
    call = await _idempotent_call(request, route)
    if call is None:
        async with database.transaction(traceparent=traceparent) as tx:
            request.state.tx = tx
            return await answer(request)
    opening = call.opening(wait_s=request.app.state.settings.idempotency_wait_s)
    with twin_told():
        async with database.transaction(traceparent=traceparent, opening=opening) as tx:
            stored = call.answer_in(tx.opened)
            if stored is not None:
                return stored
            request.state.tx = tx
            response = await answer(request)
            call.remember(tx, response)
            return response


async def _idempotent_call(request: Request, route: str) -> IdempotentCall | None:
    key = request.headers.get(IDEMPOTENCY_HEADER)
    principal = getattr(request.state, "principal", None)
    if key is None or principal is None or request.method != "POST":
        return None
    # The path's own parameters belong to the request as much as its body does.
    scope = request.scope
    content = scope["path"].encode() + b"\0" + scope["query_string"] + b"\0" + await request.body()
    return IdempotentCall.of(principal.sub, route, key, content)


async def _current_transaction(request: Request) -> Transaction:
    tx: Transaction = request.state.tx
    return tx


Tx = Annotated[Transaction, Depends(_current_transaction)]


def router(*, route_class: type[TransactionalRoute] = TransactionalRoute, **options: Any) -> APIRouter:
    """An APIRouter whose routes are transactional."""
    return APIRouter(route_class=route_class, **options)


class BodyLimit:
    """Refuses bodies over `limit` bytes before they are read; `larger` maps path prefixes to limits of their own."""

    def __init__(self, app: ASGIApp, limit: int, larger: dict[str, int]) -> None:
        self._app = app
        self._limit = limit
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = next((size for path, size in self._larger.items() if scope["path"].startswith(path)), self._limit)
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if declared.isdigit() and int(declared) > limit:
            await problem(_too_large(limit))(scope, receive, send)
            return
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                raise _too_large(limit)
            return message

        await self._app(scope, limited, send)


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"请求内容不超过 {limit} 字节，没有保存任何内容 (at most {limit} bytes; nothing was kept)")


class RequestLog:
    """Gives each request an id, logs its end with the route's pattern (never the path's values) and measures it."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
        request_id = given if 0 < len(given) <= 64 and given.isascii() and given.isprintable() else str(new_id())
        structlog.contextvars.bind_contextvars(service=self._service, request_id=request_id)
        started, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            took_s = time.perf_counter() - started
            REQUESTS.labels(self._service, scope["method"], route, status).observe(took_s)
            if route not in ("/healthz", "/readyz", "/metrics"):
                log.info("request", method=scope["method"], route=route, status=status, took_ms=round(took_s * 1000, 1))


def problem(error: DomainError) -> Response:
    """RFC 9457."""
    body: dict[str, Any] = {
        "type": PROBLEM_TYPE + error.type,
        "title": error.title,
        "status": error.status,
        "detail": error.detail or error.title,
        **error.extra,
    }
    if error.errors:
        body["errors"] = error.errors
    return Response(
        json.dumps(body, ensure_ascii=False, default=str), error.status, headers=error.headers, media_type=PROBLEM
    )


def install_problem_handlers(app: FastAPI) -> None:
    @app.exception_handler(DomainError)
    async def refused(request: Request, error: DomainError) -> Response:
        return problem(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        found = error.errors()
        if any(item["type"] == "json_invalid" for item in found):
            return problem(MalformedBody("the body is not valid JSON"))
        return problem(InvalidInput("see errors", errors=mistakes(found)))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        if isinstance(error.__cause__, DomainError):
            return problem(error.__cause__)
        if error.status_code == 404:
            return problem(NotFound("no such path"))
        body = {"type": "about:blank", "title": str(error.detail), "status": error.status_code, "detail": ""}
        return JSONResponse(body, error.status_code, headers=error.headers, media_type=PROBLEM)

    @app.exception_handler(Exception)
    async def crashed(request: Request, error: Exception) -> Response:
        log.error("crashed", error=type(error).__name__, exc_info=error)
        body = {"type": "about:blank", "title": "Internal error", "status": 500, "detail": "see the log by request id"}
        return JSONResponse(body, 500, media_type=PROBLEM)


class Page(BaseModel):
    """One page of a list. `next_cursor` is null at the end."""

    items: list[Any]
    next_cursor: str | None = None


class Paging:
    """The query parameters `limit` and `cursor` of a list, and how they cut a query."""

    def __init__(self, limit: int = Query(100, ge=1, le=500), cursor: str | None = Query(None, max_length=500)) -> None:
        self.limit = limit
        self._after = _decode_cursor(cursor) if cursor else None

    def cut(self, query: Select[Any], *keys: ColumnElement[Any], descending: bool = False) -> Select[Any]:
        """`query` in the order of `keys` (together unique), after the cursor, one row more than the page."""
        if self._after is not None:
            if len(self._after) != len(keys):
                raise InvalidInput.at("query.cursor", "不是本列表的翻页标记 (not a cursor of this list)")
            place = tuple_(*keys)
            try:
                after = tuple_(*(_read_place(key, text) for key, text in zip(keys, self._after, strict=True)))
            except ValueError as error:
                raise InvalidInput.at("query.cursor", "不是本列表的翻页标记 (not a cursor of this list)") from error
            query = query.where(place < after if descending else place > after)
        return query.order_by(*(key.desc() if descending else key for key in keys)).limit(self.limit + 1)

    def page(self, found: Sequence[dict[str, Any]], *key_names: str) -> Page:
        """The page of what `cut` found; `key_names` are the keys' names in the rows."""
        items = list(found[: self.limit])
        cursor = _encode_cursor([items[-1][name] for name in key_names]) if len(found) > self.limit else None
        return Page(items=items, next_cursor=cursor)


def _encode_cursor(values: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps([str(value) for value in values]).encode()).decode()


_READ: dict[type, Callable[[str], Any]] = {
    UUID: UUID,
    int: int,
    date: date.fromisoformat,
    datetime: datetime.fromisoformat,
}


def _read_place(key: ColumnElement[Any], text: str) -> ColumnElement[Any]:
    """A value of a cursor, as the type of its column; ValueError if it is none."""
    value = _READ.get(key.type.python_type, str)(text)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("no bigint")
    return literal(value, BigInteger() if isinstance(value, int) else key.type)


def _decode_cursor(cursor: str) -> list[str]:
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor))
    except (ValueError, RecursionError) as error:
        raise InvalidInput.at("query.cursor", "不是本列表的翻页标记 (not a cursor of this list)") from error
    if not isinstance(values, list) or not all(isinstance(v, str) and not _NO_TEXT.search(v) for v in values):
        raise InvalidInput.at("query.cursor", "不是本列表的翻页标记 (not a cursor of this list)")
    return values
