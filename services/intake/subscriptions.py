"""What intake listens to, and who takes it."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from libs.common.clock import business_today
from libs.common.database import Transaction
from libs.common.events.eligibility import ApplicationAssessed, EntitlementChanged, PolicyChanged, RecipientsJudged
from libs.common.events.matching import (
    CertificateIssued,
    CertificateReassessed,
    CertificateRenewed,
    FactPushed,
    FactRetracted,
    FindingConfirmed,
    RegisterTold,
)
from libs.common.policies import note_policies
from libs.common.projection import Received, Subscription, of_each
from libs.common.rebuild import Rebuildable
from services.intake.handlers.assessments import note_assessments, note_entitlements
from services.intake.handlers.certificates import note_certificates, note_retractions
from services.intake.handlers.publications import publish_what_changed
from services.intake.handlers.registers import note_registers
from services.intake.handlers.takeover import decide_recipients
from services.intake.handlers.vouchings import note_confirmed, note_pushed
from services.intake.vault import Vault


def subscriptions(vault: Vault) -> list[Subscription]:
    async def assessed(tx: Transaction, received: Sequence[Received]) -> None:
        await note_assessments(tx, vault, received, on=business_today())

    async def certified(tx: Transaction, received: Sequence[Received]) -> None:
        await note_certificates(tx, vault, received, on=business_today())

    async def retracted(tx: Transaction, received: Sequence[Received]) -> None:
        await note_retractions(tx, vault, received, on=business_today())

    async def registered(tx: Transaction, received: Sequence[Received]) -> None:
        await note_registers(tx, vault, received, on=business_today())

    async def judged(tx: Transaction, received: Sequence[Received]) -> None:
        await decide_recipients(tx, vault, received, on=business_today())
        await note_judged(tx, received)

    async def policies_changed(tx: Transaction, received: Sequence[Received]) -> None:
        await note_policies(tx, received)
        await publish_what_changed(tx, business_today())

    note_judged = of_each(note_entitlements, attrgetter("schedules"))
    return [
        Subscription(ApplicationAssessed, assessed),
        Subscription(RecipientsJudged, judged),
        Subscription(EntitlementChanged, note_entitlements),
        Subscription(PolicyChanged, policies_changed),
        Subscription(CertificateIssued, certified),
        Subscription(CertificateRenewed, certified),
        Subscription(CertificateReassessed, certified),
        Subscription(FactRetracted, retracted),
        Subscription(FindingConfirmed, note_confirmed),
        Subscription(FactPushed, note_pushed),
        Subscription(RegisterTold, registered),
    ]


REBUILDABLES = (
    Rebuildable("spells", ("entitlements",), (EntitlementChanged, RecipientsJudged)),
    Rebuildable("vouchings", ("vouchings",), (FindingConfirmed, FactPushed)),
)
