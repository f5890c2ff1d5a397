from itertools import permutations

import pytest

from libs.common.period import Period
from libs.common.vocabulary import PaymentStatus
from services.disbursement.payments import Result, payment_id, rule

BOOKED_FEN = {"settle": 1, "settle_after_failure": 1, "take_back": -1, "fail": 0}


def after(*results: Result) -> tuple[PaymentStatus, int, list[str]]:
    """Status, net number of times paid, contradictions, for a sent payment with these results in this order."""
    status: PaymentStatus = "sent"
    paid, contradictions = 0, []
    for result in results:
        ruling = rule(status, result)
        status = ruling.status
        paid += sum(BOOKED_FEN[booking] for booking in ruling.bookings)
        if ruling.contradiction:
            contradictions.append(ruling.contradiction)
    return status, paid, contradictions


def test_the_same_month_and_attempt_have_the_same_identity_for_ever() -> None:
    assert payment_id("p1-a", "care", Period(2026, 3), 1) == payment_id("p1-a", "care", Period(2026, 3), 1)
    assert str(payment_id("p1-a", "care", Period(2026, 3), 1)) == "a0ec28b1-21b5-808c-80ef-0d60bbf1184c"


def test_another_person_subsidy_month_or_attempt_is_another_payment() -> None:
    march, april = Period(2026, 3), Period(2026, 4)
    identities = {
        payment_id(person, subsidy, period, attempt)
        for person in ("p1-a", "p1-b")
        for subsidy in ("living", "care")
        for period in (march, april)
        for attempt in (1, 2)
    }
    assert len(identities) == 16
    assert {identity.version for identity in identities} == {8}


@pytest.mark.parametrize("result", ["settled", "failed", "returned"])
def test_a_repeated_result_changes_nothing(result: Result) -> None:
    assert after(result, result) == after(result)


@pytest.mark.parametrize("order", list(permutations(["settled", "returned", "settled", "returned"])))
def test_settlement_and_return_end_the_same_in_any_order(order: tuple[Result, ...]) -> None:
    assert after(*order) == ("returned", 0, [])


def test_a_return_that_overtakes_its_settlement_is_final() -> None:
    assert after("returned", "settled") == ("returned", 0, [])


def test_paid_after_reported_failed_counts_as_paid_and_is_a_case() -> None:
    assert after("failed", "settled") == ("settled", 1, ["settled_after_failed"])


def test_failed_after_reported_paid_stays_paid_and_is_a_case() -> None:
    assert after("settled", "failed") == ("settled", 1, ["failed_after_settled"])


def test_a_failed_payment_cannot_be_returned() -> None:
    assert after("failed", "returned") == ("failed", 0, ["returned_after_failed"])


@pytest.mark.parametrize("result", ["settled", "failed", "returned"])
def test_a_result_for_what_was_never_sent_is_a_case_and_books_nothing(result: Result) -> None:
    ruling = rule("pending", result)
    assert (ruling.status, ruling.bookings, ruling.contradiction) == ("pending", (), "result_before_sending")
