"""What this bank does with a transfer: pure rules, faults and dice included."""

from __future__ import annotations

import re
from datetime import date
from random import Random
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from libs.common.money import yuan_text
from libs.common.vocabulary import ReturnCode

Rate = Annotated[float, Field(ge=0, le=1)]

DETAILS: dict[ReturnCode, str] = {
    "not_found": "账户不存在",
    "name_mismatch": "户名不符",
    "closed": "账户已销户",
    "dormant": "账户已转久悬",
    "not_activated": "社会保障卡金融账户未激活",
    "lost": "账户已挂失",
    "credit_blocked": "账户止付",
    "id_expired": "证件已过期",
    "limit_exceeded": "超出账户限额",
    "fraud_control": "账户被风险控制",
    "holder_dead": "持卡人已死亡",
    "wrong_bank": "开户行不符",
}

_ACCOUNT = re.compile(r"^\d{8,32}$")


class AnswerFaults(BaseModel):
    """What goes wrong with any answer, whoever gives it."""

    model_config = ConfigDict(extra="forbid")

    latency_ms: int = Field(default=0, ge=0, le=60_000, description="each answer comes this much later")
    http_500_rate: Rate = Field(default=0, description="answers 500 and has done nothing")


class Faults(AnswerFaults):
    """What goes wrong, for tests. Everything is right by default."""

    timeout_after_accept_rate: Rate = Field(default=0, description="accepts the batch and never answers")
    drop_webhook_rate: Rate = Field(default=0, description="the webhook is lost, and not tried again")
    duplicate_webhook_rate: Rate = Field(default=0, description="the webhook is sent twice")
    reorder: bool = Field(default=False, description="webhooks are sent in any order")
    fail_accounts: dict[str, ReturnCode] = Field(default={}, description="transfers to these accounts fail")
    return_accounts: dict[str, ReturnCode] = Field(
        default={}, description="transfers to these accounts settle and come back; a list means `closed`"
    )
    sms_missing_field_rate: Rate = Field(default=0, description="the SMS lacks one of its five items")

    @field_validator("return_accounts", mode="before")
    @classmethod
    def _accounts_with_codes(cls, value: object) -> object:
        return dict.fromkeys(value, "closed") if isinstance(value, list) else value


def failure_of(account: str, faults: Faults) -> ReturnCode | None:
    """Why a transfer to `account` fails; None if it settles."""
    if not _ACCOUNT.match(account):
        return "not_found"
    return faults.fail_accounts.get(account)


def return_of(account: str, faults: Faults) -> ReturnCode | None:
    """Why a settled transfer to `account` comes back; None if it stays."""
    return faults.return_accounts.get(account)


def sms_text(
    *,
    project: str,
    amount_fen: int,
    settled_on: date,
    department: str,
    period_text: str,
    faults: Faults,
    dice: Random,
) -> str:
    """The SMS to the payee with its five items; neither name nor ID nor disability."""
    items = [
        f"补贴项目：{project}",
        f"发放金额：{yuan_text(amount_fen)}元",
        f"发放日期：{settled_on:%Y年%m月%d日}",
        f"主管部门：{department}",
        f"发放周期：{period_text}",
    ]
    if dice.random() < faults.sms_missing_field_rate:
        items.pop(dice.randrange(len(items)))
    return f"【一卡通】{'，'.join(items)}。"
