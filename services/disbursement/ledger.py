"""The ledger (总账): append-only double entry in integer fen.

One book per budget: an area, a subsidy and a year. A posting moves an amount from one account to another, so that an
entry cannot be out of balance. Balances are derived; a correction is a new entry; an entry is booked once per cause.

What concerns one person names the person. What is booked of thousands at once (a cycle's commitment, a batch's sending)
is theirs by the payments, each of which names its cycle, its batch and the version of the entitlement that it rests on
(docs/adr/0023).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Literal

from libs.common.vocabulary import Subsidy

Account = Literal[
    "appropriated",
    "brought_forward",
    "available",
    "committed",
    "clearing",
    "paid",
    "institution_funds",
    "receivable",
    "refunded",
    "written_off",
]
"""`institution_funds`: what was paid to an institution for a child and is not used for the child yet (notice 4.6).

Every account but the first two has a debit balance; together they equal what was appropriated here, and what was
spent elsewhere before it was brought forward."""

Cause = Literal[
    "appropriation",
    "opening",
    "commitment",
    "release",
    "sending",
    "recall",
    "settlement",
    "failure",
    "return",
    "recovery_claimed",
    "recovery_reduced",
    "repayment",
    "repayment_reversed",
    "offset_released",
    "write_off",
    "write_off_reduced",
    "entrusting",
    "entrusting_reversed",
    "institution_use",
    "institution_return",
]


@dataclass(frozen=True, slots=True)
class Book:
    """One budget's accounts: the area whose money it is, for one subsidy and budget year."""

    area: str
    subsidy: Subsidy
    year: int


@dataclass(frozen=True, slots=True)
class Posting:
    """`amount_fen` out of `credit` into `debit`."""

    debit: Account
    credit: Account
    amount_fen: int

    def __post_init__(self) -> None:
        if self.amount_fen <= 0:
            raise ValueError(f"a posting moves a positive amount, not {self.amount_fen} fen")
        if self.debit == self.credit:
            raise ValueError(f"a posting moves between two accounts, not within {self.debit}")


@dataclass(frozen=True, slots=True)
class Entry:
    """What one business event did to one book. (cause, cause_id, book) is booked once, however often it is told;
    `told_by` is the webhook or statement that told it first, or the entitlement's version or decision it rests on.
    `person_id`: whom it concerns, where that is one person; `org_code`: the institution that has the child's money."""

    cause: Cause
    cause_id: str
    book: Book
    on: date
    postings: tuple[Posting, ...]
    told_by: str | None = None
    person_id: str | None = None
    org_code: str | None = None


def appropriate(book: Book, document_no: str, amount_fen: int, *, on: date) -> Entry:
    """Money is appropriated (下达) by a numbered document."""
    return Entry("appropriation", document_no, book, on, (Posting("available", "appropriated", amount_fen),))


def bring_forward(book: Book, entry_id: str, amount_fen: int, *, on: date) -> Entry:
    """What was paid elsewhere for months of this book, before its recipients were taken over (期初已发)."""
    return Entry("opening", entry_id, book, on, (Posting("paid", "brought_forward", amount_fen),))


def commit(book: Book, cycle_id: str, amount_fen: int, *, on: date) -> Entry:
    """A submitted cycle binds the money that it will send."""
    return Entry("commitment", cycle_id, book, on, (Posting("committed", "available", amount_fen),))


def release(book: Book, batch_id: str, amount_fen: int, *, on: date) -> Entry:
    """Payments that were stopped after submission and before sending free their money again."""
    return Entry("release", batch_id, book, on, (Posting("available", "committed", amount_fen),))


def send(book: Book, batch_id: str, amount_fen: int, *, on: date) -> Entry:
    """A batch goes to the bank: its money is on the way."""
    return Entry("sending", batch_id, book, on, (Posting("clearing", "committed", amount_fen),))


def recall(book: Book, batch_id: str, amount_fen: int, *, on: date) -> Entry:
    """The bank refused a batch and has none of it: its money waits to be sent again."""
    return Entry("recall", batch_id, book, on, (Posting("committed", "clearing", amount_fen),))


def settle(book: Book, payment_id: str, amount_fen: int, *, person_id: str, on: date) -> Entry:
    """The bank paid."""
    return Entry("settlement", payment_id, book, on, (Posting("paid", "clearing", amount_fen),), person_id=person_id)


def fail(book: Book, payment_id: str, amount_fen: int, *, person_id: str, on: date) -> Entry:
    """The bank could not pay: the money is available for the payment issued again."""
    return Entry("failure", payment_id, book, on, (Posting("available", "clearing", amount_fen),), person_id=person_id)


