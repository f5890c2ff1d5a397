"""Many applications at once: each line stands for itself, and what is sound is filed whatever the others are."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import structlog
from pydantic import ValidationError

from libs.common.auth import Principal
from libs.common.database import Database, is_transient
from libs.common.errors import DomainError, InvalidInput, MalformedBody
from libs.common.identity import InvalidIdentity, ResidentId
from libs.common.mistakes import mistakes
from services.intake.declarations import Declaration
from services.intake.handlers.applications import Submission, submit_applications
from services.intake.vault import Vault

log = structlog.get_logger(__name__)

TOGETHER = 50
"""Lines that share a transaction. A refusal writes nothing; a crash files them one by one."""

_AT_ONCE = 4
"""Parts of one bulk that are worked on side by side."""


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one line, counted from 1: filed, or refused by an error; neither: it crashed, tell the office."""

    number: int
    submission: Submission | None = None
    refusal: DomainError | None = None


async def submit_lines(
    database: Database, vault: Vault, caller: Principal, lines: Sequence[tuple[int, bytes]], *, on: date
) -> list[Line]:
    """Files each sound line, TOGETHER in one transaction, in parts side by side; what became of them, in their order.

    Lines of one person, however the resident ID is written, lie in one part: the first of them counts.
    """
    parts: list[list[_Read]] = [[] for _ in range(_AT_ONCE)]
    for place, (number, line) in enumerate(lines):
        if place % TOGETHER == 0:
            await asyncio.sleep(0)  # ten thousand lines take long to read: others are served in between
        read = _declaration(line)
        parts[zlib.crc32(_whose(read, on).encode()) % _AT_ONCE].append((number, read))
    done = await asyncio.gather(*(_submit_part(database, vault, caller, part, on=on) for part in parts))
    return sorted((line for part in done for line in part), key=lambda line: line.number)


_Read = tuple[int, Declaration | DomainError]


def _whose(read: Declaration | DomainError, on: date) -> str:
    """Whose resident ID a line has, repaired; of one that will be refused, nobody's."""
    try:
        return "" if isinstance(read, DomainError) else str(ResidentId.parse(read.applicant.id_number, on=on))
    except InvalidIdentity:
        return ""


async def _submit_part(
    database: Database, vault: Vault, caller: Principal, part: Sequence[_Read], *, on: date
) -> list[Line]:
    results: list[Line] = []
    for start in range(0, len(part), TOGETHER):
        some = part[start : start + TOGETHER]
        try:
            results += await _submit_together(database, vault, caller, some, on=on)
        except Exception as error:
            if is_transient(error):
                raise
            log.warning("bulk_falls_back_to_single_lines", error=type(error).__name__)
            for one in some:
                results += await _submit_alone(database, vault, caller, one, on=on)
    return results


async def _submit_together(
    database: Database, vault: Vault, caller: Principal, some: Sequence[_Read], *, on: date
) -> list[Line]:
    declared = [(number, read) for number, read in some if isinstance(read, Declaration)]
    async with database.transaction() as tx:
        outcomes = await submit_applications(tx, vault, caller, [declaration for _, declaration in declared], on=on)
    results = dict(zip([number for number, _ in declared], outcomes, strict=True))
    results |= {number: read for number, read in some if isinstance(read, DomainError)}
    return [_line(number, results[number]) for number, _ in some]


async def _submit_alone(database: Database, vault: Vault, caller: Principal, one: _Read, *, on: date) -> list[Line]:
    try:
        return await _submit_together(database, vault, caller, [one], on=on)
    except Exception as error:
        if is_transient(error):
            raise
        log.error("bulk_line_crashed", line=one[0], error=type(error).__name__, exc_info=error)
        return [Line(one[0])]


def _line(number: int, outcome: Submission | DomainError) -> Line:
    if isinstance(outcome, DomainError):
        return Line(number, refusal=outcome)
    return Line(number, outcome)


def _declaration(line: bytes) -> Declaration | DomainError:
    try:
        content: Mapping[str, Any] = json.loads(line)
        return Declaration.model_validate(content)
    except ValidationError as error:
        return InvalidInput("see errors", errors=mistakes(error.errors()))
    except (ValueError, RecursionError):
        return MalformedBody("the line is not valid JSON")
