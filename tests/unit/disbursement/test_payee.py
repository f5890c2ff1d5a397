from typing import Literal

import pytest

from services.disbursement.payee import Account, obstacle_to_paying


@pytest.mark.parametrize("cannot_act", [False, True])
def test_the_persons_own_active_card_is_paid(cannot_act: bool) -> None:
    assert obstacle_to_paying(Account("own", "active"), cannot_act=cannot_act) is None


@pytest.mark.parametrize("holder", ["guardian", "institution"])
def test_a_guardian_or_institution_is_paid_for_whoever_cannot_act_with_a_recorded_reason(
    holder: Literal["guardian", "institution"],
) -> None:
    account = Account(holder, "active", "卧床，无法办理社会保障卡")
    assert obstacle_to_paying(account, cannot_act=True) is None


def test_a_guardian_without_a_recorded_reason_is_not_paid() -> None:
    assert obstacle_to_paying(Account("guardian", "active"), cannot_act=True) == "reason_missing"
    assert obstacle_to_paying(Account("guardian", "active", "  "), cannot_act=True) == "reason_missing"


def test_nobody_else_is_paid_for_a_capable_adult() -> None:
    assert obstacle_to_paying(Account("guardian", "active", "方便"), cannot_act=False) == "own_card_first"


@pytest.mark.parametrize(
    ("account", "obstacle"),
    [
        (None, "no_payee"),
        (Account("own", "none"), "no_card"),
        (Account("own", "inactive"), "card_not_activated"),
    ],
)
def test_a_capable_adult_without_a_working_card_is_entitled_and_unpaid(account: Account | None, obstacle: str) -> None:
    assert obstacle_to_paying(account, cannot_act=False) == obstacle


def test_a_guardians_dormant_card_is_not_paid_either() -> None:
    assert obstacle_to_paying(Account("guardian", "inactive", "无法办卡"), cannot_act=True) == "card_not_activated"


def test_a_guardian_in_question_is_not_paid_and_an_own_card_is() -> None:
    guardians = Account("guardian", "active", "本人无卡")
    assert obstacle_to_paying(guardians, cannot_act=True, guardian_in_question=True) == "guardian_in_question"
    assert obstacle_to_paying(Account("own", "active"), cannot_act=True, guardian_in_question=True) is None
