"""What the papers of verification and supervision hold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import select, text

from libs.common.database import Transaction, among, rows
from libs.common.period import Period
from libs.common.privacy import Sealer
from services.matching.deadlines import months_after
from services.matching.feeds import FeedFolder
from services.matching.handlers.names import names_of
from services.matching.tables import claims, escalations, findings

MOST = 5000
"""Rows of one paper: nobody prints more."""


async def read_task_sheets(tx: Transaction, area: str, folder: FeedFolder, sealer: Sealer) -> Sequence[dict[str, Any]]:
    """核查任务单: the open findings that the area verifies, each with what was said, by whom, and the name it gave."""
    found = await tx.connection.execute(
        select(findings)
        .where(findings.c.status == "open", findings.c.assigned_to.startswith(area, autoescape=True))
        .order_by(findings.c.due_on, findings.c.finding_id)
        .limit(MOST)
    )
    return await tasks_of(tx, rows(found), folder, sealer)


async def tasks_of(
    tx: Transaction, found: Sequence[dict[str, Any]], folder: FeedFolder, sealer: Sealer
) -> Sequence[dict[str, Any]]:
    """Findings as who verifies them needs them."""
    told = await tx.connection.execute(
        select(claims.c.finding_id, claims.c.source).where(
            among(claims.c.person_id, {row["person_id"] for row in found})
        )
    )
    sources: dict[Any, set[str]] = {}
    for claim in told:
        sources.setdefault(claim.finding_id, set()).add(claim.source)
    names = await names_of(tx, [row["finding_id"] for row in found], folder, sealer)
    columns = ("finding_id", "person_id", "kind", "about", "area", "assigned_to", "alleged_on", "opened_on", "due_on")
    return [
        {
            **{column: row[column] for column in columns},
            "name": names.get(row["finding_id"]),
            "sources": sorted(sources.get(row["finding_id"], ())),
            "overdue": row["overdue_since"] is not None,
        }
        for row in found
    ]


async def read_expiring(tx: Transaction, area: str, as_of: date) -> Sequence[dict[str, Any]]:
    """到期预警表: recipients whose certificate expires within six months, and which of them within one. Of certificates
    that departments told of and those that the federation confirmed with an application, the latest counts."""
    given = {"area": area, "as_of": as_of, "until": months_after(as_of, 6), "soon": months_after(as_of, 1)}
    return rows(await tx.connection.execute(_EXPIRING, {**given, "period": f"{as_of:%Y-%m}", "most": MOST}))


async def read_monthly_changes(tx: Transaction, area: str, period: Period) -> Sequence[dict[str, Any]]:
    """月度变动表: whose payment of that month is new, changed or stopped against the month before, and why. The county
    pays, and the township where the person lives signs."""
    given = {"area": area, "period": str(period), "before": str(period.previous), "most": MOST}
    return rows(await tx.connection.execute(_CHANGES, given))


async def read_certificate_changes(tx: Transaction, area: str, period: Period) -> Sequence[dict[str, Any]]:
    """换证、迁移、冻结清单: what changed of certificates in that month, as it stands now."""
    given = {"area": area, "first": period.first_day, "last": period.last_day, "most": MOST}
    return rows(await tx.connection.execute(_CERTIFICATES, given))


async def read_supervision(tx: Transaction, area: str) -> Sequence[dict[str, Any]]:
    """What was raised in the area, the newest first."""
    return rows(
        await tx.connection.execute(
            select(escalations)
            .where(escalations.c.area.startswith(area, autoescape=True))
            .order_by(escalations.c.raised_on.desc(), escalations.c.escalation_id)
            .limit(MOST)
        )
    )


_EXPIRING = text(
    """
    WITH recipients AS (
        SELECT r.person_id, min(r.area) AS area, array_agg(DISTINCT r.subsidy ORDER BY r.subsidy) AS subsidies
        FROM roster r, jsonb_array_elements(r.schedule) AS span
        WHERE starts_with(r.area, :area) AND span ->> 'from' <= :period
            AND coalesce(span ->> 'to', '9999-12') >= :period
        GROUP BY r.person_id
    ),
    told AS (
        SELECT f.person_id, f.data, f.occurred_on, f.known_at FROM standing_facts f
        WHERE f.kind IN ('certificate.issued', 'certificate.renewed', 'certificate.reassessed')
        UNION ALL
        SELECT a.person_id, a.certificate, CAST(a.certificate ->> 'issued_on' AS date), NULL FROM applications a
        WHERE a.status = 'approved' AND a.certificate ->> 'issued_on' IS NOT NULL
    ),
    held AS (
        SELECT DISTINCT ON (person_id) person_id, data ->> 'category' AS category,
            CAST(data ->> 'level' AS int) AS level, CAST(data ->> 'expires_on' AS date) AS expires_on
        FROM told JOIN recipients USING (person_id)
        ORDER BY person_id, occurred_on DESC, known_at DESC NULLS LAST
    )
    SELECT r.person_id, r.area, r.subsidies, h.category, h.level, h.expires_on,
        CASE WHEN h.expires_on <= :soon THEN 1 ELSE 6 END AS within_months
    FROM held h JOIN recipients r USING (person_id)
    WHERE h.expires_on BETWEEN :as_of AND :until
    ORDER BY h.expires_on, r.person_id LIMIT :most
    """
)

_CHANGES = text(
    """
    WITH spans AS (
        SELECT r.person_id, r.subsidy, r.stopped_because, span ->> 'from' AS first,
            coalesce(span ->> 'to', '9999-12') AS last, CAST(span ->> 'amount_fen' AS bigint) AS amount_fen,
            CASE WHEN starts_with(r.area, span ->> 'area') THEN r.area ELSE span ->> 'area' END AS area,
            CAST(span ->> 'level' AS int) AS level, span ->> 'cause' AS cause,
            bool_or(span ->> 'from' > :period) OVER (PARTITION BY r.person_id, r.subsidy) AS goes_on
        FROM roster r, jsonb_array_elements(r.schedule) AS span
    ),
    now AS (SELECT * FROM spans WHERE :period BETWEEN first AND last),
    before AS (SELECT * FROM spans WHERE :before BETWEEN first AND last)
    SELECT person_id, subsidy, coalesce(now.area, before.area) AS area,
        CASE WHEN before.amount_fen IS NULL THEN 'new' WHEN now.amount_fen IS NULL THEN 'stopped' ELSE 'changed' END
            AS change,
        CASE WHEN now.amount_fen IS NOT NULL THEN now.cause WHEN before.goes_on THEN 'paused'
            ELSE before.stopped_because END AS cause,
        before.area AS area_before, before.level AS level_before, before.amount_fen AS amount_fen_before,
        now.level, now.amount_fen
    FROM now FULL JOIN before USING (person_id, subsidy)
    WHERE (starts_with(now.area, :area) OR starts_with(before.area, :area))
        AND (now.amount_fen, now.level, now.area) IS DISTINCT FROM (before.amount_fen, before.level, before.area)
    ORDER BY change, area, person_id, subsidy LIMIT :most
    """
)

_CERTIFICATES = text(
    """
    SELECT f.person_id, f.kind, f.area, f.occurred_on, (f.known_at AT TIME ZONE 'Asia/Shanghai')::date AS known_on,
        f.data ->> 'cause' AS cause, CAST(f.data ->> 'in_transit' AS boolean) AS in_transit,
        coalesce(f.data ->> 'category', held.category) AS category,
        CAST(coalesce(f.data ->> 'level', held.level) AS int) AS level,
        CAST(f.data ->> 'expires_on' AS date) AS expires_on
    FROM standing_facts f
    LEFT JOIN LATERAL (
        SELECT h.data ->> 'category' AS category, h.data ->> 'level' AS level FROM standing_facts h
        WHERE h.person_id = f.person_id AND h.occurred_on <= f.occurred_on
            AND h.kind IN ('certificate.issued', 'certificate.renewed', 'certificate.reassessed')
        ORDER BY h.occurred_on DESC, h.known_at DESC LIMIT 1
    ) AS held ON true
    WHERE starts_with(f.area, :area) AND f.occurred_on BETWEEN :first AND :last
        AND f.kind LIKE 'certificate.%' AND f.kind <> 'certificate.issued'
    ORDER BY f.occurred_on, f.person_id LIMIT :most
    """
)
