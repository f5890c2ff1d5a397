"""Which events are told to people. A finding is a lead and nothing is told of it: what it becomes once a person has
verified it is told as a stop, with its reason."""

from __future__ import annotations

from functools import partial

from libs.common.consumer import Subscription
from libs.common.events.disbursement import PaymentFailed, PaymentReturned, RecoveryOpened
from libs.common.events.eligibility import EntitlementChanged
from libs.common.events.intake import ApplicationApproved, ApplicationRejected, ApplicationWithdrawn, ContactChanged
from libs.common.events.matching import ReminderRequested
from libs.common.privacy import Sealer
from services.notification import handlers


def subscriptions(sealer: Sealer) -> list[Subscription]:
    decisions = partial(handlers.note_decisions, sealer=sealer)
    unpaid = partial(handlers.note_unpaid, sealer=sealer)
    return [
        Subscription(ContactChanged, partial(handlers.note_contacts, sealer=sealer)),
        Subscription(ApplicationApproved, decisions),
        Subscription(ApplicationRejected, decisions),
        Subscription(ApplicationWithdrawn, decisions),
        Subscription(EntitlementChanged, partial(handlers.note_entitlements, sealer=sealer)),
        Subscription(PaymentFailed, unpaid),
        Subscription(PaymentReturned, unpaid),
        Subscription(RecoveryOpened, partial(handlers.note_recoveries, sealer=sealer)),
        Subscription(ReminderRequested, partial(handlers.note_reminders, sealer=sealer)),
    ]
