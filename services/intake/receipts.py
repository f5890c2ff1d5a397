"""Receipt numbers (受理编号): by them and the end of a resident ID anyone sees how far an application is."""

from __future__ import annotations

import os
from datetime import date

_RECEIPT_CHARACTERS = b"23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Nothing that is mistaken for something else when read out over the phone."""

_OF_A_BYTE = (_RECEIPT_CHARACTERS * 9)[:256]
"""Which character a random byte draws: some by nine bytes, the others by eight, which helps nobody to guess."""


def new_receipt_no(area: str, on: date) -> str:
    """`530102-20260301-7K4QM2XH`: where, when, and eight characters that cannot be guessed."""
    return f"{area[:6]}-{on:%Y%m%d}-{os.urandom(8).translate(_OF_A_BYTE).decode()}"
