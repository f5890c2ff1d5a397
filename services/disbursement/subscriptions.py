"""Which event goes to which handler."""

from __future__ import annotations

from functools import partial
from operator import attrgetter

from libs.common.events.eligibility import (
    EntitlementChanged,
    JudgementBlocked,
    PolicyChanged,
    PolicyReevaluated,
    RecipientsJudged,
)
from libs.common.events.intake import PayeeChanged, RecipientsTakenOver, RosterImported
from libs.common.events.matching import FindingConfirmed, FindingDismissed, FindingOpened, RosterListed, RosterReceived
from libs.common.policies import note_policies
from libs.common.privacy import Sealer
from libs.common.projection import Subscription, of_each
from libs.common.rebuild import Rebuildable
from services.disbursement.handlers import opening, projections, rosters


def subscriptions(sealer: Sealer) -> list[Subscription]:
    keep_schedules = partial(projections.keep_schedules, sealer)
    keep_payees = partial(projections.keep_payees, sealer)
    return [
        Subscription(EntitlementChanged, keep_schedules),
        Subscription(JudgementBlocked, projections.keep_blocked),
        Subscription(PolicyChanged, note_policies),
        Subscription(PolicyReevaluated, projections.keep_reevaluations),
        Subscription(RosterImported, opening.keep_takeovers),
        Subscription(RecipientsJudged, of_each(keep_schedules, attrgetter("schedules"))),
        Subscription(RecipientsTakenOver, opening.take_over),
        Subscription(PayeeChanged, keep_payees),
        Subscription(FindingOpened, projections.keep_findings),
        Subscription(FindingDismissed, projections.keep_findings),
        Subscription(FindingConfirmed, projections.keep_findings),
        Subscription(RosterListed, rosters.keep_listed),
        Subscription(RosterReceived, rosters.keep_received),
    ]


REBUILDABLES = (
    Rebuildable("entitlements", ("entitled_spans", "entitlements"), (EntitlementChanged, RecipientsJudged)),
    Rebuildable(
        "holds",
        ("findings", "blocked_judgements"),
        (FindingOpened, FindingDismissed, FindingConfirmed, JudgementBlocked),
    ),
    Rebuildable("payees", ("payees",), (PayeeChanged, RecipientsTakenOver)),
)
