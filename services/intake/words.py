"""What people write: identities as given, and reasons, notes, names of banks in their own words."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, StringConstraints


def _without_control_characters(text: str) -> str:
    """Line breaks stay; the rest of category Cc has no place in a text, and PostgreSQL refuses U+0000."""
    return "".join(c for c in text if c == "\n" or unicodedata.category(c) != "Cc")


Given = Annotated[str, StringConstraints(max_length=1000)]
"""An identity as it was given, to be repaired. A constraint also refuses lone surrogates, which no text can hold."""

Words = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=1000), AfterValidator(_without_control_characters)
]
ShortWords = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
    AfterValidator(_without_control_characters),
]
