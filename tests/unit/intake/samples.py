"""Made-up people who apply, for tests."""

from __future__ import annotations

import itertools
from datetime import date
from typing import Any

from libs.common.identity import check_character
from libs.common.vocabulary import CATEGORIES

_sequence = itertools.count(1)


def id_number(born: date = date(1970, 5, 1), area: str = "530102") -> str:
    """A new valid resident ID: no two in one run are alike as long as fewer than 1,000 are born on one day."""
    first_17 = f"{area}{born:%Y%m%d}{next(_sequence) % 1000:03d}"
    return first_17 + check_character(first_17)


def declaration(
    *,
    born: date = date(1970, 5, 1),
    number: str | None = None,
    category: str = "physical",
    level: int = 1,
    area: str = "530102001",
    subsidies: tuple[str, ...] = ("living", "care"),
    applied_on: date = date(2026, 3, 2),
    **changes: Any,
) -> dict[str, Any]:
    """The body of `POST /v1/applications` for a person who is paid to an own active card."""
    number = number or id_number(born)
    digits = f"{CATEGORIES.index(category) + 1}{level}"
    body: dict[str, Any] = {
        "applicant": {
            "name": "阿依古丽·买买提",
            "id_number": number,
            "certificate_number": number + digits,
            "phone": "13888881234",
            "hukou_area": area,
        },
        "subsidies": list(subsidies),
        "applied_on": applied_on.isoformat(),
        "channel": "online",
        "account": {"holder": "own", "bank": "云南农信", "number": "6217001234567890128", "status": "active"},
        "commitment": {"signed_on": applied_on.isoformat(), "version": "2026-01"},
        "facts": {"long_term_care": True, "low_income": {"category": "dibao", "from": "2024-01-01"}},
    }
    return body | changes


def guardian(**changes: Any) -> dict[str, Any]:
    """A father whose own account is known."""
    return {
        "kind": "person",
        "name": "买买提·吐尔逊",
        "id_number": id_number(date(1965, 2, 3)),
        "phone": "13900001111",
        "account": {"bank": "中国农业银行", "number": "6228480000000000019"},
    } | changes


def guardian_account(**changes: Any) -> dict[str, Any]:
    return {
        "holder": "guardian",
        "bank": "中国农业银行",
        "number": "6228480000000000019",
        "status": "active",
        "reason": "本人尚未办理社会保障卡",
    } | changes
