"""One change at a time, pushed by partner systems and officials."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

from fastapi import Depends
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from libs.common.areas import Area
from libs.common.auth import Principal, caller
from libs.common.clock import business_today
from libs.common.errors import InvalidInput
from libs.common.events.intake import Component
from libs.common.identity import InvalidIdentity, ResidentId
from libs.common.levels import Level
from libs.common.money import Fen
from libs.common.period import LAST_DAY, Day, Period, day_after
from libs.common.vocabulary import BenefitKind, Category, CustodyKind, IncomeCategory
from libs.common.web import Tx, router
from services.matching.api.parts import PartsOf
from services.matching.handlers.persons import note_birth_years, survivor_of
from services.matching.handlers.pushes import Push, receive_push, retract_fact
from services.matching.kinds import KINDS, RETRACTION

api = router(prefix="/v1", tags=["events"])

Reporter = Annotated[Principal, Depends(caller("partner", "township", "cdpf", "civil_affairs"))]

EventKind = Literal[
    "certificate.issued",
    "certificate.renewed",
    "certificate.reassessed",
    "certificate.expired",
    "certificate.frozen",
    "certificate.unfrozen",
    "certificate.cancelled",
    "certificate.moved_out",
    "low_income.entered",
    "low_income.exited",
    "person.died",
    "person.declared_dead",
    "person.declared_missing",
    "person.missing",
    "person.reappeared",
    "person.imprisoned",
    "person.released",
    "person.moved",
    "benefit.started",
    "benefit.ended",
    "fact.retracted",
]

_MAY_END_BY_PERIOD = ("low_income.exited", "benefit.ended")


def _open(end: date | None) -> date | None:
    return None if end == date.max else end


End = Annotated[date | None, AfterValidator(_open)]
"""An end that is open is often written as 9999-12-31."""


class PushedEvent(BaseModel):
    """One change. Besides the common fields each kind takes those of its event; `occurred_on` is the first day of the
    new state, and of a death its day. Exits may give `last_paid_period`, which then decides: a time of grace (渐退期)
    is still dibao, and a month that was paid was one of entitlement."""

    model_config = ConfigDict(extra="ignore")

    kind: EventKind
    id_number: str = Field(max_length=40, description="resident ID")
    occurred_on: Day | None = None
    area: Area | None = Field(default=None, description="where the person belongs, if the sender knows")
    last_paid_period: Period | None = None

    category: Category | IncomeCategory | None = None
    level: Level | None = None
    components: tuple[Component, ...] | None = None
    expires_on: End = None
    cause: str | None = Field(default=None, max_length=200)
    in_transit: bool | None = None
    until: End = Field(default=None, description="last day, where it is known already")
    custody_kind: CustodyKind | None = None
    benefit_kind: BenefitKind | None = None
    amount_fen: Fen | None = None
    to_area: Area | None = None
    from_area: Area | None = None
    accepted_on: date | None = None
    retracts: UUID | None = Field(default=None, description="the event_id of the fact that never was")
    reason: str | None = Field(default=None, max_length=500)

    def first_day(self) -> date:
        """Of the new state. A last paid month stands for its last day, so the day after it is the first."""
        if self.last_paid_period is not None and self.kind in _MAY_END_BY_PERIOD:
            if self.last_paid_period > Period.of(LAST_DAY):
                raise InvalidInput.at("last_paid_period", f"晚于 {LAST_DAY} (lies after {LAST_DAY})")
            return day_after(self.last_paid_period.last_day)
        if self.occurred_on is not None:
            return self.occurred_on
        raise InvalidInput.at("occurred_on", "此项必填 (Field required)")

    def fields(self) -> dict[str, Any]:
        """What the kind's own event has besides, by its own names."""
        given = self.model_dump(
            exclude={"kind", "id_number", "occurred_on", "area", "last_paid_period", "custody_kind", "benefit_kind"}
            | {"retracts", "reason"},
            exclude_none=True,
        )
        of_what = self.custody_kind if self.kind == "person.imprisoned" else self.benefit_kind
        return {**given, "kind": of_what} if of_what is not None else given


class PushAnswer(BaseModel):
    """`outcome` finding: the sender's word is no fact here; a person verifies it first."""

    event_id: UUID
    person_id: str
    outcome: Literal["fact", "finding"]
    finding_id: UUID | None = None


@api.post("/events", status_code=202)
async def push_event(body: PushedEvent, tx: Tx, sender: Reporter, parts: PartsOf) -> PushAnswer:
    """A change within the token's sources (or of one's own status lists) is a fact, any other a finding. Another
    benefit in a month that we pay for is a finding whoever says so."""
    today = business_today()
    try:
        holder = ResidentId.parse(body.id_number, on=today)
    except InvalidIdentity as error:
        raise InvalidInput.at("id_number", str(error)) from error
    if body.area is not None:
        sender.require_area(body.area)
    person_id = await survivor_of(tx, parts.keys.person.person_id(str(holder)))
    await note_birth_years(tx, {person_id: holder.birth_date.year})
    if body.kind == RETRACTION:
        if body.retracts is None:
            raise InvalidInput.at("retracts", "此项必填 (Field required)")
        outcome = await retract_fact(tx, person_id, body.retracts, sender, reason=body.reason)
    else:
        occurred_on = body.first_day()
        if body.kind.startswith("person.") and occurred_on > today:
            raise InvalidInput.at("occurred_on", "日期尚未到来 (lies in the future)")
        push = Push(body.kind, person_id, occurred_on, body.area, body.fields())
        outcome = await receive_push(tx, push, sender, today=today)
    return PushAnswer(
        event_id=outcome.event_id, person_id=person_id, outcome=outcome.outcome, finding_id=outcome.finding_id
    )


assert set(KINDS) | {RETRACTION} == set(get_args(EventKind))
