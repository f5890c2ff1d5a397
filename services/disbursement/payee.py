"""Whom a subsidy is paid to (notice 4.4, 4.5; 云财农〔2022〕249号): the person's own social security card first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Holder = Literal["own", "guardian", "institution"]
CardStatus = Literal["active", "inactive", "none"]

Obstacle = Literal[
    "no_payee",
    "no_card",
    "card_not_activated",
    "own_card_first",
    "reason_missing",
    "guardian_in_question",
    "account_failed",
    "heir_awaited",
]
OBSTACLE_NAMES: dict[Obstacle, str] = {
    "no_payee": "尚未登记收款账户",
    "no_card": "尚未办理社会保障卡",
    "card_not_activated": "社会保障卡金融功能未开通",
    "own_card_first": "有民事行为能力，应发放至本人社会保障卡",
    "reason_missing": "使用监护人账户未记录原因",
    "guardian_in_question": "监护关系有变，待核实后发放",
    "account_failed": "账户发放失败，待更正",
    "heir_awaited": "批准前已去世，待继承人提供证明",
}


@dataclass(frozen=True, slots=True)
class Account:
    """The approved account of a person. `reason`: why it is not the person's own card."""

    holder: Holder
    status: CardStatus
    reason: str | None = None


def obstacle_to_paying(
    account: Account | None, *, cannot_act: bool, guardian_in_question: bool = False
) -> Obstacle | None:
    """Why nothing can be paid to `account` now; None when it can.

    The guardian's card or an institution's corporate account needs a person who cannot recognise their own conduct
    (`cannot_act`) and a recorded reason; it waits while a register names another guardian, or none any more
    (`guardian_in_question`, notice 4.5). A capable adult without a card of their own is entitled and unpaid.
    """
    if account is None:
        return "no_payee"
    if account.holder != "own":
        if not cannot_act:
            return "own_card_first"
        if not (account.reason and account.reason.strip()):
            return "reason_missing"
        if guardian_in_question:
            return "guardian_in_question"
    match account.status:
        case "active":
            return None
        case "inactive":
            return "card_not_activated"
        case "none":
            return "no_card"
