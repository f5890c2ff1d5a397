"""Which events change what matching knows."""

from __future__ import annotations

from libs.common.consumer import Subscription
from libs.common.events.eligibility import EntitlementChanged
from libs.common.events.intake import (
    ApplicationApproved,
    ApplicationRejected,
    ApplicationReviewed,
    ApplicationSubmitted,
    ApplicationWithdrawn,
)
from services.matching.handlers.projections import note_applications, note_entitlements

SUBSCRIPTIONS = [
    Subscription(EntitlementChanged, note_entitlements),
    *(
        Subscription(event, note_applications)
        for event in (
            ApplicationSubmitted,
            ApplicationReviewed,
            ApplicationApproved,
            ApplicationRejected,
            ApplicationWithdrawn,
        )
    ),
]
