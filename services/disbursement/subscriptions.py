"""Which event goes to which handler."""

from __future__ import annotations

from functools import partial

from libs.common.consumer import Subscription
from libs.common.events.eligibility import EntitlementChanged, JudgementBlocked, PolicyChanged, PolicyReevaluated
from libs.common.events.intake import PayeeChanged, RecipientTakenOver, RosterImported
from libs.common.events.matching import FindingConfirmed, FindingDismissed, FindingOpened, RosterListed, RosterReceived
from libs.common.policies import note_policies
from libs.common.privacy import Sealer
from libs.common.rebuild import Rebuildable
from services.disbursement.handlers import opening, projections, rosters


def subscriptions(sealer: Sealer) -> list[Subscription]:
    keep_payees = partial(projections.keep_payees, sealer)
    return [
        Subscription(EntitlementChanged, partial(projections.keep_schedules, sealer)),
        Subscription(JudgementBlocked, projections.keep_blocked),
        Subscription(PolicyChanged, note_policies),
        Subscription(PolicyReevaluated, projections.keep_reevaluations),
        Subscription(RosterImported, opening.keep_takeovers),
        Subscription(RecipientTakenOver, partial(opening.take_over, sealer)),
        Subscription(PayeeChanged, keep_payees),
        Subscription(FindingOpened, projections.keep_findings),
        Subscription(FindingDismissed, projections.keep_findings),
        Subscription(FindingConfirmed, projections.keep_findings),
        Subscription(RosterListed, rosters.keep_listed),
        Subscription(RosterReceived, rosters.keep_received),
    ]


REBUILDABLES = (
    Rebuildable("entitlements", ("entitled_spans", "entitlements"), (EntitlementChanged,)),
    Rebuildable(
        "holds",
        ("findings", "blocked_judgements"),
        (FindingOpened, FindingDismissed, FindingConfirmed, JudgementBlocked),
    ),
    Rebuildable("payees", ("payees",), (PayeeChanged, RecipientTakenOver)),
)
