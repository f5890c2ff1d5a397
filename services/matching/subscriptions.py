"""Which events change what matching knows."""

from __future__ import annotations

from operator import attrgetter

from libs.common.events.eligibility import CandidatePrescreened, EntitlementChanged, PolicyChanged, RecipientsJudged
from libs.common.events.envelope import EventData
from libs.common.events.intake import (
    ApplicationApproved,
    ApplicationRejected,
    ApplicationReviewed,
    ApplicationSubmitted,
    ApplicationWithdrawn,
    ContactChanged,
    PersonIdCorrected,
    RecipientsTakenOver,
    TransferAccepted,
)
from libs.common.events.notification import MessageFailed, ReminderDelivered
from libs.common.policies import note_policies
from libs.common.projection import Subscription, of_each
from libs.common.rebuild import Rebuildable
from services.matching.handlers.findings import follow_transfers
from services.matching.handlers.merges import merge_persons
from services.matching.handlers.outreach import note_deliveries, note_failures
from services.matching.handlers.projections import (
    follow_eligibility,
    note_applications,
    note_entitlements,
    note_names,
    note_taken_over,
)

APPLICATIONS: tuple[type[EventData], ...] = (
    ApplicationSubmitted,
    ApplicationReviewed,
    ApplicationApproved,
    ApplicationRejected,
    ApplicationWithdrawn,
)

SUBSCRIPTIONS = [
    Subscription(PersonIdCorrected, merge_persons),
    Subscription(EntitlementChanged, follow_eligibility),
    Subscription(CandidatePrescreened, follow_eligibility),
    Subscription(PolicyChanged, note_policies),
    Subscription(ReminderDelivered, note_deliveries),
    Subscription(MessageFailed, note_failures),
    *(Subscription(event, note_applications) for event in APPLICATIONS),
    Subscription(ContactChanged, note_names),
    Subscription(TransferAccepted, follow_transfers),
    Subscription(RecipientsJudged, of_each(note_entitlements, attrgetter("schedules"))),
    Subscription(RecipientsTakenOver, note_taken_over),
]

REBUILDABLES = (
    Rebuildable("roster", ("roster",), (EntitlementChanged, RecipientsJudged)),
    Rebuildable("names", ("contact_names",), (ContactChanged, RecipientsTakenOver)),
    Rebuildable("applications", ("applications",), (*APPLICATIONS, RecipientsTakenOver)),
)
