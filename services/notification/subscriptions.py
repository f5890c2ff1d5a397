"""Which events are told to people, and which decide how they are reached.

What a finding alleges is told to nobody: only that payments are held meanwhile; what it becomes once a person has
verified it is told as a stop, with its reason.
"""

from __future__ import annotations

from functools import partial
from operator import attrgetter

from libs.common.events import intake, matching
from libs.common.events.disbursement import (
    PaymentFailed,
    PaymentReturned,
    PaymentSettled,
    RecoveryClosed,
    RecoveryOpened,
)
from libs.common.events.eligibility import EntitlementChanged, PolicyChanged, RecipientsJudged
from libs.common.policies import note_policies
from libs.common.privacy import Sealer
from libs.common.projection import Subscription, of_each
from libs.common.rebuild import Rebuildable
from services.notification.handlers import decisions, entitlements, facts, persons


def subscriptions(sealer: Sealer) -> list[Subscription]:
    decided = partial(decisions.note_decisions, sealer=sealer)
    unpaid = partial(decisions.note_unpaid, sealer=sealer)
    findings = partial(decisions.note_findings, sealer=sealer)
    scheduled = partial(entitlements.note_entitlements, sealer=sealer)
    merges = partial(facts.merge_persons, sealer=sealer)
    return [
        Subscription(intake.ContactChanged, partial(persons.note_contacts, sealer=sealer)),
        Subscription(intake.PayeeChanged, partial(persons.note_payees, sealer=sealer)),
        Subscription(RecipientsJudged, of_each(scheduled, attrgetter("schedules"))),
        Subscription(intake.RecipientsTakenOver, partial(persons.note_taken_over, sealer=sealer)),
        Subscription(intake.ApplicationReviewed, decided),
        Subscription(intake.ApplicationApproved, decided),
        Subscription(intake.ApplicationRejected, decided),
        Subscription(intake.ApplicationWithdrawn, decided),
        Subscription(intake.ObjectionAnswered, partial(decisions.note_answers, sealer=sealer)),
        Subscription(EntitlementChanged, scheduled),
        Subscription(PolicyChanged, note_policies),
        Subscription(matching.FindingOpened, findings),
        Subscription(matching.FindingDismissed, findings),
        Subscription(PaymentSettled, entitlements.note_paid),
        Subscription(PaymentFailed, unpaid),
        Subscription(PaymentReturned, unpaid),
        Subscription(RecoveryOpened, partial(decisions.note_recoveries, sealer=sealer)),
        Subscription(RecoveryClosed, partial(decisions.note_closed_recoveries, sealer=sealer)),
        Subscription(matching.ReminderRequested, partial(decisions.note_reminders, sealer=sealer)),
        Subscription(matching.PersonDied, facts.note_facts),
        Subscription(matching.PersonDeclaredDead, facts.note_facts),
        Subscription(matching.PersonReappeared, facts.note_facts),
        Subscription(matching.CertificateIssued, facts.note_facts),
        Subscription(matching.CertificateRenewed, facts.note_facts),
        Subscription(matching.CertificateReassessed, facts.note_facts),
        Subscription(matching.FactRetracted, facts.note_retractions),
        Subscription(matching.PersonMerged, merges),
        Subscription(intake.PersonIdCorrected, merges),
    ]


REBUILDABLES = (Rebuildable("contacts", ("contacts",), (intake.ContactChanged, intake.RecipientsTakenOver)),)
