"""The ledger of a comparison (台账): entries chained by SM3, so that none can be changed or left out unseen (notice 3).

An entry's hash is SM3 of the hash before it and its own text; the first follows 64 zeros.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from libs.common.privacy import sm3_hex

GENESIS = "0" * 64
_canonical = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str).encode


@dataclass(frozen=True, slots=True)
class Entry:
    """`body` is the entry as JSON: what it is about under `entry`, and where it lists many, those under `items`."""

    seq: int
    body: str
    hash: str


def chain(bodies: Iterable[Mapping[str, Any] | str], *, after: Entry | None = None) -> list[Entry]:
    """The entries that continue a ledger. A body that is JSON already is kept as it is written."""
    seq, previous = (after.seq + 1, after.hash) if after else (0, GENESIS)
    entries = []
    for body in bodies:
        text = body if isinstance(body, str) else _canonical(body)
        previous = hash_of(previous, text)
        entries.append(Entry(seq, text, previous))
        seq += 1
    return entries


def hash_of(previous: str, text: str) -> str:
    return sm3_hex(f"{previous}\n{text}".encode())


def line(entry: Entry, previous: str) -> str:
    """One line of the exported ledger. `entry` stands in it character for character as it was hashed."""
    return f'{{"seq":{entry.seq},"previous":"{previous}","hash":"{entry.hash}","entry":{entry.body}}}\n'


def broken_at(lines: Iterable[str]) -> int | None:
    """The first line (from 0) of an exported ledger that does not follow from the one before; None if all do."""
    previous = GENESIS
    for number, text in enumerate(lines):
        head, _, body = text.rstrip("\n").partition('"entry":')
        follows = hash_of(previous, body[:-1])
        if head != f'{{"seq":{number},"previous":"{previous}","hash":"{follows}",' or not body.endswith("}"):
            return number
        previous = follows
    return None
