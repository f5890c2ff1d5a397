from __future__ import annotations

from datetime import date

import pytest

from libs.common.events.intake import CertificateClaim, Component
from services.intake.errors import OwnCardFirst
from services.intake.payee import Account, Guardian, account_after, comes_of_age_on, require_rightful
from services.intake.persons import Person

GUARDIANS = Account(
    holder="guardian", holder_name="父亲", bank="农行", number="6228480000000000019", status="active", reason="无卡"
)
FATHER = Guardian(kind="person", name="父亲")


def test_one_comes_of_age_on_the_eighteenth_birthday() -> None:
    assert comes_of_age_on(date(2008, 5, 1)) == date(2026, 5, 1)
    assert comes_of_age_on(date(2008, 2, 29)) == date(2026, 3, 1)


def test_a_minor_cannot_act_until_the_day_of_age() -> None:
    person = Person("p1-x", "530102", "甲", "", adult_on=date(2026, 5, 1))
    assert person.cannot_act(date(2026, 4, 30))
    assert not person.cannot_act(date(2026, 5, 1))


def test_a_confirmed_severe_mental_component_keeps_an_adult_from_acting() -> None:
    parts = (Component(category="vision", level=1), Component(category="mental", level=2))
    claim = CertificateClaim(category="multiple", level=1, components=parts)
    assert Person("p1-x", "530102", "甲", "", certificate=claim).cannot_act(date(2026, 5, 1))


def test_a_certificates_number_is_that_of_the_resident_id_and_what_was_confirmed() -> None:
    claim = CertificateClaim(category="physical", level=2, reissue=1)
    person = Person("p1-x", "530102", "甲", "530102197005010018", certificate=claim)
    assert person.certificate_number(date(2026, 5, 1)) == "53010219700501001842B1"
    assert Person("p1-x", "530102", "甲", "530102197005010018").certificate_number(date(2026, 5, 1)) is None


def test_the_own_card_comes_first() -> None:
    with pytest.raises(OwnCardFirst):
        require_rightful(GUARDIANS, person_name="甲", guardian=FATHER, cannot_act=True, own_card_active=True)
    assert require_rightful(GUARDIANS, person_name="甲", guardian=FATHER, cannot_act=True) == GUARDIANS


def test_with_the_guardian_the_account_changes_and_an_own_one_stays() -> None:
    own = Account(holder="own", holder_name="甲", bank="农行", number="6228480000000000027", status="active")
    mother = Guardian.model_validate(
        {"kind": "person", "name": "母亲", "account": {"bank": "富滇", "number": "62170011"}}
    )
    assert account_after(mother, own) == own
    assert account_after(mother, None) is None
    after = account_after(mother, GUARDIANS)
    assert after is not None
    assert (after.holder_name, after.number, after.reason) == ("母亲", "62170011", "无卡")
    bare = Guardian.model_validate({"kind": "person", "name": "母亲", "account": "62170011"})
    assert account_after(bare, GUARDIANS) is None, "without a bank nothing can be sent there"
