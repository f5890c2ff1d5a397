"""What disbursement tells: what became of each payment, recoveries, closed cycles."""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from libs.common.events.envelope import StateEvent, event
from libs.common.period import Period
from libs.common.vocabulary import CycleStatus, PaymentStatus, ReturnCode, Subsidy


class PaymentState(StateEvent):
    """The full state of one payment: one person, subsidy and month, one attempt."""

    producer: ClassVar[str] = "disbursement"

    payment_id: UUID
    subsidy: Subsidy
    period: Period
    amount_fen: int = Field(gt=0)
    offset_fen: int = Field(default=0, ge=0, description="of it not transferred but set off against a recovery")
    area: str
    status: PaymentStatus
    on: date = Field(description="settled, failed or returned on")
    code: ReturnCode | None = None

    @property
    def aggregate(self) -> str:
        return f"payment:{self.payment_id}"


@event
class PaymentSettled(PaymentState):
    type: ClassVar[str] = "payment.settled.v1"


@event
class PaymentFailed(PaymentState):
    type: ClassVar[str] = "payment.failed.v1"


@event
class PaymentReturned(PaymentState):
    type: ClassVar[str] = "payment.returned.v1"


class OverpaidMonth(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    period: Period
    amount_fen: int = Field(gt=0)


class RecoveryState(StateEvent):
    """An overpayment case (追回): which months, how much, why.

    `due_again_fen`: of what was recovered, what turns out by this news to have been due after all; it is paid again.
    """

    producer: ClassVar[str] = "disbursement"

    recovery_id: UUID
    subsidy: Subsidy
    area: str
    cause: str
    months: tuple[OverpaidMonth, ...]
    amount_fen: int = Field(ge=0)
    recovered_fen: int = Field(default=0, ge=0)
    due_again_fen: int = Field(default=0, ge=0)
    status: Literal["open", "closed"]

    @property
    def aggregate(self) -> str:
        return f"recovery:{self.recovery_id}"


@event
class RecoveryOpened(RecoveryState):
    type: ClassVar[str] = "recovery.opened.v1"


@event
class RecoveryClosed(RecoveryState):
    type: ClassVar[str] = "recovery.closed.v1"


@event
class CycleClosed(StateEvent):
    """A monthly cycle is settled and reconciled; `person_id` is empty."""

    type: ClassVar[str] = "cycle.closed.v1"
    producer: ClassVar[str] = "disbursement"

    person_id: str = ""
    cycle_id: UUID
    area: str
    period: Period
    subsidy: Subsidy | None
    status: CycleStatus
    payments: int = Field(ge=0)
    amount_fen: int = Field(ge=0)

    @property
    def key(self) -> str:
        return str(self.cycle_id)

    @property
    def aggregate(self) -> str:
        return f"cycle:{self.cycle_id}"
