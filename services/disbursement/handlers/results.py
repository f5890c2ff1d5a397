"""What the bank says of a payment, by webhook or statement, in any order and however often (notice 4.1, 4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text

from libs.common.database import Transaction
from libs.common.events.disbursement import PaymentFailed, PaymentReturned, PaymentSettled
from libs.common.period import Period
from libs.common.vocabulary import SUBSIDY_NAMES, ReturnCode
from services.disbursement import ledger
from services.disbursement.handlers.books import book
from services.disbursement.handlers.cases import open_case
from services.disbursement.handlers.locks import lock_submission
from services.disbursement.handlers.offsets import apply_offset, confirm_offset, reverse_offset
from services.disbursement.handlers.overpayments import may_be_overpaid, review_overpayments
from services.disbursement.ledger import Book
from services.disbursement.payments import Result, Ruling, rule
from services.disbursement.sms import Announcement, missing_items

_ENTRIES = {
    "settle": ledger.settle,
    "settle_after_failure": ledger.settle_after_failure,
    "fail": ledger.fail,
    "take_back": ledger.take_back,
}
_EVENTS = {"settled": PaymentSettled, "failed": PaymentFailed, "returned": PaymentReturned}


@dataclass(frozen=True, slots=True)
class BankResult:
    """One result of one payment. `on`: settled, failed or returned on. `code` says why it is not settled."""

    payment_id: UUID
    result: Result
    on: date
    bank_ref: str | None = None
    code: ReturnCode | None = None


async def record_result(tx: Transaction, told: BankResult) -> bool:
    """Takes a result in: status, ledger, events, recoveries, cases. False for a payment that nobody here knows."""
    payment = await _load(tx, told.payment_id)
    if payment is None:
        return False
    await tx.lock(payment["person_id"])
    payment = await _load(tx, told.payment_id)
    assert payment is not None
    ruling = rule(payment["status"], told.result)
    contradiction = ruling.contradiction or _other_reference(payment, told)
    if contradiction:
        await _open_contradiction(tx, payment, told, contradiction)
    if contradiction == "result_before_sending":
        await lock_submission(tx, because=f"the bank knows {told.payment_id}, which was never sent", by="bank result")
    if ruling.bookings:
        if ruling.status == "settled":
            payment |= await confirm_offset(tx, payment, on=told.on)
        await _save(tx, payment, told, ruling)
        budget = Book(payment["book_area"], payment["subsidy"], payment["book_year"])
        entries = [
            _ENTRIES[name](budget, str(told.payment_id), payment["amount_fen"], on=told.on) for name in ruling.bookings
        ]
        await book(tx, entries)
        await _book_offset(tx, payment, ruling, on=told.on)
        if ruling.status in ("failed", "returned"):
            await _block_account(tx, payment, told)
        if await may_be_overpaid(tx, payment["person_id"], payment["subsidy"], Period.of(payment["period"])):
            await review_overpayments(tx, [(payment["person_id"], payment["subsidy"])], on=told.on)
        await check_sms(tx, told.payment_id)
    elif ruling.status == "returned" and told.result == "settled":
        await _note_late_settlement(tx, payment, told)
    return True


async def _book_offset(tx: Transaction, payment: dict[str, Any], ruling: Ruling, *, on: date) -> None:
    """What was set off counts as repaid once the rest is paid, and no more once the bank returned it."""
    if payment["offset_fen"] and ruling.status == "settled":
        await apply_offset(tx, payment, on=on)
    elif payment["status"] == "settled" and ruling.status == "returned":
        await reverse_offset(tx, payment, on=on)


async def _load(tx: Transaction, payment_id: UUID) -> dict[str, Any] | None:
    row = (
        (await tx.connection.execute(text("SELECT * FROM payments WHERE payment_id = :id"), {"id": payment_id}))
        .mappings()
        .one_or_none()
    )
    return dict(row) if row else None


def _other_reference(payment: dict[str, Any], told: BankResult) -> str | None:
    """Settled twice under two references would be paid twice."""
    known = payment["bank_ref"]
    both = told.result == "settled" and known is not None and told.bank_ref is not None
    return "settled_twice" if both and known != told.bank_ref else None


async def _save(tx: Transaction, payment: dict[str, Any], told: BankResult, ruling: Ruling) -> None:
    version = payment["version"] + 1
    await tx.connection.execute(
        text(
            "UPDATE payments SET status = :status, version = :version, bank_ref = coalesce(:bank_ref, bank_ref),"
            " code = :code, settled_on = coalesce(:settled_on, settled_on),"
            " failed_on = coalesce(:failed_on, failed_on), returned_on = :returned_on"
            " WHERE payment_id = :id AND period = :period"
        ),
        {
            "id": told.payment_id,
            "period": payment["period"],
            "status": ruling.status,
            "version": version,
            "bank_ref": told.bank_ref,
            "code": told.code,
            "settled_on": told.on if told.result == "settled" else None,
            "failed_on": told.on if told.result == "failed" else None,
            "returned_on": told.on if told.result == "returned" else None,
        },
    )
    tx.publish(
        _EVENTS[ruling.status](
            person_id=payment["person_id"],
            version=version,
            payment_id=told.payment_id,
            subsidy=payment["subsidy"],
            period=Period.of(payment["period"]),
            amount_fen=payment["amount_fen"],
            offset_fen=payment["offset_fen"],
            area=payment["area"],
            status=ruling.status,
            on=told.on,
            code=told.code,
        )
    )


async def _note_late_settlement(tx: Transaction, payment: dict[str, Any], told: BankResult) -> None:
    """The settlement of what was returned meanwhile: only its day and reference are news."""
    await tx.connection.execute(
        text(
            "UPDATE payments SET settled_on = :on, bank_ref = coalesce(bank_ref, :bank_ref)"
            " WHERE payment_id = :id AND period = :period"
        ),
        {"id": told.payment_id, "period": payment["period"], "on": told.on, "bank_ref": told.bank_ref},
    )


async def _block_account(tx: Transaction, payment: dict[str, Any], told: BankResult) -> None:
    """Nothing more is sent to that account until there is a newer version of it; the entitlement stands."""
    await tx.connection.execute(
        text(
            "UPDATE payees SET failed_version = :payee_version, failed_code = :code"
            " WHERE person_id = :person_id AND coalesce(failed_version, 0) <= :payee_version"
            " AND version >= :payee_version"
        ),
        {"person_id": payment["person_id"], "payee_version": payment["payee_version"], "code": told.code},
    )
    await tx.connection.execute(
        text("UPDATE heirs SET failed_version = version WHERE person_id = :person_id AND version = :payee_version"),
        {"person_id": payment["person_id"], "payee_version": payment["payee_version"]},
    )


async def _open_contradiction(tx: Transaction, payment: dict[str, Any], told: BankResult, contradiction: str) -> None:
    await open_case(
        tx,
        "contradictory_result",
        f"{told.payment_id}/{contradiction}",
        area=payment["area"],
        period=Period.of(payment["period"]),
        person_id=payment["person_id"],
        payment_id=told.payment_id,
        cycle_id=payment["cycle_id"],
        contradiction=contradiction,
        told=told.result,
        told_on=told.on,
        bank_ref=told.bank_ref,
    )


async def note_unknown_payment(tx: Transaction, payment_id: str, event_type: str) -> None:
    """The bank speaks of a payment that is not ours."""
    await open_case(tx, "unknown_payment", payment_id, area="", told=event_type)


async def note_sms(tx: Transaction, payment_id: UUID, *, content: str, sent_at: datetime) -> bool:
    """Keeps the newest SMS of a payment and checks it. False for a payment that nobody here knows."""
    payment = await _load(tx, payment_id)
    if payment is None:
        return False
    await tx.lock(payment["person_id"])
    await tx.connection.execute(
        text(
            "INSERT INTO sms_receipts (payment_id, text, sent_at) VALUES (:id, :content, :sent_at)"
            " ON CONFLICT (payment_id) DO UPDATE SET text = excluded.text, sent_at = excluded.sent_at, missing = NULL"
            " WHERE sms_receipts.sent_at < excluded.sent_at"
        ),
        {"id": payment_id, "content": content, "sent_at": sent_at},
    )
    await check_sms(tx, payment_id)
    return True


async def check_sms(tx: Transaction, payment_id: UUID) -> Literal["nothing to check", "right", "wrong"]:
    """Checks the five items once both the SMS and the settlement are here; what is missing is a case (notice 4.3)."""
    row = (
        await tx.connection.execute(
            text(
                "SELECT s.text, p.subsidy, p.amount_fen - p.offset_fen AS amount_fen,"
                " p.settled_on, p.period, p.area, p.person_id, p.cycle_id,"
                " b.department FROM sms_receipts s JOIN payments p USING (payment_id) JOIN batches b USING (batch_id)"
                " WHERE s.payment_id = :id AND s.missing IS NULL AND p.settled_on IS NOT NULL"
            ),
            {"id": payment_id},
        )
    ).one_or_none()
    if row is None:
        return "nothing to check"
    due = Announcement(
        SUBSIDY_NAMES[row.subsidy], row.amount_fen, row.settled_on, row.department, Period.of(row.period)
    )
    missing = missing_items(row.text, due)
    await tx.connection.execute(
        text(
            "UPDATE sms_receipts SET missing = :missing, text = CASE WHEN cardinality(CAST(:missing AS text[])) > 0"
            " THEN text END WHERE payment_id = :id"
        ),
        {"id": payment_id, "missing": list(missing)},
    )
    if not missing:
        return "right"
    await open_case(
        tx,
        "sms_incomplete",
        str(payment_id),
        area=row.area,
        period=Period.of(row.period),
        person_id=row.person_id,
        payment_id=payment_id,
        cycle_id=row.cycle_id,
        missing=missing,
        amount_fen=row.amount_fen,
    )
    return "wrong"
