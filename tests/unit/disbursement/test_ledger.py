from datetime import date
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.disbursement import ledger
from services.disbursement.ledger import Book, Posting

BOOK = Book("530102", "living", 2026)
ON = date(2026, 3, 20)


def balance_of(entries: list[ledger.Entry]) -> dict[str, int]:
    return {account: fen for (_, account), fen in ledger.balances(entries).items() if fen}


def test_a_settled_payment_moves_its_money_from_the_budget_to_paid() -> None:
    entries = [
        ledger.appropriate(BOOK, "财社〔2026〕1号", 50_000, on=ON),
        ledger.commit(BOOK, "cycle", 10_000, on=ON),
        ledger.send(BOOK, "batch", 10_000, on=ON),
        ledger.settle(BOOK, "payment", 10_000, person_id="p1", on=ON),
    ]
    assert balance_of(entries) == {"appropriated": -50_000, "available": 40_000, "paid": 10_000}


def test_money_of_a_failed_and_of_a_returned_payment_can_be_sent_again() -> None:
    entries = [
        ledger.appropriate(BOOK, "1", 20_000, on=ON),
        ledger.commit(BOOK, "cycle", 20_000, on=ON),
        ledger.send(BOOK, "batch", 20_000, on=ON),
        ledger.fail(BOOK, "first", 10_000, person_id="p1", on=ON),
        ledger.settle(BOOK, "second", 10_000, person_id="p1", on=ON),
        ledger.take_back(BOOK, "second", 10_000, person_id="p1", on=ON),
    ]
    assert balance_of(entries) == {"appropriated": -20_000, "available": 20_000}


def test_a_payment_reported_failed_and_then_settled_counts_as_paid() -> None:
    entries = [
        ledger.appropriate(BOOK, "1", 10_000, on=ON),
        ledger.commit(BOOK, "cycle", 10_000, on=ON),
        ledger.send(BOOK, "batch", 10_000, on=ON),
        ledger.fail(BOOK, "payment", 10_000, person_id="p1", on=ON),
        ledger.settle_after_failure(BOOK, "payment", 10_000, person_id="p1", on=ON),
    ]
    assert balance_of(entries) == {"appropriated": -10_000, "paid": 10_000}


def test_what_is_recovered_goes_to_the_treasury_and_not_to_the_next_payment() -> None:
    entries = [
        ledger.appropriate(BOOK, "1", 30_000, on=ON),
        ledger.commit(BOOK, "cycle", 30_000, on=ON),
        ledger.send(BOOK, "batch", 30_000, on=ON),
        ledger.settle(BOOK, "payment", 30_000, person_id="p1", on=ON),
        ledger.claim(BOOK, "case/1", 25_000, person_id="p1", on=ON),
        ledger.repay(BOOK, "repayment", 10_000, person_id="p1", on=ON),
        ledger.write_off(BOOK, "write-off", 5_000, person_id="p1", on=ON),
        ledger.reduce_claim(BOOK, "case/2", 10_000, person_id="p1", on=ON),
    ]
    assert balance_of(entries) == {"appropriated": -30_000, "paid": 15_000, "refunded": 10_000, "written_off": 5_000}


def test_what_an_institution_gets_is_its_childs_until_it_is_used_or_given_back() -> None:
    child = {"person_id": "p1", "org_code": "12530100MB0000001X"}
    entries = [
        ledger.appropriate(BOOK, "1", 10_000, on=ON),
        ledger.commit(BOOK, "cycle", 10_000, on=ON),
        ledger.send(BOOK, "batch", 10_000, on=ON),
        ledger.settle(BOOK, "payment", 10_000, person_id="p1", on=ON),
        ledger.entrust(BOOK, "payment", 10_000, **child, on=ON),
        ledger.use(BOOK, "first", 6_000, **child, on=ON),
        ledger.give_back(BOOK, "second", 1_000, **child, on=ON),
    ]
    assert balance_of(entries) == {
        "appropriated": -10_000,
        "paid": 6_000,
        "refunded": 1_000,
        "institution_funds": 3_000,
    }


@pytest.mark.parametrize("amount_fen", [0, -1])
def test_a_posting_without_an_amount_is_refused(amount_fen: int) -> None:
    with pytest.raises(ValueError, match="positive amount"):
        Posting("paid", "clearing", amount_fen)


def test_a_posting_within_one_account_is_refused() -> None:
    with pytest.raises(ValueError, match="two accounts"):
        Posting("paid", "paid", 1)


@given(st.lists(st.tuples(st.sampled_from(get_args(ledger.Account)), st.integers(1, 10**9))))
def test_whatever_is_posted_the_books_balance(moves: list[tuple[ledger.Account, int]]) -> None:
    postings = [Posting(account, "clearing", fen) for account, fen in moves if account != "clearing"]
    entries = [ledger.Entry("settlement", str(n), BOOK, ON, (posting,)) for n, posting in enumerate(postings)]
    assert sum(ledger.balances(entries).values()) == 0
