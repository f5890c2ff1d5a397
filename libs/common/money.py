"""Money is an integer number of fen (1 yuan = 100 fen); floats never touch it."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from pydantic import Field

Fen = Annotated[int, Field(strict=True, ge=0, le=10**15, description="amount in fen, 1 yuan = 100 fen")]

_YUAN = re.compile(r"^\d{1,13}(\.\d{1,2})?$")


def yuan_text(amount_fen: int) -> str:
    """`12345` → `123.45`: how banks and papers write an amount. Negative amounts keep their sign."""
    sign = "-" if amount_fen < 0 else ""
    yuan, fen = divmod(abs(amount_fen), 100)
    return f"{sign}{yuan}.{fen:02d}"


def fen_from_yuan(text: str) -> int:
    """`123.4` → `12340`; thousands separators and a trailing 元 are accepted; ValueError otherwise."""
    cleaned = text.strip().replace(",", "").replace("，", "").removesuffix("元")
    if not _YUAN.match(cleaned):
        raise ValueError(f"not an amount in yuan: {text!r}")
    return int(Decimal(cleaned) * 100)
