"""Where sources disagree about one person: what each says of the same day, which one counts, and why.

Nothing is lost: every assertion stays stored, and the fold takes the last by known time, then by rank of source, then
by id. A line is what can only be in one state at a time: the certificate, the family's economic status, the residence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from services.eligibility.folding import Assertion, in_order

Because = Literal["known later", "source of higher rank", "higher id, all else being equal", "earliest death counts"]

_ISSUES = ("certificate.issued", "certificate.renewed", "certificate.reassessed")
_DEATHS = ("person.died", "person.declared_dead")
_FAMILY = ("dibao", "borderline", "tekun", "rigid")


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Assertions about one line on one day that cannot all be so. `won` counts; `lost` are overruled by it."""

    line: str
    on: date
    won: Assertion
    lost: tuple[Assertion, ...]
    because: Because


def disagreements(assertions: Iterable[Assertion]) -> list[Disagreement]:
    """Every disagreement among the standing assertions of one person, by line and day."""
    of_day: dict[tuple[str, date], list[Assertion]] = defaultdict(list)
    deaths = []
    for assertion in in_order(assertions):
        if assertion.kind in _DEATHS:
            deaths.append(assertion)
        elif (line := _line(assertion)) is not None:
            of_day[line, assertion.on].append(assertion)
    found = []
    for (line, on), told in sorted(of_day.items()):
        won = told[-1]
        lost = tuple(other for other in told[:-1] if _says(other) != _says(won))
        if lost:
            found.append(Disagreement(line, on, won, lost, _because(won, lost[-1])))
    if len({death.on for death in deaths}) > 1:
        first, *others = sorted(deaths, key=lambda death: death.on)
        found.append(Disagreement("death", first.on, first, tuple(others), "earliest death counts"))
    return found


def _line(assertion: Assertion) -> str | None:
    """What the assertion speaks of; None where several may be so at once."""
    kind, data = assertion.kind, assertion.data
    if kind.startswith("certificate."):
        return "certificate"
    if kind == "low_income.entered":
        return "low_income" if data["category"] in _FAMILY else f"low_income:{data['category']}"
    if kind == "low_income.exited":
        return "low_income"
    if kind in ("person.moved", "residence.observed"):
        return "residence"
    if kind.startswith("benefit."):
        return f"benefit:{data['kind']}"
    if kind in ("person.imprisoned", "person.released"):
        return "custody"
    return "care_need" if kind == "care_need.assessed" else None


def _says(assertion: Assertion) -> tuple[str, str]:
    """What the assertion comes to: two that say the same do not disagree."""
    kind, data = assertion.kind, assertion.data
    if kind in _ISSUES:
        return "certificate in force", _values(data, "category", "level", "components", "expires_on")
    if kind in ("person.moved", "residence.observed"):
        return "residence", str(data.get("to_area") or data.get("area"))
    return kind, _values(data, "category", "kind", "needed", "until", "amount_fen")


def _values(data: Mapping[str, Any], *names: str) -> str:
    return repr([data.get(name) or None for name in names])


def _because(won: Assertion, lost: Assertion) -> Because:
    if won.known_at != lost.known_at:
        return "known later"
    return "source of higher rank" if won.rank != lost.rank else "higher id, all else being equal"