def settle_after_failure(book: Book, payment_id: str, amount_fen: int, *, person_id: str, on: date) -> Entry:
    """The bank paid what it had reported as failed."""
    return Entry("settlement", payment_id, book, on, (Posting("paid", "available", amount_fen),), person_id=person_id)


def take_back(book: Book, payment_id: str, amount_fen: int, *, person_id: str, on: date) -> Entry:
    """The receiving bank sent settled money back (退票)."""
    return Entry("return", payment_id, book, on, (Posting("available", "paid", amount_fen),), person_id=person_id)


def claim(book: Book, claim_id: str, amount_fen: int, *, person_id: str, on: date) -> Entry:
    """What was paid too much is claimed back (追回)."""
    return Entry(
        "recovery_claimed", claim_id, book, on, (Posting("receivable", "paid", amount_fen),), person_id=person_id
    )


def reduce_claim(book: Book, claim_id: str, amount_fen: int, *, person_id: str, on: date) -> Entry:
    """A claim falls away: the month turned out to be due, or the bank returned the payment."""
    return Entry(
        "recovery_reduced", claim_id, book, on, (Posting("paid", "receivable", amount_fen),), person_id=person_id
    )


def repay(book: Book, repayment_id: str, amount_fen: int, *, person_id: str, on: date) -> Entry:
    """The person repaid; the money goes back to the treasury (缴回), not to the next payment."""
    return Entry(
        "repayment", repayment_id, book, on, (Posting("refunded", "receivable", amount_fen),), person_id=person_id
    )


def reverse_repayment(book: Book, repayment_id: str, amount_fen: int, *, person_id: str, on: date) -> Entry:
    """What was set off is owed again: the bank returned the payment that it was kept from."""
    return Entry(
        "repayment_reversed",
        repayment_id,
        book,
        on,
        (Posting("receivable", "refunded", amount_fen),),
        person_id=person_id,
    )


def release_offset(book: Book, payment_id: str, amount_fen: int, *, person_id: str, on: date) -> Entry:
    """More was kept from a payment than was still claimed: it is available, and due to the person again."""
    return Entry(
        "offset_released", payment_id, book, on, (Posting("available", "clearing", amount_fen),), person_id=person_id
    )


def write_off(book: Book, write_off_id: str, amount_fen: int, *, person_id: str, on: date) -> Entry:
    """A claim is given up, by two persons' decision."""
    return Entry(
        "write_off", write_off_id, book, on, (Posting("written_off", "receivable", amount_fen),), person_id=person_id
    )


def reduce_write_off(book: Book, claim_id: str, amount_fen: int, *, person_id: str, on: date) -> Entry:
    """What was given up was not overpaid after all: nothing was lost by it."""
    return Entry(
        "write_off_reduced", claim_id, book, on, (Posting("paid", "written_off", amount_fen),), person_id=person_id
    )


def entrust(book: Book, payment_id: str, amount_fen: int, *, person_id: str, org_code: str, on: date) -> Entry:
    """What was paid went to an institution (机构代管): it is the child's, and not used for the child yet."""
    moved = Posting("institution_funds", "paid", amount_fen)
    return Entry("entrusting", payment_id, book, on, (moved,), person_id=person_id, org_code=org_code)


def reverse_entrusting(
    book: Book, payment_id: str, amount_fen: int, *, person_id: str, org_code: str, on: date
) -> Entry:
    """The bank returned what was paid to an institution."""
    moved = Posting("paid", "institution_funds", amount_fen)
    return Entry("entrusting_reversed", payment_id, book, on, (moved,), person_id=person_id, org_code=org_code)


def use(book: Book, use_id: str, amount_fen: int, *, person_id: str, org_code: str, on: date) -> Entry:
    """An institution used a child's money for the child, with a receipt."""
    moved = Posting("paid", "institution_funds", amount_fen)
    return Entry("institution_use", use_id, book, on, (moved,), person_id=person_id, org_code=org_code)


def give_back(book: Book, use_id: str, amount_fen: int, *, person_id: str, org_code: str, on: date) -> Entry:
    """What an institution did not use goes back to the treasury (结余缴回)."""
    moved = Posting("refunded", "institution_funds", amount_fen)
    return Entry("institution_return", use_id, book, on, (moved,), person_id=person_id, org_code=org_code)


def balances(entries: Iterable[Entry]) -> dict[tuple[Book, Account], int]:
    """Debits less credits per account, in fen; what came in is negative. Their sum is always 0."""
    totals: Counter[tuple[Book, Account]] = Counter()
    for entry in entries:
        for posting in entry.postings:
            totals[entry.book, posting.debit] += posting.amount_fen
            totals[entry.book, posting.credit] -= posting.amount_fen
    return dict(totals)
