"""Receipt numbers (受理编号): by them and the end of a resident ID anyone sees how far an application is."""

from __future__ import annotations

import secrets
from datetime import date

_RECEIPT_CHARACTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Nothing that is mistaken for something else when read out over the phone."""


def new_receipt_no(area: str, on: date) -> str:
    """`530102-20260301-7K4QM2XH`: where, when, and eight characters that cannot be guessed."""
    drawn, characters = secrets.randbelow(len(_RECEIPT_CHARACTERS) ** 8), ""
    for _ in range(8):
        drawn, place = divmod(drawn, len(_RECEIPT_CHARACTERS))
        characters += _RECEIPT_CHARACTERS[place]
    return f"{area[:6]}-{on:%Y%m%d}-{characters}"
