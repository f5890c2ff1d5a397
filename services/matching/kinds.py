"""The kinds of facts that departments assert: whose word each is, and which months a lead of it puts in doubt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from libs.common.auth import Principal, Role
from libs.common.events import matching as facts
from libs.common.events.envelope import FactEvent
from libs.common.period import Period

NEVER = Period(9999, 12)
"""The month from which a lead holds payments when it alleges nothing that could stop one."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fact. `sources`: the feeds it belongs to, the usual one first; a machine that may assert one of them
    asserts the fact. `authority`: the officials whose own status it is. `doubtful`: it may stop payments."""

    payload: type[FactEvent]
    sources: tuple[str, ...]
    authority: Role | None = None
    doubtful: bool = True

    @property
    def name(self) -> str:
        return kind_of(self.payload)

    def source_for(self, principal: Principal) -> str | None:
        """The source in whose name this caller asserts such a fact; None if it may only report a lead."""
        if self.authority is not None and principal.role == self.authority:
            return self.sources[0]
        if principal.role == "partner":
            return next((source for source in self.sources if principal.may_assert(source)), None)
        return None


def kind_of(payload: type[FactEvent]) -> str:
    """`certificate.expired` for CertificateExpired."""
    return payload.type.removesuffix(".v1")


def _certificate(payload: type[FactEvent], *, doubtful: bool) -> Kind:
    return Kind(payload, ("certificates",), authority="cdpf", doubtful=doubtful)


def _low_income(payload: type[FactEvent], *, doubtful: bool) -> Kind:
    return Kind(payload, ("low_income",), authority="civil_affairs", doubtful=doubtful)


_ALL = (
    _certificate(facts.CertificateIssued, doubtful=False),
    _certificate(facts.CertificateRenewed, doubtful=False),
    _certificate(facts.CertificateReassessed, doubtful=True),
    _certificate(facts.CertificateExpired, doubtful=True),
    _certificate(facts.CertificateFrozen, doubtful=True),
    _certificate(facts.CertificateUnfrozen, doubtful=False),
    _certificate(facts.CertificateCancelled, doubtful=True),
    _certificate(facts.CertificateMovedOut, doubtful=True),
    _low_income(facts.LowIncomeEntered, doubtful=False),
    _low_income(facts.LowIncomeExited, doubtful=True),
    Kind(facts.PersonDied, ("deaths", "cremations")),
    Kind(facts.PersonDeclaredDead, ("court_declarations", "population")),
    Kind(facts.PersonDeclaredMissing, ("court_declarations", "population")),
    Kind(facts.PersonMissing, ("population",)),
    Kind(facts.PersonReappeared, ("population", "court_declarations"), doubtful=False),
    Kind(facts.PersonImprisoned, ("prisons",)),
    Kind(facts.PersonReleased, ("prisons",), doubtful=False),
    Kind(facts.PersonMoved, ("population",)),
    Kind(facts.BenefitStarted, ("benefits",)),
    Kind(facts.BenefitEnded, ("benefits",), doubtful=False),
)

KINDS: dict[str, Kind] = {kind.name: kind for kind in _ALL}

RETRACTION = kind_of(facts.FactRetracted)
DEATH = kind_of(facts.PersonDied)
ISSUES = ("certificate.issued", "certificate.renewed", "certificate.reassessed")
"""They say which certificate is in force, and not only its status."""

BENEFIT = kind_of(facts.BenefitStarted)

_SERVED_IN_PRISON = ("serving", "detention_serving")


def about(kind: str, said: Mapping[str, Any]) -> str:
    """What a change is of, where a person may have several of one kind at a time: which benefit, and whether it is of
    being monitored (监测对象), which goes beside any other status. Empty elsewhere."""
    if kind.startswith("benefit."):
        return str(said["kind"])
    if kind.startswith("low_income.") and said.get("category") == "monitored":
        return "monitored"
    return ""


@lru_cache(maxsize=1 << 14)  # among thousands of leads there are few kinds and days
def hold_from(kind: str, alleged_on: date, custody: str | None = None) -> Period:
    """The first month that would not be payable if the lead were true (domain: which months are payable).

    The day of death still counts, and of any other change the day before; another benefit is never paid beside ours
    in one month. Only serving in prison stops a payment.
    """
    month = Period.of(alleged_on)
    if not KINDS[kind].doubtful or (kind == "person.imprisoned" and custody not in _SERVED_IN_PRISON):
        return NEVER
    if kind == DEATH:
        return month.next
    if kind == BENEFIT or alleged_on.day == 1:
        return month
    return month.next
