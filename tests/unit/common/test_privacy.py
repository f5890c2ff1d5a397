from __future__ import annotations

import pytest

from libs.common.privacy import KeyMissing, PersonKeys, Sealer, UnsealingFailed

SEALER = Sealer({"k2": bytes(range(16)), "k1": bytes(range(16, 32))})
OLD = Sealer({"k1": bytes(range(16, 32))})
PERSONS = PersonKeys.parse("2:" + "ab" * 32 + ",1:" + "cd" * 32)
RARE = "\u4dae\U00020000·" + "阿" * 25


def test_a_sealed_text_is_opened_at_its_own_place_and_nowhere_else() -> None:
    sealed = SEALER.seal(RARE, "contacts", "p1-x", "name")
    assert SEALER.open(sealed, "contacts", "p1-x", "name") == RARE
    for place in (("contacts", "p1-y", "name"), ("contacts", "p1-x", "phone"), ()):
        with pytest.raises(UnsealingFailed):
            SEALER.open(sealed, *place)


def test_a_damaged_text_is_not_opened() -> None:
    sealed = SEALER.seal("x" * 20, "place")
    with pytest.raises(UnsealingFailed):
        SEALER.open(sealed[:-6] + ("A" if sealed[-6] != "A" else "B") + sealed[-5:], "place")


def test_keys_rotate_old_texts_open_and_new_ones_use_the_new_key() -> None:
    assert SEALER.open(OLD.seal("old", "p"), "p") == "old"
    assert SEALER.seal("new", "p").startswith("sm4.k2.")
    with pytest.raises(UnsealingFailed, match="no sealing key k2"):
        OLD.open(SEALER.seal("new", "p"), "p")


def test_sealing_twice_gives_two_texts() -> None:
    assert SEALER.seal("same", "p") != SEALER.seal("same", "p")


def test_a_person_id_is_stable_names_its_key_and_hides_the_number() -> None:
    person_id = PERSONS.person_id("53010219440812001X")
    assert person_id == PERSONS.person_id("53010219440812001X")
    assert person_id.startswith("p2-")
    assert "1944" not in person_id
    assert person_id != PERSONS.person_id("530102194408120028")


def test_tokens_of_two_purposes_cannot_be_compared() -> None:
    assert PERSONS.token("account", "6217") != PERSONS.token("phone", "6217")


def test_without_keys_it_says_which_setting_is_missing() -> None:
    with pytest.raises(KeyMissing, match="LIANGBU_PERSON_KEYS"):
        PersonKeys.parse("").person_id("53010219440812001X")
    with pytest.raises(KeyMissing, match="LIANGBU_SEALING_KEYS"):
        Sealer.parse("").seal("x")


def test_keys_never_show_themselves() -> None:
    assert "abab" not in repr(PERSONS)
    assert repr(bytes(range(16)))[2:10] not in repr(SEALER)
