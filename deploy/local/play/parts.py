"""Who plays what in the story: persons of one kind each, to whom nothing else happens."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from deploy.local.play.applying import Decided
from deploy.local.sample.county import LifeChange, Person
from libs.common.period import Period


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts, and those who play them."""

    unlucky: list[Person]
    """Their accounts fail at the bank; all but the last are corrected."""
    expiring: list[Person]
    """Their certificates expire; all but the last are renewed."""
    leaving: list[Person]
    """They leave dibao."""
    accused: Person
    """Somebody is wrongly reported dead."""
    steady: Person
    """Somebody to whom only the raise happens."""
    late_deaths: list[LifeChange]
    """Deaths in the first month, which the county hears of after the fourth."""


def cast(decided: list[Decided], changes: list[LifeChange], first: Period) -> Parts:
    """The parts, given to those who were granted living in the first month and have a card of their own."""
    touched = {change.id_number for change in changes}
    households = Counter(outcome.person.household_id for outcome in decided)
    plain = [
        outcome.person
        for outcome in decided
        if "living" in outcome.granted
        and outcome.person.card_status == "active"
        and outcome.person.id_number not in touched
        and outcome.person.expires_on > first.plus(24).last_day
        and households[outcome.person.household_id] == 1
    ]
    granted = {outcome.person.id_number for outcome in decided if outcome.granted}
    late = [change for change in changes if change.id_number in granted and change.on <= first.last_day]
    return Parts(plain[0:3], plain[3:6], plain[6:9], accused=plain[9], steady=plain[10], late_deaths=late)
