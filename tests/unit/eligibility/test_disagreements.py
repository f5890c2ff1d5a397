"""Sources that disagree: each disagreement is found whichever came first, and the one that counts is the fold's."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import pytest

from services.eligibility.disagreements import disagreements
from services.eligibility.folding import Assertion, fold
from services.eligibility.sources import rank_of

DAY = date(2026, 5, 4)
EARLY, LATE = datetime(2026, 5, 10, tzinfo=UTC), datetime(2026, 6, 10, tzinfo=UTC)


def told(kind_of_fact: str, source: str, known_at: datetime = EARLY, on: date = DAY, **data: Any) -> Assertion:
    return Assertion(str(uuid4()), kind_of_fact, on, known_at, rank_of(source), data)


def test_what_was_known_later_counts() -> None:
    dibao = told("low_income.entered", "low_income", EARLY, category="dibao")
    borderline = told("low_income.entered", "partner", LATE, category="borderline")
    for order in ([dibao, borderline], [borderline, dibao]):
        [found] = disagreements(order)
        assert (found.line, found.on, found.won, found.lost) == ("low_income", DAY, borderline, (dibao,))
        assert found.because == "known later"
        assert [entry.category for entry in fold(order).low_income if entry.to is None] == ["borderline"]


def test_of_two_known_at_the_same_time_the_source_of_higher_rank_counts() -> None:
    feed = told("certificate.issued", "certificates", category="physical", level=1)
    partner = told("certificate.issued", "partner", category="physical", level=2)
    [found] = disagreements([feed, partner])
    assert (found.won, found.because) == (feed, "source of higher rank")
    assert fold([feed, partner]).certificates[0].level == 1


def test_two_that_say_the_same_do_not_disagree() -> None:
    issued = told("certificate.issued", "certificates", category="physical", level=1)
    renewed = told("certificate.renewed", "partner", LATE, category="physical", level=1)
    moved = told("person.moved", "population", to_area="530103")
    seen = told("residence.observed", "review", area="530103")
    assert disagreements([issued, renewed, moved, seen]) == []


def test_two_days_of_death_disagree_and_the_earlier_counts() -> None:
    deaths = told("person.died", "deaths", LATE, date(2026, 6, 30))
    cremations = told("person.died", "cremations", EARLY, date(2026, 7, 2))
    [found] = disagreements([deaths, cremations])
    assert (found.line, found.won, found.because) == ("death", deaths, "earliest death counts")


def test_what_was_retracted_disagrees_with_nothing() -> None:
    wrong = told("low_income.entered", "partner", category="tekun")
    right = told("low_income.entered", "low_income", LATE, category="dibao")
    retraction = told("fact.retracted", "partner", LATE, retracts=wrong.fact_id)
    assert disagreements([wrong, right, retraction]) == []


@pytest.mark.parametrize("kind", ["old_age", "elderly_care"])
def test_benefits_of_two_kinds_go_together(kind: str) -> None:
    one = told("benefit.started", "benefits", kind=kind, amount_fen=5000)
    other = told("benefit.started", "partner", kind="elderly_service", amount_fen=9000)
    same = told("benefit.started", "partner", LATE, kind=kind, amount_fen=6000)
    assert disagreements([one, other]) == []
    assert [found.line for found in disagreements([one, other, same])] == [f"benefit:{kind}"]
