from __future__ import annotations

from datetime import date
from uuid import UUID

import pytest

from libs.common.working_days import working_days_after
from services.intake.errors import AlreadyForwarded, NotDecidedYet, ResultTold, TooManyRequests
from services.intake.forwardings import accepted, decided, forwarded, told
from services.intake.parameters import AreaParameters
from services.intake.rate import Throttle

MONDAY = date(2026, 3, 2)
ACCEPTING, DECIDING = AreaParameters("110105"), AreaParameters("530102")


def test_the_three_clocks_run_one_after_the_other() -> None:
    forwarding = accepted(UUID(int=1), ACCEPTING, "530102", on=MONDAY)
    assert (forwarding.step, forwarding.due_on) == ("forward", date(2026, 3, 5))
    forwarding = forwarded(forwarding, DECIDING, by="a", on=date(2026, 3, 4))
    assert (forwarding.step, forwarding.due_on) == ("decide", working_days_after(date(2026, 3, 4), 10))
    forwarding = decided(forwarding, ACCEPTING, on=date(2026, 3, 18))
    assert (forwarding.step, forwarding.due_on) == ("tell", date(2026, 3, 23))
    forwarding = told(forwarding, by="a", on=date(2026, 3, 19))
    assert (forwarding.step, forwarding.due_on) == ("done", None)


def test_a_step_is_taken_in_its_turn_and_once() -> None:
    forwarding = accepted(UUID(int=1), ACCEPTING, "530102", on=MONDAY)
    with pytest.raises(NotDecidedYet):
        told(forwarding, by="a", on=MONDAY)
    forwarding = forwarded(forwarding, DECIDING, by="a", on=MONDAY)
    with pytest.raises(AlreadyForwarded):
        forwarded(forwarding, DECIDING, by="a", on=MONDAY)
    with pytest.raises(NotDecidedYet):
        told(forwarding, by="a", on=MONDAY)
    forwarding = told(decided(forwarding, ACCEPTING, on=MONDAY), by="a", on=MONDAY)
    with pytest.raises(ResultTold):
        told(forwarding, by="a", on=MONDAY)
    again = decided(forwarding, ACCEPTING, on=None)
    assert (again.step, again.told_on, again.tell_due_on) == ("decide", None, None)


def test_a_partner_s_minute_is_used_up_and_comes_back_evenly() -> None:
    now = [0.0]
    throttle = Throttle(per_minute=6, clock=lambda: now[0])
    for _ in range(6):
        throttle.take("a")
    with pytest.raises(TooManyRequests) as refused:
        throttle.take("a")
    assert refused.value.headers == {"Retry-After": "11"}
    throttle.take("b")
    now[0] = 10.0
    throttle.take("a")
    with pytest.raises(TooManyRequests):
        throttle.take("a")
    now[0] = 100.0
    for _ in range(6):
        throttle.take("a")
    with pytest.raises(TooManyRequests):
        throttle.take("a")
