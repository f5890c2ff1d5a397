"""The closed word lists that services, events and outside parties share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

Subsidy = Literal["living", "care"]
SUBSIDIES: tuple[Subsidy, ...] = ("living", "care")

SUBSIDY_NAMES: dict[Subsidy, str] = {"living": "困难残疾人生活补贴", "care": "重度残疾人护理补贴"}

Category = Literal["vision", "hearing", "speech", "physical", "intellectual", "mental", "multiple"]
"""Disability categories in the order of the certificate number's category digit, 1 to 7."""
CATEGORIES: tuple[Category, ...] = ("vision", "hearing", "speech", "physical", "intellectual", "mental", "multiple")

CATEGORY_NAMES: dict[Category, str] = {
    "vision": "视力",
    "hearing": "听力",
    "speech": "言语",
    "physical": "肢体",
    "intellectual": "智力",
    "mental": "精神",
    "multiple": "多重",
}

LEVEL_NAMES: dict[int, str] = {1: "一级", 2: "二级", 3: "三级", 4: "四级"}

CertificateStatus = Literal["valid", "in_transit", "moved_out", "expired", "frozen", "cancelled"]

IncomeCategory = Literal["dibao", "borderline", "tekun", "rigid", "monitored"]
INCOME_NAMES: Mapping[str, str] = {
    "dibao": "最低生活保障家庭",
    "borderline": "低保边缘家庭",
    "tekun": "特困供养",
    "rigid": "刚性支出困难家庭",
    "monitored": "防止返贫监测对象",
}

BenefitKind = Literal[
    "orphan",
    "unattended_child_full",
    "unattended_child_part",
    "elderly_care",
    "elderly_service",
    "old_age",
    "work_injury_care",
    "retired_cadre_living",
    "retired_cadre_care",
    "duty_disability_living",
    "duty_disability_care",
    "other_living",
    "other_care",
    "ltc_insurance",
]
BENEFIT_NAMES: Mapping[str, str] = {
    "orphan": "孤儿基本生活保障",
    "unattended_child_full": "事实无人抚养儿童补贴（全额）",
    "unattended_child_part": "事实无人抚养儿童补贴（差额）",
    "elderly_care": "老年人护理补贴",
    "elderly_service": "养老服务补贴",
    "old_age": "高龄津贴",
    "work_injury_care": "工伤生活护理费",
    "retired_cadre_living": "离休干部生活补贴",
    "retired_cadre_care": "离休干部护理费",
    "duty_disability_living": "因公致残生活补贴",
    "duty_disability_care": "因公致残护理费",
    "other_living": "其他福利性生活补贴",
    "other_care": "其他护理补贴",
    "ltc_insurance": "长期护理保险",
}

CustodyKind = Literal["serving", "detention_serving", "detained", "probation", "parole", "outside"]

LifeEvent = Literal["died", "declared_dead", "declared_missing", "missing", "reappeared"]

DoorChannel = Literal["counter", "online", "cross_province", "one_thing"]
"""The ways on which a person applies."""

Channel = Literal["counter", "online", "cross_province", "one_thing", "roster"]
"""How an application came to be: a person applied, or it stood on a roster that was taken over (存量接管)."""

Stage = Literal["township", "cdpf", "civil_affairs"]
STAGES: tuple[Stage, ...] = ("township", "cdpf", "civil_affairs")

ApplicationStatus = Literal["submitted", "in_review", "returned", "approved", "rejected", "withdrawn"]
CycleStatus = Literal["draft", "concurred", "approved", "submitted", "settled", "closed"]
PaymentStatus = Literal["pending", "sent", "settled", "failed", "returned"]
FindingStatus = Literal["open", "confirmed", "dismissed"]

ReturnCode = Literal[
    "not_found",
    "name_mismatch",
    "closed",
    "dormant",
    "not_activated",
    "lost",
    "credit_blocked",
    "id_expired",
    "limit_exceeded",
    "fraud_control",
    "holder_dead",
    "wrong_bank",
]

_ENGLISH = re.compile(r" \([a-z][^()]*\)")
_NOTICE = re.compile(r"notice ([1-8])\.\d")


def in_chinese(reason: str) -> str:
    """A reason or citation as a paper or page says it: without its English, the notice by its name.

    `健在 (alive)` → `健在`; `notice 3.6; 国发〔2015〕52号` → `云南省精准管理实施意见第三条；国发〔2015〕52号`.
    """
    chinese = _NOTICE.sub(
        lambda cited: f"云南省精准管理实施意见第{'一二三四五六七八'[int(cited[1]) - 1]}条", _ENGLISH.sub("", reason)
    )
    return "；".join(dict.fromkeys(chinese.split("; ")))
