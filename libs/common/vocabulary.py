"""The closed word lists that services, events and outside parties share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

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

Level = Annotated[int, Field(ge=1, le=4, description="1 is the most severe")]

CertificateStatus = Literal["valid", "in_transit", "moved_out", "expired", "frozen", "cancelled"]

IncomeCategory = Literal["dibao", "borderline", "tekun", "rigid", "monitored"]

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

CustodyKind = Literal["serving", "detention_serving", "detained", "probation", "parole", "outside"]

LifeEvent = Literal["died", "declared_dead", "declared_missing", "missing", "reappeared"]

Channel = Literal["counter", "online", "cross_province", "one_thing"]

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
