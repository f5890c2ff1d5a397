"""What the bank says of a payment, by webhook or statement, in any order and however often (notice 4.1, 4.3)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import text

from libs.common.database import Transaction, rows
from libs.common.events.disbursement import PaymentFailed, PaymentReturned, PaymentSettled
from libs.common.period import Period
from libs.common.vocabulary import ReturnCode, Subsidy
from services.disbursement import ledger
from services.disbursement.handlers.books import book
from services.disbursement.handlers.cases import open_case
from services.disbursement.handlers.institutions import entrust, reverse_entrusting
from services.disbursement.handlers.locks import lock_submission
from services.disbursement.handlers.offsets import apply_offset, confirm_offset, reverse_offset
from services.disbursement.handlers.overpayments import perhaps_overpaid, review_overpayments
from services.disbursement.handlers.paid_up import forget_paid_up
from services.disbursement.handlers.receipts import check_sms
from services.disbursement.ledger import Book
from services.disbursement.payments import Result, Ruling, rule

_ENTRIES = {
    "settle": ledger.settle,
    "settle_after_failure": ledger.settle_after_failure,
    "fail": ledger.fail,
    "take_back": ledger.take_back,
}
_EVENTS = {"settled": PaymentSettled, "failed": PaymentFailed, "returned": PaymentReturned}


@dataclass(frozen=True, slots=True)
class BankResult:
    """One result of one payment. `on`: settled, failed or returned on. `code` says why it is not settled; `told_by`
    is the webhook or statement that brought it."""

    payment_id: UUID
    result: Result
    on: date
    bank_ref: str | None = None
    code: ReturnCode | None = None
    told_by: str | None = None


async def record_results(tx: Transaction, told: Sequence[BankResult]) -> set[UUID]:
    """Takes results in, all at once: status, ledger, events, recoveries, cases. Several of one payment take effect in
    the order that they are given. The payments that nobody here knows."""
    if not told:
        return set()
    known = await lock_payees(tx, {result.payment_id for result in told})
    waiting = [result for result in told if result.payment_id in known]
    while waiting:
        first: dict[UUID, BankResult] = {}
        later = []
        for result in waiting:
            if first.setdefault(result.payment_id, result) is not result:
                later.append(result)
        await _record_one_of_each(tx, first)
        waiting = later
    return {result.payment_id for result in told} - known


async def lock_payees(tx: Transaction, payment_ids: Collection[UUID]) -> set[UUID]:
    """Locks the persons of these payments, in one order with everybody else; which of the payments are known."""
    await tx.lock(*{payment["person_id"] for payment in (await _load(tx, payment_ids)).values()})
    return set(await _load(tx, payment_ids))


@dataclass(slots=True)
class _Change:
    """A result that does something, and the payment as it was before."""

    told: BankResult
    payment: dict[str, Any]
    ruling: Ruling

    @property
    def book(self) -> Book:
        return Book(self.payment["book_area"], self.payment["subsidy"], self.payment["book_year"])

    @property
    def month(self) -> tuple[str, Subsidy, date]:
        return self.payment["person_id"], self.payment["subsidy"], self.payment["period"]

    @property
    def entries(self) -> list[ledger.Entry]:
        amount_fen, cause_id = self.payment["amount_fen"], str(self.told.payment_id)
        entries = [
            _ENTRIES[name](self.book, cause_id, amount_fen, person_id=self.payment["person_id"], on=self.told.on)
            for name in self.ruling.bookings
        ]
        return [replace(entry, told_by=self.told.told_by) for entry in entries]


async def _record_one_of_each(tx: Transaction, told: Mapping[UUID, BankResult]) -> None:
    changes = []
    for payment_id, payment in (await _load(tx, told)).items():
        result = told[payment_id]
        ruling = rule(payment["status"], result.result)
        contradiction = ruling.contradiction or _other_reference(payment, result)
        if contradiction:
            await _open_contradiction(tx, payment, result, contradiction)
        if contradiction == "result_before_sending":
            await lock_submission(tx, because=f"the bank knows {payment_id}, which was never sent", by="bank result")
        if ruling.bookings:
            if ruling.status == "settled":
                payment |= await confirm_offset(tx, payment, on=result.on)
            change = _Change(result, payment, ruling)
            if payment["offset_fen"]:
                await _take_effect(tx, [change])  # by itself: what it sets off, the next one cannot
            else:
                changes.append(change)
        elif ruling.status == "returned" and result.result == "settled":
            await _note_late_settlement(tx, payment, result)
    if changes:
        await _take_effect(tx, changes)


async def _take_effect(tx: Transaction, changes: Sequence[_Change]) -> None:
    await _save(tx, changes)
    await book(tx, [entry for change in changes for entry in change.entries])
    for change in changes:
        await _book_offset(tx, change.payment, change.ruling, on=change.told.on)
    await _book_institutions(tx, changes)
    unpaid = [change for change in changes if change.ruling.status in ("failed", "returned")]
    await _block_accounts(tx, unpaid)
    await _unblock_accounts(tx, [c.payment for c in changes if c.ruling.contradiction == "settled_after_failed"])
    await forget_paid_up(tx, [change.month for change in unpaid])
    overpaid = await perhaps_overpaid(tx, [change.month for change in changes])
    days = {(change.payment["person_id"], change.payment["subsidy"]): change.told.on for change in changes}
    for day in sorted({days[pair] for pair in overpaid}):
        await review_overpayments(tx, sorted(pair for pair in overpaid if days[pair] == day), on=day)
    await check_sms(tx, [change.told.payment_id for change in changes])


async def _book_offset(tx: Transaction, payment: dict[str, Any], ruling: Ruling, *, on: date) -> None:
    """What was set off counts as repaid once the rest is paid, and no more once the bank returned it."""
    if payment["offset_fen"] and ruling.status == "settled":
        await apply_offset(tx, payment, on=on)
    elif payment["status"] == "settled" and ruling.status == "returned":
        await reverse_offset(tx, payment, on=on)


async def _book_institutions(tx: Transaction, changes: Sequence[_Change]) -> None:
    """What was paid to an institution is its child's, until the bank returns it."""
    to_institutions = [change for change in changes if change.payment["holder"] == "institution"]
    await entrust(tx, {c.payment["person_id"] for c in to_institutions if c.ruling.status == "settled"})
    await reverse_entrusting(
        tx, [(c.told.payment_id, c.told.on) for c in to_institutions if c.ruling.status == "returned"]
    )


