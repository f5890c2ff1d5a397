"""What other services tell, kept as disbursement needs it. Each handler takes the newest version, no older one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import text

from libs.common.database import Transaction
from libs.common.events.eligibility import EntitlementChanged, PolicyReevaluated
from libs.common.events.intake import PayeeChanged, payee_place
from libs.common.events.matching import FindingState
from libs.common.period import business_date
from libs.common.privacy import Sealer
from libs.common.projection import Received
from services.disbursement.handlers.heirs import await_heirs
from services.disbursement.handlers.merges import merge_persons, without_merged
from services.disbursement.handlers.overpayments import review_overpayments
from services.disbursement.holds import held_subsidies
from services.disbursement.payee import Account, obstacle_to_paying
from services.disbursement.queries import query

_KEPT = {"person_id", "subsidy", "version", "cause", "stopped_because", "died_on", "to_heir", "area"}


async def keep_schedules(sealer: Sealer, tx: Transaction, received: Sequence[Received]) -> None:
    """The newest schedules, whole; what they make overpaid becomes a recovery."""
    newest = _newest(received, lambda data: (data.person_id, data.subsidy))
    await tx.lock(*{data.person_id for data in (item.data for item in newest)})
    await merge_persons(sealer, tx, (item.data for item in newest))
    kept = await tx.connection.execute(
        text(
            "WITH kept AS ("
            "INSERT INTO entitlements (person_id, subsidy, version, cause, stopped_because, died_on, to_heir, area,"
            " told_at) SELECT person_id, subsidy, version, cause, stopped_because, died_on, to_heir, area, :now"
            " FROM jsonb_to_recordset(CAST(:told AS jsonb)) AS told (person_id text, subsidy text, version bigint,"
            " cause text, stopped_because text, died_on date, to_heir boolean, area text) ORDER BY person_id, subsidy"
            " ON CONFLICT (person_id, subsidy) DO UPDATE SET version = excluded.version, cause = excluded.cause,"
            " stopped_because = excluded.stopped_because, died_on = excluded.died_on, to_heir = excluded.to_heir,"
            " area = excluded.area, told_at = excluded.told_at, paid_up_to = excluded.paid_up_to"
            " WHERE entitlements.version < excluded.version"
            " RETURNING person_id, subsidy, version, cause, stopped_because, told_at),"
            " noted AS (INSERT INTO entitlement_versions SELECT * FROM kept ON CONFLICT DO NOTHING)"
            " SELECT person_id, subsidy FROM kept"
        ),
        {"told": to_json([item.data.model_dump(include=_KEPT) for item in newest]).decode(), "now": tx.now},
    )
    changed = {(row.person_id, row.subsidy) for row in kept}
    if not changed:
        return
    schedules = [item.data for item in newest if (item.data.person_id, item.data.subsidy) in changed]
    await _replace_spans(tx, await without_merged(tx, schedules))
    await await_heirs(tx, {person_id for person_id, _ in changed})
    await review_overpayments(tx, sorted(changed), on=business_date(tx.now))


async def keep_blocked(tx: Transaction, received: Sequence[Received]) -> None:
    """Persons of whom eligibility could not take in an event: nothing is sent to them meanwhile."""
    newest = [item.data for item in _newest(received, lambda data: data.person_id)]
    await tx.lock(*{data.person_id for data in newest})
    await tx.connection.execute(
        text(
            "INSERT INTO blocked_judgements (person_id, version, blocked)"
            " SELECT * FROM unnest(CAST(:persons AS text[]), CAST(:versions AS bigint[]), CAST(:blocked AS boolean[]))"
            " ON CONFLICT (person_id) DO UPDATE SET version = excluded.version, blocked = excluded.blocked"
            " WHERE blocked_judgements.version < excluded.version"
        ),
        {
            "persons": [data.person_id for data in newest],
            "versions": [data.version for data in newest],
            "blocked": [data.blocked for data in newest],
        },
    )


async def _replace_spans(tx: Transaction, schedules: Sequence[EntitlementChanged]) -> None:
    await tx.connection.execute(
        text(
            "DELETE FROM entitled_spans s USING unnest(CAST(:persons AS text[]), CAST(:subsidies AS text[]))"
            " AS gone (person_id, subsidy) WHERE s.person_id = gone.person_id AND s.subsidy = gone.subsidy"
        ),
        {"persons": [data.person_id for data in schedules], "subsidies": [data.subsidy for data in schedules]},
    )
    spans = [
        {
            "person_id": data.person_id,
            "subsidy": data.subsidy,
            "first": span.from_.first_day,
            "after": span.to and span.to.next.first_day,
            "amount_fen": span.amount_fen,
            "area": span.area,
            "level": span.level,
            "category": span.category,
            "policy_version": span.policy_version,
            "cause": span.cause,
            "version": data.version,
        }
        for data in schedules
        for span in data.schedule
    ]
    await tx.connection.execute(
        text(
            "INSERT INTO entitled_spans (person_id, subsidy, months, amount_fen, area, level, category,"
            " policy_version, cause, version) SELECT person_id, subsidy, daterange(first, after), amount_fen, area,"
            " level, category, policy_version, cause, version FROM jsonb_to_recordset(CAST(:spans AS jsonb))"
            " AS span (person_id text, subsidy text, first date, after date, amount_fen bigint, area text,"
            " level smallint, category text, policy_version text, cause text, version bigint)"
        ),
        {"spans": to_json(spans).decode()},
    )


async def keep_payees(sealer: Sealer, tx: Transaction, received: Sequence[Received]) -> None:
    """The newest approved payees, each sealed to its place here."""
    newest = _newest(received, lambda data: data.person_id)
    await save_payees(tx, [(item.data, _resealed(sealer, item.event_id, payee_row(item.data))) for item in newest])


async def save_payees(tx: Transaction, told: Sequence[tuple[PayeeChanged, dict[str, Any]]]) -> None:
    """Keeps payees, each once, with their rows as `payee_row` makes them, where they are newer."""
    await tx.lock(*{payee.person_id for payee, _ in told})
    kept = await tx.connection.execute(
        text(
            "INSERT INTO payees (person_id, version, area, person_name, certificate_number, phone, holder, holder_name,"
            " bank, number, number_last4, number_token, obstacle)"
            " SELECT person_id, version, area, person_name, certificate_number, phone, holder, holder_name, bank,"
            " number, number_last4, number_token, obstacle FROM jsonb_to_recordset(CAST(:told AS jsonb)) AS told"
            " (person_id text, version bigint, area text, person_name text, certificate_number text, phone text,"
            " holder text, holder_name text, bank text, number text, number_last4 text, number_token text,"
            " obstacle text)"
            " ON CONFLICT (person_id) DO UPDATE SET version = excluded.version, area = excluded.area,"
            " person_name = excluded.person_name, certificate_number = excluded.certificate_number,"
            " phone = excluded.phone, holder = excluded.holder,"
            " holder_name = excluded.holder_name, bank = excluded.bank, number = excluded.number,"
            " number_last4 = excluded.number_last4, number_token = excluded.number_token,"
            " obstacle = excluded.obstacle WHERE payees.version < excluded.version RETURNING person_id"
        ),
        {"told": to_json([row for _, row in told]).decode()},
    )
    new = set(kept.scalars())
    await _follow_institutions(tx, [payee for payee, _ in told if payee.person_id in new])


async def _follow_institutions(tx: Transaction, payees: Sequence[PayeeChanged]) -> None:
    """A child whose money goes to an institution is among its children from that day on, until the money goes elsewhere
    (notice 4.6). What an official recorded stays as it is."""
    rows = [
        {
            "person_id": payee.person_id,
            "version": payee.version,
            "area": payee.area,
            "since": payee.effective_on,
            "org_code": payee.account and payee.account.org_code,
        }
        for payee in payees
    ]
    told = {"told": to_json(rows).decode()}
    await tx.connection.execute(query("end_institution_children"), told)
    if any(payee.account is not None and payee.account.org_code for payee in payees):
        await tx.connection.execute(query("begin_institution_children"), told)


def payee_row(data: PayeeChanged) -> dict[str, Any]:
    """The row of a payee, with what stands in the way of paying (notice 4.4) and with texts sealed as they came."""
    account = data.account
    known = Account(account.holder, account.status, account.reason) if account else None
    row: dict[str, Any] = {
        "person_id": data.person_id,
        "version": data.version,
        "area": data.area,
        "person_name": data.person_name,
        "certificate_number": data.certificate_number,
        "phone": data.phone,
        "obstacle": obstacle_to_paying(
            known, cannot_act=data.cannot_act, guardian_in_question=data.guardian_in_question
        ),
    }
    if account is not None:
        row |= {
            "holder": account.holder,
            "holder_name": account.holder_name,
            "bank": account.bank,
            "number": account.number,
            "number_last4": account.number_last4,
            "number_token": account.number_token,
        }
    return row


def _resealed(sealer: Sealer, event_id: UUID, row: dict[str, Any]) -> dict[str, Any]:
    """The row with the texts of an event sealed to their places here."""
    for column, field in _SEALED.items():
        if (sealed := row.get(column)) is not None:
            row[column] = sealer.seal(sealer.open(sealed, event_id, field), *payee_place(row["person_id"], field))
    return row


_SEALED = {
    "person_name": "person_name",
    "certificate_number": "certificate_number",
    "phone": "phone",
    "holder_name": "account.holder_name",
    "number": "account.number",
}
"""The columns of payees that are sealed, and in which field of `payee.changed` each comes."""


async def keep_findings(tx: Transaction, received: Sequence[Received]) -> None:
    """The newest state of each finding. Dismissed, it lifts at once; confirmed, when `lift_answered_holds` says so."""
    newest = _newest(received, lambda data: data.finding_id)
    await tx.lock(*{item.data.person_id for item in newest})
    told = [_finding_row(item.data) for item in newest]
    await tx.connection.execute(
        text(
            "INSERT INTO findings (finding_id, person_id, version, kind, subsidies, area, status, hold_from, due_on,"
            " told_at, lifted_at) SELECT finding_id, coalesce(m.into_person_id, person_id), version, kind, subsidies,"
            " area, status, hold_from, due_on, CAST(:now AS timestamptz),"
            " CASE status WHEN 'dismissed' THEN CAST(:now AS timestamptz) END"
            " FROM jsonb_to_recordset(CAST(:told AS jsonb)) AS told (finding_id uuid, person_id text, version bigint,"
            " kind text, subsidies text[], area text, status text, hold_from date, due_on date)"
            " LEFT JOIN merged_persons m USING (person_id)"
            " ON CONFLICT (finding_id) DO UPDATE SET person_id = excluded.person_id, version = excluded.version,"
            " kind = excluded.kind, subsidies = excluded.subsidies, area = excluded.area, status = excluded.status,"
            " hold_from = excluded.hold_from, due_on = excluded.due_on, told_at = excluded.told_at,"
            " lifted_at = excluded.lifted_at WHERE findings.version < excluded.version"
        ),
        {"told": to_json(told).decode(), "now": tx.now},
    )


def _finding_row(data: FindingState) -> dict[str, Any]:
    return {
        **data.model_dump(mode="json", include={"finding_id", "person_id", "version", "kind", "area", "status"}),
        "subsidies": list(held_subsidies(data.kind)),
        "hold_from": data.hold_from.first_day.isoformat(),
        "due_on": data.due_on.isoformat(),
    }


async def keep_reevaluations(tx: Transaction, received: Sequence[Received]) -> None:
    """Which policy changes are still being applied: no cycle is drawn up over them."""
    told = [item.data for item in _newest(received, lambda data: data.policy_id)]
    await tx.connection.execute(
        text(
            "INSERT INTO reevaluations (policy_id, version, area, status, told_at)"
            " SELECT policy_id, version, area, status, :now FROM jsonb_to_recordset(CAST(:told AS jsonb))"
            " AS told (policy_id uuid, version bigint, area text, status text)"
            " ON CONFLICT (policy_id) DO UPDATE SET version = excluded.version, area = excluded.area,"
            " status = excluded.status, told_at = excluded.told_at, absorbed_at = NULL"
            " WHERE reevaluations.version < excluded.version"
        ),
        {"told": to_json([_reevaluation_row(data) for data in told]).decode(), "now": tx.now},
    )


def _reevaluation_row(data: PolicyReevaluated) -> dict[str, Any]:
    return data.model_dump(mode="json", include={"policy_id", "version", "area", "status"})


def _newest(received: Iterable[Received], key: Any) -> list[Received]:
    """Of each aggregate the event with the highest version."""
    newest: dict[Any, Received] = {}
    for item in received:
        known = newest.get(key(item.data))
        if known is None or known.data.version < item.data.version:
            newest[key(item.data)] = item
    return list(newest.values())
