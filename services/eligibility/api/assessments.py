"""Asking what would be payable, without storing anything."""

from __future__ import annotations

from libs.common.auth import Anyone
from libs.common.vocabulary import SUBSIDIES
from libs.common.web import Tx, router
from services.eligibility.assessments import AssessedDecision, Assessment, AssessmentResult
from services.eligibility.determination import Determination, weighed
from services.eligibility.handlers.policies import load_policy

api = router(prefix="/v1", tags=["assessments"])


@api.post("/assessments")
async def assess(body: Assessment, tx: Tx, caller: Anyone) -> AssessmentResult:
    """Both subsidies for one month of one person, with the reasons. Pure: nothing is stored."""
    policy = await load_policy(tx)
    facts = body.facts.as_facts(body.area)
    judged = Determination([facts], policy, since=body.period)
    decisions = (judged.decision(0, subsidy, body.period, body.area) for subsidy in SUBSIDIES)
    return AssessmentResult(
        policy_version=policy.version(body.area),
        decisions=[AssessedDecision.of(weighed(decision, facts, body.period, policy)) for decision in decisions],
    )