async def _load(tx: Transaction, payment_ids: Collection[UUID]) -> dict[UUID, dict[str, Any]]:
    """By id, in the order of the ids: whoever books takes them in one order."""
    found = await tx.connection.execute(
        text("SELECT * FROM payments WHERE payment_id = ANY(CAST(:ids AS uuid[])) ORDER BY payment_id"),
        {"ids": list(payment_ids)},
    )
    return {row["payment_id"]: row for row in rows(found)}


def _other_reference(payment: dict[str, Any], told: BankResult) -> str | None:
    """Settled twice under two references would be paid twice."""
    known = payment["bank_ref"]
    both = told.result == "settled" and known is not None and told.bank_ref is not None
    return "settled_twice" if both and known != told.bank_ref else None


async def _save(tx: Transaction, changes: Sequence[_Change]) -> None:
    told = [change.told for change in changes]
    await tx.connection.execute(
        text(
            "UPDATE payments p SET status = n.status, version = p.version + 1,"
            " bank_ref = coalesce(n.bank_ref, p.bank_ref), code = n.code,"
            " settled_on = coalesce(n.settled_on, p.settled_on), failed_on = coalesce(n.failed_on, p.failed_on),"
            " returned_on = n.returned_on FROM unnest(CAST(:ids AS uuid[]), CAST(:periods AS date[]),"
            " CAST(:statuses AS text[]), CAST(:refs AS text[]), CAST(:codes AS text[]), CAST(:settled AS date[]),"
            " CAST(:failed AS date[]), CAST(:returned AS date[])) AS n (payment_id, period, status, bank_ref, code,"
            " settled_on, failed_on, returned_on) WHERE p.payment_id = n.payment_id AND p.period = n.period"
        ),
        {
            "ids": [result.payment_id for result in told],
            "periods": [change.payment["period"] for change in changes],
            "statuses": [change.ruling.status for change in changes],
            "refs": [result.bank_ref for result in told],
            "codes": [result.code for result in told],
            "settled": [result.on if result.result == "settled" else None for result in told],
            "failed": [result.on if result.result == "failed" else None for result in told],
            "returned": [result.on if result.result == "returned" else None for result in told],
        },
    )
    for change in changes:
        payment = change.payment
        tx.publish(
            _EVENTS[change.ruling.status](
                person_id=payment["person_id"],
                version=payment["version"] + 1,
                payment_id=payment["payment_id"],
                subsidy=payment["subsidy"],
                period=Period.of(payment["period"]),
                amount_fen=payment["amount_fen"],
                offset_fen=payment["offset_fen"],
                area=payment["area"],
                status=change.ruling.status,
                on=change.told.on,
                code=change.told.code,
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


async def _block_accounts(tx: Transaction, changes: Sequence[_Change]) -> None:
    """Nothing more is sent to these accounts until there is a newer version of each; the entitlements stand."""
    if changes:
        codes = [change.told.code for change in changes]
        await tx.connection.execute(_BLOCK, _accounts(change.payment for change in changes) | {"codes": codes})


async def _unblock_accounts(tx: Transaction, settled: Sequence[dict[str, Any]]) -> None:
    """What was told to have failed arrived after all: the account can be paid to, unless another payment failed."""
    if settled:
        await tx.connection.execute(_UNBLOCK, _accounts(settled))


def _accounts(payments: Iterable[dict[str, Any]]) -> dict[str, list[Any]]:
    """Which version of whose account each was sent to."""
    sent_to = [(payment["person_id"], payment["payee_version"]) for payment in payments]
    return {"person_ids": [person_id for person_id, _ in sent_to], "versions": [version for _, version in sent_to]}


_BLOCK = text(
    """
    WITH told AS (
        SELECT * FROM unnest(CAST(:person_ids AS text[]), CAST(:versions AS bigint[]), CAST(:codes AS text[]))
            AS t (person_id, version, code)
    ),
    newest AS (
        SELECT DISTINCT ON (person_id) t.* FROM told t JOIN payees p USING (person_id)
        WHERE t.version BETWEEN coalesce(p.failed_version, 0) AND p.version ORDER BY person_id, t.version DESC
    ),
    blocked AS (
        UPDATE payees p SET failed_version = n.version, failed_code = n.code FROM newest n
        WHERE p.person_id = n.person_id
    )
    UPDATE heirs h SET failed_version = h.version FROM told t
    WHERE h.person_id = t.person_id AND h.version = t.version
    """
)
_UNBLOCK = text(
    """
    WITH proven AS (
        SELECT t.* FROM unnest(CAST(:person_ids AS text[]), CAST(:versions AS bigint[])) AS t (person_id, version)
        WHERE NOT EXISTS (SELECT FROM payments p WHERE p.person_id = t.person_id AND p.payee_version = t.version
                          AND p.status IN ('failed', 'returned'))
    ),
    payable AS (
        UPDATE payees p SET failed_version = NULL, failed_code = NULL FROM proven t
        WHERE p.person_id = t.person_id AND p.failed_version = t.version
    )
    UPDATE heirs h SET failed_version = NULL FROM proven t
    WHERE h.person_id = t.person_id AND h.failed_version = t.version
    """
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
