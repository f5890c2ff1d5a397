"""Which event goes to which handler."""

from __future__ import annotations

from libs.common.events import intake, matching
from libs.common.events.envelope import EventData, FactEvent, event_types
from libs.common.projection import Subscription
from services.eligibility.handlers.applications import (
    follow_applications,
    prescreen_candidates,
    take_facts_and_reassess,
)
from services.eligibility.handlers.facts import merge_persons
from services.eligibility.handlers.takeovers import take_over

_FACTS: list[type[EventData]] = [payload for payload in event_types().values() if issubclass(payload, FactEvent)]

_APPLICATIONS: tuple[type[EventData], ...] = (
    intake.ApplicationSubmitted,
    intake.ApplicationReviewed,
    intake.ApplicationApproved,
    intake.ApplicationRejected,
    intake.ApplicationWithdrawn,
)

SUBSCRIPTIONS = [
    *(Subscription(payload, take_facts_and_reassess) for payload in _FACTS),
    *(Subscription(payload, follow_applications) for payload in _APPLICATIONS),
    Subscription(intake.RecipientsListed, take_over),
    Subscription(matching.PersonMerged, merge_persons),
    Subscription(intake.PersonIdCorrected, merge_persons),
    Subscription(matching.CandidateIdentified, prescreen_candidates),
]
