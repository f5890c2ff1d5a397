"""Whose account the money goes to (notice 4.4, 4.5; 云财农〔2022〕249号), and who cannot act for themselves.

The person's own social security card comes first. The card of the legal guardian, or the corporate account of an
institution that is guardian, is for persons who cannot act, where their own cannot be had, and with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator

from libs.common.errors import InvalidInput
from libs.common.identity import same_name
from libs.common.vocabulary import Category
from services.intake.errors import OwnCardFirst
from services.intake.words import Given, ShortWords, Words

ADULT_AGE = 18
"""Years; 民法典 art. 17."""

_SEVERE = 2
"""Levels 1 and 2 are severe (重度)."""

CardStatus = Literal["active", "inactive", "none"]


class BankAccount(BaseModel):
    """A guardian's own account, as noted with the guardian."""

    model_config = ConfigDict(frozen=True)

    bank: ShortWords | None = None
    number: Given


class Guardian(BaseModel):
    """The legal guardian (法定监护人): a person by resident ID, or an institution by its organisation code."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["person", "institution"]
    name: Given
    id_number: Given | None = None
    org_code: ShortWords | None = None
    phone: Given | None = None
    account: BankAccount | None = None

    @field_validator("account", mode="before")
    @classmethod
    def _bare_number(cls, value: object) -> object:
        return {"number": value} if isinstance(value, str) else value


class Account(BaseModel):
    """Where a person wants the money. `status` is that of the card's bank function, `none`: no card at all.

    `reason`: why it is not the person's own card. `holder_name`: as on the account; by default the holder's name.
    """

    model_config = ConfigDict(frozen=True)

    holder: Literal["own", "guardian"]
    bank: ShortWords | None = None
    number: Given | None = None
    status: CardStatus
    reason: Words | None = None
    holder_name: Given | None = None


class Incapacity(BaseModel):
    """A finding that an adult cannot act: a court's (民法典 art. 24) or a recorded assessment."""

    model_config = ConfigDict(frozen=True)

    basis: Literal["court", "assessment"]
    found_on: date
    document_no: ShortWords


def institution_of(account: Account, guardian: Guardian | None) -> str | None:
    """The organisation code of the institution that holds the account as guardian (notice 4.6)."""
    if account.holder == "guardian" and guardian is not None and guardian.kind == "institution":
        return guardian.org_code
    return None


def comes_of_age_on(birth_date: date) -> date:
    """The 18th birthday; of those born on 29 February, 1 March in years without one."""
    try:
        return birth_date.replace(year=birth_date.year + ADULT_AGE)
    except ValueError:
        return date(birth_date.year + ADULT_AGE, 3, 1)


def has_severe_mind_disability(category: Category, level: int, components: Sequence[tuple[Category, int]] = ()) -> bool:
    """Severe intellectual or mental disability, also as a component of a multiple one (notice 4.4)."""
    parts = components or ((category, level),)
    return any(kind in ("intellectual", "mental") and degree <= _SEVERE for kind, degree in parts)


def require_rightful(
    account: Account,
    *,
    person_name: str,
    guardian: Guardian | None,
    cannot_act: bool,
    own_card_active: bool = False,
    path: str = "",
) -> Account:
    """The account with its holder's name, if money may go there. InvalidInput names the field below `path`;
    OwnCardFirst: `own_card_active`, and it is a guardian's."""
    if account.holder == "guardian":
        if own_card_active:
            raise OwnCardFirst(
                "须先登记本人社保卡不能使用"
                " (record that the own card cannot be used before another account takes its place)"
            )
        if guardian is None:
            raise InvalidInput.at(f"{path}holder", "未填监护人 (needs a guardian, and none is given)")
        if (wrong := wrong_with_guardians(account, cannot_act=cannot_act)) is not None:
            raise InvalidInput.at(f"{path}{wrong[0]}", wrong[1])
    return with_holder(account, person_name=person_name, guardian=guardian, path=path)


def wrong_with_guardians(account: Account, *, cannot_act: bool) -> tuple[str, str] | None:
    """Why nothing may go to a guardian's account: the field, and what is wrong with it."""
    if not cannot_act:
        return "holder", (
            "只有未成年人、重度智力或精神残疾人和经认定不能辨别自身行为的人由监护人代领 (only a minor, a person"
            " with severe intellectual or mental disability, or one found unable to act is paid so, notice 4.4)"
        )
    if not account.reason:
        return "reason", "应写明不用本人社会保障卡的原因 (say why the person's own card cannot be used, notice 4.4)"
    if account.status == "none":
        return "status", "监护人没有账户 (a guardian's account that does not exist cannot be paid to)"
    return None


def with_holder(account: Account, *, person_name: str, guardian: Guardian | None, path: str = "") -> Account:
    """The account with its holder's name; InvalidInput where it lacks what a payment needs, or names somebody else."""
    holder_name = person_name if account.holder == "own" or guardian is None else guardian.name
    if account.status != "none":
        if account.number is None:
            raise InvalidInput.at(f"{path}number", "有账户时必填 (needed unless status is none)")
        if account.bank is None:
            raise InvalidInput.at(f"{path}bank", "有账户时必填 (needed unless status is none)")
    if account.holder_name is not None and not same_name(account.holder_name, holder_name):
        raise InvalidInput.at(
            f"{path}holder_name", f"户名与账户持有人不符 (is not the name of the {account.holder} holder)"
        )
    return account.model_copy(update={"holder_name": holder_name})


def account_after(guardian: Guardian, current: Account | None) -> Account | None:
    """The account once guardianship has passed to `guardian`: an own one stays; the former guardian's is replaced by
    the new one's, or by none: nothing more goes to the former guardian (notice 4.5)."""
    if current is None or current.holder == "own":
        return current
    if guardian.account is None or guardian.account.bank is None:
        return None
    return Account(
        holder="guardian",
        holder_name=guardian.name,
        bank=guardian.account.bank,
        number=guardian.account.number,
        status="active",
        reason=current.reason,
    )
