"""Cross-province applications (跨省通办): accepted anywhere, decided where the hukou is, told where they were accepted.

Three clocks, in working days: the accepting place forwards, the deciding place decides, the accepting place tells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Literal
from uuid import UUID

from libs.common.working_days import working_days_after
from services.intake.errors import AlreadyForwarded, NotDecidedYet, ResultTold
from services.intake.parameters import AreaParameters

Step = Literal["forward", "decide", "tell", "done"]


@dataclass(frozen=True, slots=True)
class Forwarding:
    """How far a cross-province application is between its two places."""

    application_id: UUID
    accepted_area: str
    deciding_area: str
    forward_due_on: date
    forwarded_on: date | None = None
    forwarded_by: str | None = None
    decide_due_on: date | None = None
    decided_on: date | None = None
    tell_due_on: date | None = None
    told_on: date | None = None
    told_by: str | None = None

    @property
    def step(self) -> Step:
        if self.forwarded_on is None:
            return "forward"
        if self.decided_on is None:
            return "decide"
        return "tell" if self.told_on is None else "done"

    @property
    def due_on(self) -> date | None:
        return {
            "forward": self.forward_due_on,
            "decide": self.decide_due_on,
            "tell": self.tell_due_on,
            "done": None,
        }[self.step]


def accepted(application_id: UUID, accepting: AreaParameters, deciding_area: str, *, on: date) -> Forwarding:
    """Accepted `on` that day: the accepting place's clock starts."""
    return Forwarding(
        application_id,
        accepting.area,
        deciding_area,
        forward_due_on=working_days_after(on, accepting.days("cross_province.forward_days", on)),
    )


def forwarded(forwarding: Forwarding, deciding: AreaParameters, *, by: str, on: date) -> Forwarding:
    """With the deciding place, whose clock starts. AlreadyForwarded."""
    if forwarding.step != "forward":
        raise AlreadyForwarded(f"已于{forwarding.forwarded_on}转办 (on {forwarding.forwarded_on})")
    days = deciding.days("cross_province.decide_days", on)
    return replace(forwarding, forwarded_on=on, forwarded_by=by, decide_due_on=working_days_after(on, days))


def decided(forwarding: Forwarding, accepting: AreaParameters, *, on: date | None) -> Forwarding:
    """Decided `on` that day: the accepting place has to tell. None: under review again, after an objection."""
    if on is None:
        return replace(forwarding, decided_on=None, tell_due_on=None, told_on=None, told_by=None)
    days = accepting.days("cross_province.tell_days", on)
    return replace(forwarding, decided_on=on, tell_due_on=working_days_after(on, days))


def told(forwarding: Forwarding, *, by: str, on: date) -> Forwarding:
    """The applicant knows the result. NotDecidedYet, ResultTold."""
    if forwarding.step == "done":
        raise ResultTold(f"已于{forwarding.told_on}告知 (on {forwarding.told_on})")
    if forwarding.step != "tell":
        raise NotDecidedYet(f"it waits for: {forwarding.step}")
    return replace(forwarding, told_on=on, told_by=by)
