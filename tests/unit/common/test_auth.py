"""Tokens: what was checked a moment ago is not checked again, and no longer holds once it has ended."""

from __future__ import annotations

import time

import pytest

from libs.common import auth
from libs.common.auth import TokenVerifier
from libs.common.errors import Unauthenticated
from libs.common.issuer import issue_token, new_key_pair
from libs.common.settings import Settings


@pytest.fixture
def keys() -> tuple[str, str]:
    return new_key_pair()


def test_a_token_that_was_sound_is_refused_once_it_has_ended(
    keys: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier = TokenVerifier(Settings(jwt_public_key=keys[1]))
    monkeypatch.setattr(auth, "_SOUND_FOR_S", 1e9)
    token = issue_token(keys[0], role="township", area="530102001", hours=0)
    with pytest.raises(Unauthenticated):
        verifier.verify(token)

    token = issue_token(keys[0], role="township", area="530102001", hours=1)
    assert verifier.verify(token).role == "township"
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3601)
    checked: list[str] = []
    monkeypatch.setattr(verifier, "_checked", lambda again: checked.append(again) or {})
    with pytest.raises(Unauthenticated):
        verifier.verify(token)
    assert checked == [token], "past its end it was checked again"


def test_a_token_of_another_key_is_never_remembered(keys: tuple[str, str]) -> None:
    verifier = TokenVerifier(Settings(jwt_public_key=keys[1]))
    forged = issue_token(new_key_pair()[0], role="admin", area="00")
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            verifier.verify(forged)


def test_the_area_of_a_token_may_be_written_with_the_zeros_of_a_higher_level(keys: tuple[str, str]) -> None:
    verifier = TokenVerifier(Settings(jwt_public_key=keys[1]))
    of = {area: verifier.verify(issue_token(keys[0], role="finance", area=area)).area for area in ("530000", "530100")}
    assert of == {"530000": "53", "530100": "5301"}
    with pytest.raises(Unauthenticated):
        verifier.verify(issue_token(keys[0], role="finance", area="53010"))
