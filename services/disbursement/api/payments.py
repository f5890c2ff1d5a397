"""Payments, accounts and stories over REST (read only)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Path
from sqlalchemy import select

from libs.common.areas import Area
from libs.common.auth import Official
from libs.common.clock import business_today
from libs.common.database import rows
from libs.common.errors import NotFound
from libs.common.period import Period
from libs.common.vocabulary import PaymentStatus, Subsidy
from libs.common.web import Page, Paging, Tx, router
from services.disbursement.api.periods import MaybePeriod, MaybeThrough, parse_period, written
from services.disbursement.handlers import accounts
from services.disbursement.tables import payments
from services.disbursement.words import code_text

api = router(prefix="/v1", tags=["payments"])

_SHOWN = (
    payments.c.payment_id,
    payments.c.person_id,
    payments.c.subsidy,
    payments.c.period,
    payments.c.attempt,
    payments.c.amount_fen,
    payments.c.status,
    payments.c.area,
    payments.c.cycle_id,
    payments.c.code,
    payments.c.bank_ref,
    payments.c.settled_on,
    payments.c.failed_on,
    payments.c.returned_on,
)


@api.get("/payments")
async def list_payments(
    tx: Tx,
    reader: Official,
    paging: Annotated[Paging, Depends()],
    period: MaybePeriod,
    area: Area | None = None,
    status: PaymentStatus | None = None,
) -> Page:
    """By month, newest first."""
    wanted = select(*_SHOWN).where(reader.within(payments.c.area, area))
    if period is not None:
        wanted = wanted.where(payments.c.period == period)
    if status is not None:
        wanted = wanted.where(payments.c.status == status)
    cut = paging.cut(wanted, payments.c.period, payments.c.payment_id, descending=True)
    return paging.page([_shown(row) for row in rows(await tx.connection.execute(cut))], "period", "payment_id")


@api.get("/persons/{person_id}/payments")
async def list_payments_of_person(
    person_id: str, tx: Tx, reader: Official, paging: Annotated[Paging, Depends()]
) -> Page:
    """By month, newest first."""
    await accounts.require_person(tx, reader, person_id)
    wanted = select(*_SHOWN).where(payments.c.person_id == person_id)
    cut = paging.cut(wanted, payments.c.period, payments.c.payment_id, descending=True)
    return paging.page([_shown(row) for row in rows(await tx.connection.execute(cut))], "period", "payment_id")


@api.get("/persons/{person_id}/account")
async def read_account(
    person_id: str, tx: Tx, reader: Official, through: MaybeThrough
) -> dict[str, list[dict[str, Any]]]:
    """Per month: entitled = paid + in flight + held + owed - overpaid. Up to `through` (this month)."""
    await accounts.require_person(tx, reader, person_id)
    upto = through or Period.of(business_today())
    return {"items": written(await accounts.read_account(tx, person_id, through=upto))}


@api.get("/persons/{person_id}/account/{subsidy}/{period}")
async def read_month(
    person_id: str, subsidy: Subsidy, period: Annotated[str, Path(max_length=7)], tx: Tx, reader: Official
) -> dict[str, Any]:
    """One month of the account with the chain of its causes, oldest first: what was told, decided, paid, booked."""
    await accounts.require_person(tx, reader, person_id)
    month = parse_period(period, "path.period")
    items = await accounts.read_account(tx, person_id, through=month)
    account = next((item for item in items if (item["subsidy"], item["period"]) == (subsidy, month)), None)
    if account is None:
        raise NotFound("nothing was due or paid for that month")
    return {**written(account), "causes": written(await accounts.read_causes(tx, person_id, subsidy, month))}


@api.get("/persons/{person_id}/ledger")
async def read_ledger(person_id: str, tx: Tx, reader: Official) -> dict[str, list[dict[str, Any]]]:
    """The person's own accounts (个人明细账): per book what each holds, in fen, and the postings, newest first. What is
    booked of many at once (committed, in clearing, brought forward) is in the balances alone."""
    await accounts.require_person(tx, reader, person_id)
    return await accounts.read_ledger(tx, person_id)


@api.get("/persons/{person_id}/timeline")
async def read_timeline(person_id: str, tx: Tx, reader: Official) -> Page:
    """What disbursement did about the person, newest first."""
    await accounts.require_person(tx, reader, person_id)
    return Page(items=await accounts.read_timeline(tx, person_id))


def _shown(payment: dict[str, Any]) -> dict[str, Any]:
    """With what the bank's code means and what is to be done."""
    says, remedy = code_text(payment["code"])
    return {**written(payment), "says": says, "remedy": remedy}
