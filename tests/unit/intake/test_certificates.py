"""Which certificate a person holds, from several that were told one after the other."""

from __future__ import annotations

from typing import Any

from libs.common.events.intake import CertificateClaim, Component
from services.intake.certificates import held

PARTS = (Component(category="physical", level=2), Component(category="mental", level=3))


def claim(**said: Any) -> CertificateClaim:
    return CertificateClaim(**{"category": "multiple", "level": 2, **said})


def test_nobody_told_of_any_and_none_is_held() -> None:
    assert held([]) is None


def test_what_a_later_one_leaves_open_stays_as_it_was_known() -> None:
    assert held([claim(components=PARTS, reissue=1), claim(level=1)]) == claim(components=PARTS, reissue=1, level=1)


def test_components_that_are_told_take_the_place_of_those_before() -> None:
    others = (Component(category="vision", level=2), Component(category="hearing", level=2))
    assert held([claim(components=PARTS), claim(components=others)]) == claim(components=others)


def test_a_single_disability_has_no_components_of_before() -> None:
    alone = claim(category="vision")
    assert held([claim(components=PARTS), alone]) == alone
    assert held([alone, claim()]) == claim()
