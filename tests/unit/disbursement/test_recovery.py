import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.period import Period
from services.disbursement.recovery import Case, ClaimedMonth, allocate, due_again_fen, review_claims

MARCH, APRIL, MAY = Period(2026, 3), Period(2026, 4), Period(2026, 5)


def case(*months: ClaimedMonth, key: str = "a", cause: str = "person.died") -> Case:
    return Case(key, cause, months)


def test_months_paid_too_much_open_one_case_with_exactly_these_months() -> None:
    [opened] = review_claims({MARCH: 0, APRIL: 10_000, MAY: 10_000}, [], "person.died")
    assert opened == Case(None, "person.died", (ClaimedMonth(APRIL, 10_000), ClaimedMonth(MAY, 10_000)))


def test_what_is_claimed_already_is_not_claimed_again() -> None:
    assert review_claims({APRIL: 10_000}, [case(ClaimedMonth(APRIL, 10_000))], "person.died") == []


def test_a_month_that_settles_later_joins_the_open_case_of_its_cause() -> None:
    [joined] = review_claims({APRIL: 10_000, MAY: 9_000}, [case(ClaimedMonth(APRIL, 10_000))], "person.died")
    assert joined == case(ClaimedMonth(APRIL, 10_000), ClaimedMonth(MAY, 9_000))


def test_another_cause_is_another_case() -> None:
    [opened] = review_claims({APRIL: 10_000, MAY: 9_000}, [case(ClaimedMonth(APRIL, 10_000))], "low_income.exited")
    assert (opened.key, opened.months) == (None, (ClaimedMonth(MAY, 9_000),))


def test_a_claim_falls_away_when_the_month_turns_out_to_be_due() -> None:
    [reduced] = review_claims({APRIL: 0}, [case(ClaimedMonth(APRIL, 10_000))], "fact.retracted")
    assert reduced.outstanding_fen == 0


def test_what_was_repaid_beyond_what_was_paid_too_much_is_due_again() -> None:
    repaid = case(ClaimedMonth(APRIL, 10_000, repaid_fen=4_000), ClaimedMonth(MAY, 10_000, repaid_fen=10_000))
    assert due_again_fen(repaid, {APRIL: 0, MAY: 9_000}) == 5_000
    assert due_again_fen(repaid, {APRIL: 10_000, MAY: 10_000}) == 0
    # Once it was paid again it is not due again.
    assert due_again_fen(repaid, {APRIL: 4_000, MAY: 10_000}) == 0


def test_what_was_repaid_stays_repaid_when_the_claim_falls_away() -> None:
    [reduced] = review_claims({APRIL: 0}, [case(ClaimedMonth(APRIL, 10_000, repaid_fen=4_000))], "fact.retracted")
    assert reduced.months == (ClaimedMonth(APRIL, 4_000, repaid_fen=4_000),)


def test_a_written_off_month_is_never_claimed_again() -> None:
    closed = case(ClaimedMonth(APRIL, 10_000, written_off_fen=10_000))
    assert review_claims({APRIL: 10_000}, [closed], "low_income.exited") == []


def test_what_was_written_off_falls_away_too_when_the_bank_returns_the_month() -> None:
    closed = case(ClaimedMonth(APRIL, 10_000, repaid_fen=1_000, written_off_fen=9_000))
    [reduced] = review_claims({APRIL: 0}, [closed], "person.died")
    assert reduced.months == (ClaimedMonth(APRIL, 1_000, repaid_fen=1_000),)


def test_a_claim_is_given_up_before_what_was_written_off_counts_as_due() -> None:
    open_case = case(ClaimedMonth(APRIL, 10_000, written_off_fen=4_000))
    [reduced] = review_claims({APRIL: 5_000}, [open_case], "person.died")
    assert reduced.months == (ClaimedMonth(APRIL, 5_000, written_off_fen=4_000),)


def test_a_closed_case_is_not_opened_again_for_another_month() -> None:
    closed = case(ClaimedMonth(APRIL, 10_000, repaid_fen=10_000))
    [opened] = review_claims({APRIL: 10_000, MAY: 10_000}, [closed], "person.died")
    assert opened.key is None


amounts = st.dictionaries(st.sampled_from([MARCH, APRIL, MAY]), st.integers(-20_000, 20_000))


@given(st.lists(amounts, max_size=6), st.sampled_from(["person.died", "low_income.exited"]))
def test_claims_follow_the_excess_whatever_happens(history: list[dict[Period, int]], cause: str) -> None:
    cases: list[Case] = []
    for excess in history:
        for change in review_claims(excess, cases, cause):
            if change.key is None:
                cases.append(Case(str(len(cases)), change.cause, change.months))
            else:
                cases[int(change.key)] = change
        for period in (MARCH, APRIL, MAY):
            claimed = sum(m.outstanding_fen for c in cases for m in c.months if m.period == period)
            assert claimed == max(0, excess.get(period, 0))


def test_a_repayment_covers_the_oldest_months_first() -> None:
    months = [ClaimedMonth(MAY, 10_000), ClaimedMonth(MARCH, 10_000, repaid_fen=5_000), ClaimedMonth(APRIL, 10_000)]
    assert allocate(months, 12_000) == {MARCH: 5_000, APRIL: 7_000}


def test_nobody_repays_more_than_is_outstanding() -> None:
    with pytest.raises(ValueError, match="1 fen more"):
        allocate([ClaimedMonth(MARCH, 10_000)], 10_001)
