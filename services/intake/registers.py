"""What departments' registers say against what is on record: the own card, the guardian, the institution (notice 4.4 to
4.6). What differs is a lead for the township; nothing here changes an account."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from libs.common.events.matching import RegisteredCard, RegisteredGuardian, RegisteredResidence
from services.intake.persons import RecordedAccount

LeadKind = Literal[
    "own_card_active",
    "own_card_unusable",
    "own_card_differs",
    "own_card_unlisted",
    "guardianship_ended",
    "guardian_differs",
    "guardian_unlisted",
    "guardians_contradict",
    "institution_entered",
    "institution_left",
    "institution_unlisted",
    "institutions_contradict",
]

IN_QUESTION: frozenset[LeadKind] = frozenset({"guardianship_ended", "guardian_differs", "guardian_unlisted"})
"""While one of these is open nothing is paid to a guardian: whoever is on record may be the former one (notice 4.5).
A child that left an institution may still be its ward (家庭寄养), so that `institution_left` holds nothing; nor does a
contradiction, which says nothing, nor another account of the person's own."""

IN_WORDS: dict[LeadKind, str] = {
    "own_card_active": "社会保障卡数据：本人社保卡金融功能已开通，而补贴未发放至本人社保卡",
    "own_card_unusable": "社会保障卡数据：本人社保卡金融功能未开通或已无卡，而补贴仍发放至本人社保卡",
    "own_card_differs": "社会保障卡数据：本人社保卡账号与登记的本人账号不一致",
    "own_card_unlisted": "社会保障卡数据：最新全量数据中已无登记的本人社保卡",
    "guardianship_ended": "监护关系数据：在册监护人的监护关系已终止",
    "guardian_differs": "监护关系数据：现监护人与在册的不是同一人",
    "guardian_unlisted": "监护关系数据：最新全量数据中已无在册监护人的监护关系",
    "guardians_contradict": "监护关系数据：同时有多名监护人，均与在册的不是同一人，请核对",
    "institution_entered": "机构供养数据：现由机构集中供养，而在册监护人不是该机构",
    "institution_left": "机构供养数据：已离开在册的监护机构",
    "institution_unlisted": "机构供养数据：最新全量数据中已不在登记的监护机构",
    "institutions_contradict": "机构供养数据：同时在多家机构，均与在册的不是同一家，请核对",
}


@dataclass(frozen=True, slots=True)
class Registers:
    """All that the registers say of one person. `unlisted`: sources whose newest whole file does not name them; of
    these it is what was said last."""

    cards: Sequence[RegisteredCard] = ()
    guardians: Sequence[RegisteredGuardian] = ()
    residences: Sequence[RegisteredResidence] = ()
    unlisted: frozenset[str] = frozenset()

    def next_day(self, on: date) -> date | None:
        """The first day after `on` on which something begins, or is over: on it they say something else."""
        intervals = (*self.guardians, *self.residences)
        turns = [each.from_ for each in intervals] + [each.to for each in intervals if each.to]
        return min((turn for turn in turns if turn >= on), default=None)


@dataclass(frozen=True, slots=True)
class OnRecord:
    """Whom the money goes to now. `guardian`: the guardian's person id; an institution has an `org_code` instead.
    `account_token`: the account's number as registers have it."""

    account: RecordedAccount | None
    account_token: str | None = None
    guardian: str | None = None
    org_code: str | None = None


def leads_of(registers: Registers, record: OnRecord, *, cannot_act: bool, on: date) -> Iterator[LeadKind]:
    """What the registers say on that day that is not so on record. Who is missing from a register is only looked for
    where it last said what is on record: else what it said is answered as before."""
    yield from _of_cards(registers, record)
    yield from _of_guardians(registers, record, cannot_act=cannot_act, on=on)
    yield from _of_residences(registers, record, on=on)


def _of_cards(registers: Registers, record: OnRecord) -> Iterator[LeadKind]:
    paid_to_own = record.account is not None and record.account.is_active_own_card
    active = [card for card in registers.cards if card.status == "active"]
    if active and not paid_to_own:
        yield "own_card_active"
    elif active and record.account_token not in _numbers(active, record):
        yield "own_card_differs"
    elif active and "social_cards" in registers.unlisted:
        yield "own_card_unlisted"
    elif registers.cards and not active and paid_to_own:
        yield "own_card_unusable"


def _numbers(cards: Sequence[RegisteredCard], record: OnRecord) -> set[str | None]:
    """The accounts of these cards; one whose number the register does not have may be the one on record."""
    return {card.number_token or record.account_token for card in cards}


def _of_guardians(registers: Registers, record: OnRecord, *, cannot_act: bool, on: date) -> Iterator[LeadKind]:
    listed = registers.guardians
    current = {each.guardian_person_id for each in listed if each.from_ <= on and (each.to is None or each.to >= on)}
    if record.guardian in current:
        if "guardianships" in registers.unlisted:
            yield "guardian_unlisted"
        return
    if len(current) > 1:
        yield "guardians_contradict"
    elif current and (record.guardian or record.org_code or _needs_guardian(record, cannot_act=cannot_act)):
        yield "guardian_differs"
    elif any(each.guardian_person_id == record.guardian and each.to is not None and each.to < on for each in listed):
        yield "guardianship_ended"


def _needs_guardian(record: OnRecord, *, cannot_act: bool) -> bool:
    return cannot_act and not (record.account is not None and record.account.is_active_own_card)


def _of_residences(registers: Registers, record: OnRecord, *, on: date) -> Iterator[LeadKind]:
    listed = registers.residences
    current = {each.org_code for each in listed if each.from_ <= on and (each.to is None or each.to >= on)}
    if record.org_code in current:
        if "institution_residents" in registers.unlisted:
            yield "institution_unlisted"
        return
    if len(current) > 1:
        yield "institutions_contradict"
    elif current:
        yield "institution_entered"
    elif any(each.org_code == record.org_code and each.to is not None and each.to < on for each in listed):
        yield "institution_left"


def entry_in_words(entry: Mapping[str, Any]) -> str:
    """One entry of a register, for who is to look at it; nobody is named."""
    if "status" in entry:
        return "，".join(filter(None, (entry["bank"], _CARDS[entry["status"]])))
    who = f"机构 {entry['org_code']}" if "org_code" in entry else "监护人"
    return f"{who}：{entry['from']} 至 {entry['to'] or '今'}"


_CARDS = {"active": "已激活", "inactive": "未激活", "none": "无社会保障卡"}
