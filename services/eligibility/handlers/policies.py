"""The policy in force, for whoever judges by it, and as other services are told of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from libs.common.database import Transaction
from libs.common.errors import Unavailable
from libs.common.events.eligibility import PolicyChanged, PolicyValue
from libs.common.period import business_date
from services.eligibility.policy.parameters import PolicySet, read_layer, shipped

POLICY_LOCK = "policies"
_JUDGING = 7301


class Superseded(Unavailable):
    """A release with another policy was started after this one, and judges now."""

    type = "superseded"


async def load_policy(tx: Transaction, known_before: datetime | None = None) -> PolicySet:
    """The policy in force, or as it was approved before a moment: what the program brings and every approved layer."""
    known = tuple((await tx.connection.execute(_APPROVED, {"before": known_before})).scalars())
    if known not in _assembled:
        layers = await tx.connection.execute(_LAYERS, {"known": list(known)})
        _assembled[known] = shipped().with_layers(
            replace(read_layer(row.layer), published_on=business_date(row.approved_at), policy_id=str(row.policy_id))
            for row in layers
        )
    return _assembled[known]


_assembled: dict[tuple[UUID, ...], PolicySet] = {}
"""By the approved layers' ids, which name their content for ever."""


async def policy_to_judge_by(tx: Transaction) -> PolicySet:
    """The policy in force, for whoever stores what comes of it; read it behind the persons' locks. No other comes into
    force until that is committed: its re-evaluation meets everybody judged by this one, who is new among them.
    Superseded where this process is of an older release: what it has to judge waits until it is replaced."""
    [begun] = await tx.fetch("SELECT begin_judging($1) AS release", _JUDGING)
    if begun["release"] not in (None, shipped().digest):
        raise Superseded
    return await load_policy(tx)


async def let_release_judge(tx: Transaction) -> None:
    """The release of this process, from the end of the transaction on, and no other."""
    await tx.connection.execute(_LET_RELEASE_JUDGE, {"digest": shipped().digest})


async def let_judgements_end(tx: Transaction) -> None:
    """Those under way by the policy in force so far; others wait for the end of this transaction. To be called last."""
    await tx.flush()
    await tx.fetch("SELECT pg_advisory_xact_lock($1)", _JUDGING)


async def tell_policies(tx: Transaction, policy: PolicySet) -> list[str]:
    """Publishes the parameters of every area whose own or upper layers have changed since they were last told; those of
    them that were told otherwise before."""
    await tx.lock(POLICY_LOCK)
    told = {
        row.area: row for row in await tx.connection.execute(text("SELECT area, version, digest FROM told_policies"))
    }
    due = [area for area in sorted(policy.areas) if area not in told or told[area].digest != policy.version(area)]
    for area in due:
        version = told[area].version + 1 if area in told else 1
        await tx.connection.execute(_TELL, {"area": area, "version": version, "digest": policy.version(area)})
        tx.publish(
            PolicyChanged(version=version, area=area, policy_version=policy.version(area), values=_values(policy, area))
        )
    return [area for area in due if area in told]


def _values(policy: PolicySet, area: str) -> tuple[PolicyValue, ...]:
    """What each name comes to in the area, at each day on which it changes."""
    values: list[PolicyValue] = []
    before: dict[str, Any] = {}
    for since in policy.changes(policy.chain(area)):
        now = {parameter.name: parameter.value for parameter in policy.in_force(area, since)}
        values += [PolicyValue(parameter=n, since=since, value=v) for n, v in now.items() if before.get(n) != v]
        before = now
    return tuple(values)


_LET_RELEASE_JUDGE = text(
    "INSERT INTO judging_release (digest) VALUES (:digest) ON CONFLICT ((true)) DO UPDATE SET digest = excluded.digest"
)

_APPROVED = text(
    "SELECT policy_id FROM policies WHERE status = 'approved'"
    " AND (CAST(:before AS timestamptz) IS NULL OR approved_at < :before) ORDER BY approval_no"
)
_LAYERS = text("SELECT policy_id, layer, approved_at FROM policies WHERE policy_id = ANY(:known) ORDER BY approval_no")

_TELL = text(
    "INSERT INTO told_policies (area, version, digest) VALUES (:area, :version, :digest)"
    " ON CONFLICT (area) DO UPDATE SET version = excluded.version, digest = excluded.digest"
)
