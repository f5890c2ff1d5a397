"""A person as intake knows them: how they are reached, and whether they can act for themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from libs.common.events.intake import CertificateClaim
from libs.common.identity import CertificateNumber, ResidentId
from services.intake.payee import Account, Guardian, Incapacity, has_severe_mind_disability


@dataclass(frozen=True, slots=True, repr=False)
class Person:
    """`adult_on`: when a minor comes of age, None for adults. `certificate`: as confirmed in the last approval, or told
    since. `phone_given_at`: None until the phone is another than the one first applied with.
    The versions are those of the last `payee.changed` and `contact.changed`; `cannot_act_told` is what the former said.
    `guardian_in_question`: a register names another guardian, or none any more (notice 4.5).
    """

    person_id: str
    area: str
    name: str
    id_number: str
    phone: str | None = None
    phone_given_at: datetime | None = None
    adult_on: date | None = None
    certificate: CertificateClaim | None = None
    incapacity: Incapacity | None = None
    payee_version: int = 0
    contact_version: int = 0
    cannot_act_told: bool = False
    guardian_in_question: bool = False

    def cannot_act(self, on: date) -> bool:
        """Not able to recognise their own conduct (不能辨别自身行为, notice 4.4) on that day."""
        if self.incapacity is not None or (self.adult_on is not None and on < self.adult_on):
            return True
        return self.certificate is not None and has_severe_mind_disability(
            self.certificate.category,
            self.certificate.level,
            [(part.category, part.level) for part in self.certificate.components],
        )

    def certificate_number(self, on: date) -> str | None:
        """Of the certificate as last approved (残疾人证号)."""
        if self.certificate is None:
            return None
        holder, claim = ResidentId.parse(self.id_number, on=on), self.certificate
        return CertificateNumber(holder, claim.category, claim.level, claim.reissue).number

    def __repr__(self) -> str:
        return f"Person({self.person_id})"


@dataclass(frozen=True, slots=True, repr=False)
class RecordedAccount:
    """The account in force. `institution`: the organisation code of the guardian who holds it, where that is one."""

    account: Account
    institution: str | None
    effective_on: date

    @property
    def is_active_own_card(self) -> bool:
        return self.account.holder == "own" and self.account.status == "active"

    def __repr__(self) -> str:
        return f"RecordedAccount({self.account.holder})"


@dataclass(frozen=True, slots=True, repr=False)
class RecordedGuardian:
    """The guardian in force."""

    guardian: Guardian
    effective_on: date

    def __repr__(self) -> str:
        return f"RecordedGuardian({self.guardian.kind})"
