"""Payments: their identity, and what a bank's result makes of them, however late, often or confused it is told."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Literal
from uuid import UUID

from libs.common.period import Period
from libs.common.vocabulary import PaymentStatus, Subsidy

Result = Literal["settled", "failed", "returned"]
Booking = Literal["settle", "settle_after_failure", "fail", "take_back"]

_DAY_0 = date(2000, 1, 1)


def payment_id(person_id: str, subsidy: Subsidy, period: Period, attempt: int) -> UUID:
    """The identity of one attempt to pay one month: a restored database mints the same ones.

    A name-based UUID (RFC 9562, version 8 with SHA-256): the SQL function `payment_id` in the migrations computes the
    same in PostgreSQL, whose core has SHA-256 but not the SHA-1 of version 5. The month is written in days since 2000:
    of all that names it, a difference of dates is what PostgreSQL computes fastest.
    """
    day = (period.first_day - _DAY_0).days
    name = f"liangbu.payment/{person_id}/{subsidy}/{day}/{attempt}"
    octets = bytearray(hashlib.sha256(name.encode()).digest()[:16])
    octets[6] = octets[8] = 0x80  # version 8, and the variant
    return UUID(bytes=bytes(octets))


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a result does: the status from now on, what is booked, and whether the bank contradicts itself.

    Nothing is booked for a repeat. A contradiction is a case for a person, whatever else happens.
    """

    status: PaymentStatus
    bookings: tuple[Booking, ...] = ()
    contradiction: str | None = None


def rule(status: PaymentStatus, result: Result) -> Ruling:
    """How a payment of `status` takes the bank's `result`.

    Where the bank contradicts itself the answer is the one that cannot pay a month twice: money that was once
    reported as paid counts as paid until the bank returns it. The case decides the rest.
    """
    match status, result:
        case "sent", "settled":
            return Ruling("settled", ("settle",))
        case "sent", "failed":
            return Ruling("failed", ("fail",))
        case "sent", "returned":
            # The settlement is still under way to us, or lost: a return tells that there was one.
            return Ruling("returned", ("settle", "take_back"))
        case "settled", "returned":
            return Ruling("returned", ("take_back",))
        case "returned", "settled":
            return Ruling("returned")
        case "failed", "settled":
            return Ruling("settled", ("settle_after_failure",), "settled_after_failed")
        case "pending", _:
            # Never sent, by our books: these are older than the bank's. Sent again under its key, it reports again.
            return Ruling("pending", (), "result_before_sending")
        case _ if status == result:
            return Ruling(status)
        case _:
            return Ruling(status, (), f"{result}_after_{status}")
