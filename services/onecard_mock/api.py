"""The bank's REST side. Batches and statements take client credentials (HTTP Basic, RFC 7617); the test endpoints,
which show and spoil what it does, take none: this bank is for tests and demonstrations."""

from __future__ import annotations

import asyncio
import secrets
from datetime import datetime
from random import Random
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response, status
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from libs.common.clock import utc_now
from services.onecard_mock.books import Appropriation, BalanceShort, Batch, BatchChanged, Books, PaymentChanged
from services.onecard_mock.outcomes import AnswerFaults, Faults

_SILENCE_S = 60.0
_PAGE = 1000
_DICE = Random()  # noqa: S311 (faults, not secrets)

_basic = HTTPBasic()


def books_of(request: Request) -> Books:
    books: Books = request.app.state.books
    return books


BooksOf = Annotated[Books, Depends(books_of)]


def require_client(request: Request, given: Annotated[HTTPBasicCredentials, Depends(_basic)]) -> None:
    expected = f"{request.app.state.client_id}:{request.app.state.client_secret}"
    if not secrets.compare_digest(f"{given.username}:{given.password}".encode(), expected.encode()):
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, headers={"WWW-Authenticate": "Basic"})


async def suffer(faults: AnswerFaults) -> None:
    """Answers late, or not at all, when told to."""
    await asyncio.sleep(faults.latency_ms / 1000)
    if _DICE.random() < faults.http_500_rate:
        raise HTTPException(status.HTTP_500_INTERNAL_SERVER_ERROR)


async def suffer_faults(books: BooksOf) -> Faults:
    faults = await books.faults()
    await suffer(faults)
    return faults


FaultsSuffered = Annotated[Faults, Depends(suffer_faults)]

bank_side = APIRouter(prefix="/v1", dependencies=[Depends(require_client)])
test_side = APIRouter(prefix="/v1", tags=["test endpoints"])


@bank_side.post("/batches", status_code=status.HTTP_202_ACCEPTED)
async def accept_batch(batch: Batch, books: BooksOf, faults: FaultsSuffered, request: Request) -> dict[str, Any]:
    """Accepts a batch. The same batch, or a payment known from any batch, again: nothing more happens. Once a
    department transferred money here, it is paid for out of that alone."""
    try:
        duplicates = await books.accept(batch, utc_now())
    except BatchChanged:
        raise HTTPException(status.HTTP_409_CONFLICT, "batch_id was used with another content") from None
    except PaymentChanged:
        raise HTTPException(status.HTTP_409_CONFLICT, "a payment_id was used with another account or amount") from None
    except BalanceShort:
        raise HTTPException(status.HTTP_409_CONFLICT, "the department's account does not hold as much") from None
    request.app.state.wake.set()
    if _DICE.random() < faults.timeout_after_accept_rate:
        await stay_silent(request)
    return {"batch_id": batch.batch_id, "accepted": len(batch.items) - len(duplicates), "duplicates": duplicates}


async def stay_silent(request: Request) -> None:
    """Until the caller gives up."""
    for _ in range(int(_SILENCE_S / 0.1)):
        if await request.is_disconnected() or request.app.state.stopping.is_set():
            return
        await asyncio.sleep(0.1)


@bank_side.get("/batches/{batch_id}/statement", dependencies=[Depends(suffer_faults)])
async def read_statement(batch_id: str, books: BooksOf) -> dict[str, Any]:
    """What became of each payment of a batch: accepted, settled, failed or returned."""
    statement = await books.statement(batch_id)
    if statement is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "no such batch")
    return statement


@bank_side.get("/statement", dependencies=[Depends(suffer_faults)])
async def read_whole_statement(books: BooksOf, since: str = "", cursor: str = "") -> dict[str, Any]:
    """Everything accepted since a moment (ISO 8601, else ever), oldest first, by pages: for those who lost their
    books."""
    items = await books.accepted_since(datetime.fromisoformat(since) if since else None, cursor or None, _PAGE)
    return {"items": items, "next_cursor": items[-1]["payment_id"] if len(items) == _PAGE else None}


@test_side.get("/transfers")
async def list_transfers(books: BooksOf, status: str | None = None, payment_id: str | None = None) -> dict[str, Any]:
    """Every transfer, oldest first, with its status."""
    return {"items": await books.transfers(status=status, payment_id=payment_id), "next_cursor": None}


@test_side.post("/appropriations", status_code=status.HTTP_201_CREATED)
async def receive_appropriation(given: Appropriation, books: BooksOf) -> list[dict[str, Any]]:
    """A department's transfer to its account here (拨款), once by its document; what the accounts hold then."""
    await books.appropriate(given, utc_now())
    return await books.accounts()


@test_side.get("/accounts")
async def list_accounts(books: BooksOf) -> dict[str, Any]:
    """Of each department that ever transferred money: appropriated, paid (or accepted to be), and the balance."""
    return {"items": await books.accounts(), "next_cursor": None}


@test_side.get("/sms")
async def list_sms(books: BooksOf, payment_id: str | None = None) -> dict[str, Any]:
    """Every SMS sent, oldest first."""
    return {"items": await books.sms(payment_id=payment_id), "next_cursor": None}


@test_side.get("/faults")
async def read_faults(books: BooksOf) -> Faults:
    return await books.faults()


@test_side.post("/faults")
async def set_faults(faults: Faults, books: BooksOf) -> Faults:
    """These faults from now on, and no others."""
    await books.set_faults(faults)
    return faults


@test_side.delete("/faults", status_code=status.HTTP_204_NO_CONTENT)
async def clear_faults(books: BooksOf) -> Response:
    await books.set_faults(Faults())
    return Response(status_code=status.HTTP_204_NO_CONTENT)
