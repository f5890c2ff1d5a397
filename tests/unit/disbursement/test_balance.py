from hypothesis import given
from hypothesis import strategies as st

from services.disbursement.balance import account_for

FEN = st.integers(0, 30_000)


@given(entitled=FEN, paid=FEN, sent=FEN, pending=FEN, held=st.booleans(), payable=st.booleans())
def test_every_fen_of_a_month_is_somewhere(
    entitled: int, paid: int, sent: int, pending: int, held: bool, payable: bool
) -> None:
    month = account_for(
        entitled_fen=entitled, paid_fen=paid, sent_fen=sent, pending_fen=pending, held=held, payable=payable
    )
    assert month.entitled_fen == (
        month.paid_fen + month.in_flight_fen + month.held_fen + month.unpayable_fen + month.due_fen - month.overpaid_fen
    )
    assert min(month.in_flight_fen, month.held_fen, month.unpayable_fen, month.due_fen, month.overpaid_fen) >= 0
    assert month.owed_fen == month.due_fen + month.unpayable_fen


def of(entitled: int, *, paid: int = 0, sent: int = 0, pending: int = 0, held: bool = False, payable: bool = True):  # type: ignore[no-untyped-def]
    return account_for(
        entitled_fen=entitled, paid_fen=paid, sent_fen=sent, pending_fen=pending, held=held, payable=payable
    )


def test_an_entitled_month_that_nothing_happened_to_is_due() -> None:
    assert of(10_000).due_fen == 10_000


def test_a_raise_with_a_date_in_the_past_leaves_the_difference_due() -> None:
    assert of(11_000, paid=10_000).due_fen == 1_000


def test_a_month_that_is_held_is_not_owed_now() -> None:
    month = of(10_000, held=True, payable=False)
    assert (month.held_fen, month.owed_fen, month.unpayable_fen) == (10_000, 0, 0)


def test_without_an_account_the_month_stays_owed() -> None:
    month = of(10_000, payable=False)
    assert (month.unpayable_fen, month.owed_fen, month.due_fen) == (10_000, 10_000, 0)


def test_a_payment_drawn_up_for_a_month_that_is_no_longer_due_is_not_in_flight() -> None:
    month = of(0, pending=10_000)
    assert (month.in_flight_fen, month.overpaid_fen) == (0, 0)


def test_what_is_with_the_bank_for_a_month_no_longer_due_is_overpaid_already() -> None:
    assert of(0, sent=10_000).overpaid_fen == 10_000


def test_a_finding_takes_a_drawn_up_payment_out_of_flight() -> None:
    month = of(10_000, pending=10_000, held=True)
    assert (month.in_flight_fen, month.held_fen) == (0, 10_000)
