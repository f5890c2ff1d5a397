"""From dated assertions to intervals: a pure fold, the same for every order of arrival and however often one arrives.

Assertions are taken by valid date, known time, rank of source and id. An exit clips every interval that began before
it, whichever of the two came first; a retracted assertion never was. The first day of the new state counts for it,
except a death, whose day still counts as alive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from services.eligibility.facts import (
    BEGINNING,
    Application,
    Benefit,
    CareNeed,
    Certificate,
    Custody,
    Facts,
    Life,
    LowIncome,
    Residence,
    Transfer,
)


@dataclass(frozen=True, slots=True)
class Assertion:
    """`kind` is the event type without its version; `on` the valid date, `known_at` when the source knew it; `data`
    what the event says besides, as JSON. Of two that agree on both times the one with the higher `rank` counts."""

    fact_id: str
    kind: str
    on: date
    known_at: datetime
    rank: int
    data: Mapping[str, Any]


RETRACTION = "fact.retracted"
_ISSUES = frozenset({"certificate.issued", "certificate.renewed", "certificate.reassessed"})
_LIVES_IN = "residence.observed"
_FAMILY_STATUS = ("dibao", "borderline", "tekun", "rigid")
"""A family is in one of these at a time; being monitored (监测对象) may go with any."""

Stream = Callable[["_Folding", Assertion], None]


def fold(assertions: Iterable[Assertion], applications: tuple[Application, ...] = ()) -> Facts:
    """The facts of one person, from everything that was ever asserted of them."""
    folding = _Folding()
    for assertion in in_order(assertions):
        _STREAMS[assertion.kind](folding, assertion)
    return Facts(
        applications=applications,
        certificates=tuple(folding.certificates.closed()),
        low_income=tuple(
            entry for category in sorted(folding.low_income) for entry in folding.low_income[category].closed()
        ),
        residences=tuple(folding.residences.closed()),
        transfers=tuple(folding.transfers),
        benefits=tuple(entry for kind in sorted(folding.benefits) for entry in folding.benefits[kind].closed()),
        custody=tuple(folding.custody.closed()),
        life=tuple(folding.life),
        care_needs=tuple(folding.care_needs.closed()),
    )


def in_order(assertions: Iterable[Assertion]) -> list[Assertion]:
    """Each standing assertion once, in the order in which they count."""
    by_id = {assertion.fact_id: assertion for assertion in assertions}
    retracted: set[str] = set()
    retractions = [assertion for assertion in by_id.values() if assertion.kind == RETRACTION]
    for retraction in sorted(retractions, key=lambda a: (a.known_at, a.fact_id), reverse=True):
        if retraction.fact_id not in retracted:
            retracted.add(str(retraction.data["retracts"]))
    standing = [a for a in by_id.values() if a.fact_id not in retracted and a.kind in _STREAMS]
    return sorted(standing, key=lambda a: (a.on, a.known_at, a.rank, a.fact_id))


@dataclass(slots=True)
class _Track:
    """One line of states, each from a day on until the next, or to its own last day if that comes first."""

    make: Callable[[Any, date, date | None], Any]
    states: list[tuple[date, date | None, Any]] = field(default_factory=list)

    @property
    def state(self) -> Any:
        return self.states[-1][2] if self.states else None

    def enter(self, on: date, state: Any, until: date | None = None) -> None:
        """`state` None: out of any."""
        if self.states and self.states[-1][0] == on:
            self.states.pop()
        self.states.append((on, until, state))

    def closed(self) -> list[Any]:
        """The intervals, without those that the next one covers whole."""
        intervals = []
        for position, (begin, until, state) in enumerate(self.states):
            to = until
            if position + 1 < len(self.states):
                left_on = self.states[position + 1][0] - timedelta(days=1)
                to = left_on if until is None else min(until, left_on)
            if state is not None and (to is None or begin <= to):
                intervals.append(self.make(state, begin, to))
        return intervals


class _Folding:
    """The lines that one person's assertions draw."""

    def __init__(self) -> None:
        self.certificates = _Track(lambda held, from_, to: Certificate(held[0], held[1], held[2], from_, to, held[3]))
        self.held: Mapping[str, Any] | None = None
        self.low_income: dict[str, _Track] = {}
        self.residences = _Track(Residence)
        self.transfers: list[Transfer] = []
        self.benefits: dict[str, _Track] = {}
        self.custody = _Track(Custody)
        self.life: list[Life] = []
        self.care_needs = _Track(CareNeed)

    def certificate_issued(self, assertion: Assertion) -> None:
        """A reassessment that names no day of expiry leaves the one that is known and still to come."""
        expires_on = _date(assertion.data.get("expires_on"))
        if expires_on is None and assertion.kind == "certificate.reassessed" and self.held is not None:
            known = _date(self.held.get("expires_on"))
            expires_on = known if known is not None and known >= assertion.on else None
        self.held = {**assertion.data, "expires_on": expires_on}
        self._certificate(assertion.on, "valid", expires_on)

    def certificate_status(self, assertion: Assertion) -> None:
        status = assertion.kind.removeprefix("certificate.")
        if status == "moved_out" and assertion.data.get("in_transit"):
            status = "in_transit"
        self._certificate(assertion.on, status, None)

    def certificate_unfrozen(self, assertion: Assertion) -> None:
        if self.held is not None:
            self._certificate(assertion.on, "valid", _date(self.held.get("expires_on")))

    def _certificate(self, on: date, status: str, until: date | None) -> None:
        if self.held is None:
            return  # a change of a certificate that is not known (yet) says nothing
        components = tuple((part["category"], part["level"]) for part in self.held.get("components") or ())
        self.certificates.enter(on, (self.held["category"], self.held["level"], status, components), until)

    def low_income_entered(self, assertion: Assertion) -> None:
        category = assertion.data["category"]
        if category in _FAMILY_STATUS:
            for other in _FAMILY_STATUS:
                if other != category and other in self.low_income:
                    self.low_income[other].enter(assertion.on, None)
        track = self.low_income.setdefault(category, _Track(LowIncome))
        track.enter(assertion.on, category, _date(assertion.data.get("until")))

    def low_income_exited(self, assertion: Assertion) -> None:
        left = assertion.data.get("category")
        for category, track in self.low_income.items():
            if left in (None, category):
                track.enter(assertion.on, None)

    def moved(self, assertion: Assertion) -> None:
        to_area, from_area = assertion.data["to_area"], assertion.data.get("from_area")
        if not self.residences.states and from_area:
            self.residences.enter(BEGINNING, from_area)
        self.residences.enter(assertion.on, to_area)
        accepted_on = _date(assertion.data.get("accepted_on"))
        if accepted_on is not None:
            self.transfers.append(Transfer(to_area, accepted_on))

    def lives_in(self, assertion: Assertion) -> None:
        """Seen in an area on a day: since ever if nothing earlier is known, else since that day at the latest."""
        area = assertion.data["area"]
        if not self.residences.states:
            self.residences.enter(BEGINNING, area)
        elif self.residences.state != area:
            self.residences.enter(assertion.on, area)

    def benefit_started(self, assertion: Assertion) -> None:
        kind, amount_fen = assertion.data["kind"], assertion.data.get("amount_fen", 0)
        track = self.benefits.setdefault(kind, _Track(lambda state, from_, to: Benefit(state[0], from_, to, state[1])))
        track.enter(assertion.on, (kind, amount_fen), _date(assertion.data.get("until")))

    def benefit_ended(self, assertion: Assertion) -> None:
        if assertion.data["kind"] in self.benefits:
            self.benefits[assertion.data["kind"]].enter(assertion.on, None)

    def imprisoned(self, assertion: Assertion) -> None:
        self.custody.enter(assertion.on, assertion.data.get("kind", "serving"), _date(assertion.data.get("until")))

    def released(self, assertion: Assertion) -> None:
        self.custody.enter(assertion.on, None)

    def life_event(self, assertion: Assertion) -> None:
        event: Any = assertion.kind.removeprefix("person.")
        self.life.append(Life(event, assertion.on, assertion.known_at))

    def care_need_assessed(self, assertion: Assertion) -> None:
        """A first assessment also speaks for the time before it: nothing else does."""
        on = assertion.on if self.care_needs.states else BEGINNING
        self.care_needs.enter(on, assertion.data["needed"])


_STREAMS: dict[str, Stream] = {
    **dict.fromkeys(_ISSUES, _Folding.certificate_issued),
    **{f"certificate.{s}": _Folding.certificate_status for s in ("expired", "frozen", "cancelled", "moved_out")},
    "certificate.unfrozen": _Folding.certificate_unfrozen,
    "low_income.entered": _Folding.low_income_entered,
    "low_income.exited": _Folding.low_income_exited,
    "person.moved": _Folding.moved,
    "transfer.accepted": _Folding.moved,
    _LIVES_IN: _Folding.lives_in,
    "benefit.started": _Folding.benefit_started,
    "benefit.ended": _Folding.benefit_ended,
    "person.imprisoned": _Folding.imprisoned,
    "person.released": _Folding.released,
    **{
        f"person.{event}": _Folding.life_event
        for event in ("died", "declared_dead", "declared_missing", "missing", "reappeared")
    },
    "care_need.assessed": _Folding.care_need_assessed,
}

KINDS = frozenset({*_STREAMS, RETRACTION})
"""Every kind of assertion that the fold understands."""


def _date(text: str | date | None) -> date | None:
    return date.fromisoformat(text) if isinstance(text, str) else text
