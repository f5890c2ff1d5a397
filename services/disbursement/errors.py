"""What disbursement refuses, by condition."""

from __future__ import annotations

from libs.common.errors import Conflict, DomainError


class WrongState(Conflict):
    """The cycle is not at that step."""

    type = "wrong-state"


class FundsShort(Conflict):
    """The funds do not cover this cycle."""

    type = "funds-short"


class PolicyUnderReevaluation(Conflict):
    """A policy change is still being applied to everybody it touches; draw the cycle up afterwards."""

    type = "policy-under-reevaluation"


class RosterUnderTakeover(Conflict):
    """A roster of this area is being taken over; draw the cycle up once everybody on it has come."""

    type = "roster-under-takeover"


class DocumentBookedOtherwise(Conflict):
    """This document number was booked with another amount."""

    type = "document-booked-otherwise"


class MoreThanOutstanding(Conflict):
    """That is more than is still outstanding."""

    type = "more-than-outstanding"


class NothingPaid(DomainError):
    """More is claimed of a month than was paid for it."""

    type = "nothing-paid"


class NotKnownDead(Conflict):
    """An heir is paid only after a death that is known here."""

    type = "not-known-dead"


class OffsetNotAllowed(DomainError):
    """Setting off needs the person's consent or a written decision, and is never done against an estate or an heir."""

    type = "offset-not-allowed"


class AdministrativeUse(DomainError):
    """A child's money is not for the institution's administrative expenses (行政事业费)."""

    type = "administrative-use"


class MoreThanUnspent(Conflict):
    """That is more than is left of the child's money."""

    type = "more-than-unspent"


class ClauseNotInForce(DomainError):
    """No tolerance list in force on the day of the deviation has this clause."""

    type = "clause-not-in-force"


class CaseResolved(Conflict):
    """The case is resolved already."""

    type = "case-resolved"


class MonthNotOver(Conflict):
    """A month is closed once it is over."""

    type = "month-not-over"


class MonthClosed(Conflict):
    """This month, or a later one, is closed already."""

    type = "month-closed"


class CyclesUnderWay(Conflict):
    """Cycles of this month were submitted and are not closed yet."""

    type = "cycles-under-way"


class NotReconciled(Conflict):
    """The month has differences that nobody has resolved."""

    type = "not-reconciled"


class SubmissionLocked(Conflict):
    """Nothing is submitted until the books agree with the bank's again: the database may have been set back."""

    type = "submission-locked"


class WithTheBank(Conflict):
    """The bank has some payments of this batch and not the others: settle it with the bank."""

    type = "with-the-bank"
