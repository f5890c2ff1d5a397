"""Columns of a feed, read as wholes: NumPy and Arrow judge what is right as it stands, Python what needs repair.

A file repeats itself: dates, words and areas are read once for each text that occurs. Resident IDs do not; of those
that are written as they should be, checksum and birth date are judged by NumPy over their bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from libs.common.identity import (
    OLDEST_YEARS,
    CertificateNumber,
    InvalidIdentity,
    ResidentId,
)
from services.matching.formats import Batch
from services.matching.pseudonyms import Pseudonyms
from services.matching.rejects import Reject
from services.matching.rows import cell_or_none, read_cell
from services.matching.sources import TOKENS, Column, Source
from services.matching.stored import TYPES

Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]

_REMEMBERED_TEXTS = 200_000
"""Of one column; beyond it what was read is forgotten and read again."""

_WEIGHTS = np.array((7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2), dtype=np.int32)
_CHECKS = np.frombuffer(b"10X98765432", dtype=np.uint8)
_DAYS_IN_MONTH = np.array((0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), dtype=np.int32)
_FIRST_ISSUES = {f"{category}{level}": 0 for category in range(1, 8) for level in range(1, 5)}
"""How the number of a first certificate ends: category and level, and no reissue."""


@dataclass(slots=True)
class Taken:
    """What a batch came to: the rows accepted, by stored column, and the others. `file_row` is a row's number as sent.

    `names` are the names of the accepted rows in plain, by stored column: for sealing, not for storing.
    """

    columns: dict[str, pa.Array]
    names: dict[str, list[str | None]]
    rejects: list[Reject]
    count: int


@dataclass(slots=True)
class _Judged:
    """The columns of one batch as far as they are read. The first thing wrong with a row is what it is rejected for."""

    count: int
    values: dict[str, Any] = field(default_factory=dict)
    wrong: dict[int, tuple[str, str]] = field(default_factory=dict)

    def refuse(self, position: int, column: str, reason: str) -> None:
        self.wrong.setdefault(position, (column, reason))


class ColumnReader:
    """Reads the batches of one feed. `as_of` is the day the feed speaks of: births after it are refused."""

    def __init__(self, source: Source, pseudonyms: Pseudonyms, *, as_of: date) -> None:
        self.source = source
        self.as_of = as_of
        self._pseudonyms = pseudonyms
        self._seen: dict[str, dict[str, tuple[Any, str | None]]] = {column.name: {} for column in source.columns}
        self._tokens: dict[str, dict[str, str]] = {column.name: {} for column in source.columns}

    def read(self, batch: Batch) -> Taken:
        judged = _Judged(len(batch.numbers))
        for column in self.source.columns:
            texts = batch.cells.get(column.name) or [""] * judged.count
            if column.form == "resident_id":
                judged.values[column.name] = self._resident_ids(column, texts, judged)
            elif column.form == "certificate_number":
                judged.values[column.name] = texts  # read when the holders are known
            else:
                judged.values[column.name] = self._distinct(column, texts, judged)
        self._certificate_numbers(batch, judged)
        _contradictions(judged)
        rejects = sorted([*self._rejects(batch, judged), *batch.rejects], key=lambda reject: reject.row)
        return self._stored(batch, judged, rejects)

    def _rejects(self, batch: Batch, judged: _Judged) -> list[Reject]:
        refused = sorted(judged.wrong)
        holders = [judged.values["id_number"][at] for at in refused]
        person_ids = iter(self._pseudonyms.person_ids([holder for holder in holders if holder]))
        return [
            Reject(batch.numbers[at], *judged.wrong[at], person_id=next(person_ids) if holder else None)
            for at, holder in zip(refused, holders, strict=True)
        ]

    # --- reading ---------------------------------------------------------------------------------------------------

    def _distinct(self, column: Column, texts: Sequence[str], judged: _Judged) -> pa.Array:
        """Each text that occurs is read once."""
        seen = self._seen[column.name]
        if len(seen) > _REMEMBERED_TEXTS:
            seen.clear()
        encoded = pa.array(texts, pa.string()).dictionary_encode()
        read = [seen.get(text) or seen.setdefault(text, _read(column, text)) for text in encoded.dictionary.to_pylist()]
        bad = [index for index, (_, reason) in enumerate(read) if reason is not None]
        if bad:
            indices = encoded.indices.to_numpy(zero_copy_only=False)
            for position in np.flatnonzero(np.isin(indices, bad)):
                judged.refuse(int(position), column.name, read[indices[position]][1] or "")
        values = pa.array([value for value, _ in read], TYPES.get(column.form, pa.string()))
        return values.take(encoded.indices)

    def _resident_ids(self, column: Column, texts: Sequence[str], judged: _Judged) -> list[str | None]:
        """Canonical resident IDs."""
        numbers: list[str | None] = list(texts)
        for position in np.flatnonzero(~well_formed(texts, self.as_of)).tolist():
            numbers[position] = None
            try:
                text = cell_or_none(column, texts[position])
                numbers[position] = text and str(ResidentId.parse(text, on=self.as_of))
            except ValueError as error:
                judged.refuse(position, column.name, str(error))
        return numbers

    def _certificate_numbers(self, batch: Batch, judged: _Judged) -> None:
        for column in self.source.columns:
            if column.form != "certificate_number":
                continue
            holders = judged.values["id_number"]
            reissues: list[int | None] = []
            for position, (text, holder) in enumerate(zip(judged.values[column.name], holders, strict=True)):
                reissue = _FIRST_ISSUES.get(text[18:]) if text[:18] == holder else None
                if reissue is None and text:
                    reissue = self._certificate_number(column, text, holder, position, judged)
                reissues.append(reissue)
            judged.values[column.name] = pa.array(reissues, pa.int32())

    def _certificate_number(
        self, column: Column, cell: str, holder: str | None, position: int, judged: _Judged
    ) -> int | None:
        try:
            text = cell_or_none(column, cell)
            number = CertificateNumber.parse(text, on=self.as_of) if text else None
        except ValueError as error:
            judged.refuse(position, column.name, str(error))
            return None
        if number is not None and holder is not None and str(number.resident_id) != holder:
            judged.refuse(position, column.name, "所含身份证号是他人的 (holds another person's resident ID)")
        return number.reissue if number else None

    # --- storing ---------------------------------------------------------------------------------------------------

    def _stored(self, batch: Batch, judged: _Judged, rejects: list[Reject]) -> Taken:
        """The accepted rows without identities: person_ids for resident IDs, tokens for names and secrets."""
        keep = np.ones(judged.count, dtype=np.bool_)
        keep[list(judged.wrong)] = False
        kept = pa.array(keep)
        columns: dict[str, pa.Array] = {}
        names: dict[str, list[str | None]] = {}
        for column in self.source.columns:
            values = judged.values[column.name]
            if column.form == "resident_id":
                columns[column.stored] = self._person_ids(values, keep)
                continue
            values = values.filter(kept)
            if column.form == "name" or column.form in TOKENS:
                columns[f"{column.stored}_token"] = self._token_column(column, values)
            if column.form == "name":
                names[column.stored] = values.to_pylist()
            elif column.form not in TOKENS:
                columns[column.stored] = values
        columns["file_row"] = pa.array(np.array(batch.numbers, dtype=np.int64)[keep])
        return Taken(columns, names, rejects, int(keep.sum()))

    def _person_ids(self, numbers: Sequence[str | None], keep: Bools) -> pa.Array:
        present = [number for number, good in zip(numbers, keep, strict=True) if good and number]
        person_ids = iter(self._pseudonyms.person_ids(present))
        if len(present) == int(keep.sum()):
            return pa.array(list(person_ids), pa.string())
        return pa.array(
            [next(person_ids) if number else None for number, good in zip(numbers, keep, strict=True) if good],
            pa.string(),
        )

    def _token_column(self, column: Column, values: pa.Array) -> pa.Array:
        purpose = "name" if column.form == "name" else column.stored
        known = self._tokens[column.name]
        if len(known) > _REMEMBERED_TEXTS:
            known.clear()
        encoded = values.dictionary_encode()
        tokens = []
        for text in encoded.dictionary.to_pylist():
            plain = text.casefold() if column.form == "name" else text
            tokens.append(known.get(plain) or known.setdefault(plain, self._pseudonyms.token(purpose, plain)))
        return pa.array(tokens, pa.string()).take(encoded.indices)


def well_formed(texts: Sequence[str], as_of: date) -> Bools:
    """Which texts are resident IDs as they stand: `ResidentId.parse` would give the same text back."""
    array = pa.array(texts, pa.string())
    right_length = pc.equal(pc.binary_length(array), 18).to_numpy(zero_copy_only=False)
    whole = array if right_length.all() else array.filter(pa.array(right_length))
    judged = np.zeros(len(array), dtype=np.bool_)
    if len(whole):
        start = whole.offset * 18 if whole is array else 0
        characters = np.frombuffer(whole.buffers()[2], dtype=np.uint8)[start : start + len(whole) * 18]
        judged[right_length] = _are_resident_ids(characters.reshape(-1, 18), as_of)
    return judged


def _are_resident_ids(characters: Bytes, as_of: date) -> Bools:
    digits = characters[:, :17] - ord("0")  # what is no digit wraps around to more than 9
    numbers = digits.astype(np.int32)
    right = (digits <= 9).all(axis=1) & (_CHECKS[(numbers @ _WEIGHTS) % 11] == characters[:, 17])
    year = numbers[:, 6:10] @ np.array((1000, 100, 10, 1), dtype=np.int32)
    month = numbers[:, 10] * 10 + numbers[:, 11]
    day = numbers[:, 12] * 10 + numbers[:, 13]
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    last_day = _DAYS_IN_MONTH[np.clip(month, 0, 12)] + (leap & (month == 2))
    born = year * 10_000 + month * 100 + day
    today = as_of.year * 10_000 + as_of.month * 100 + as_of.day
    right &= (month >= 1) & (month <= 12) & (day >= 1) & (day <= last_day)
    found: Bools = right & (year >= 1) & (born <= today) & (as_of.year - year <= OLDEST_YEARS)
    return found


def _read(column: Column, text: str) -> tuple[Any, str | None]:
    try:
        return read_cell(column, text), None
    except (InvalidIdentity, ValueError) as error:
        return None, str(error)


def _contradictions(judged: _Judged) -> None:
    """Cells that are right by themselves and cannot both be so."""
    values = judged.values
    if "status" in values and "level" in values:
        valid = pc.equal(values["status"], "valid")
        for name in ("category", "level"):
            _refuse_where(
                pc.and_(valid, values[name].is_null()),
                name,
                "证件有效而未填 (is empty, and the certificate is valid)",
                judged,
            )
    for begin, end in (("from", "to"), ("issued_on", "expires_on")):
        if begin in values and end in values:
            _refuse_where(pc.less(values[end], values[begin]), end, f"早于起始日期 (lies before {begin})", judged)


def _refuse_where(condition: pa.Array, column: str, reason: str, judged: _Judged) -> None:
    for position in np.flatnonzero(condition.fill_null(False).to_numpy(zero_copy_only=False)):
        judged.refuse(int(position), column, reason)
