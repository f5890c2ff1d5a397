"""What the papers of verification and supervision hold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import select, text

from libs.common.database import Transaction, rows
from libs.common.privacy import Sealer
from services.matching.deadlines import months_after
from services.matching.feeds import FeedFolder
from services.matching.handlers.names import names_of
from services.matching.tables import among, claims, escalations, findings

KIND_NAMES = {
    "person.died": "疑似死亡",
    "person.declared_dead": "被宣告死亡",
    "person.declared_missing": "被宣告失踪",
    "person.missing": "失踪",
    "person.imprisoned": "在监服刑",
    "person.moved": "户籍迁移",
    "certificate.reassessed": "残疾等级重新评定",
    "certificate.expired": "残疾人证过期",
    "certificate.frozen": "残疾人证冻结",
    "certificate.cancelled": "残疾人证注销",
    "certificate.moved_out": "残疾人证迁出",
    "low_income.exited": "退出低保或低保边缘",
    "benefit.started": "享受其他补贴",
}
MOST = 5000
"""Rows of one paper: nobody prints more."""


async def read_task_sheets(tx: Transaction, area: str, folder: FeedFolder, sealer: Sealer) -> Sequence[dict[str, Any]]:
    """核查任务单: the open findings that the area verifies, each with what was said, by whom, and the name it gave."""
    found = rows(
        await tx.connection.execute(
            select(findings)
            .where(findings.c.status == "open", findings.c.assigned_to.startswith(area, autoescape=True))
            .order_by(findings.c.due_on, findings.c.finding_id)
            .limit(MOST)
        )
    )
    said = rows(
        await tx.connection.execute(
            select(claims).where(among(claims.c.person_id, {row["person_id"] for row in found}))
        )
    )
    by_finding: dict[Any, list[dict[str, Any]]] = {}
    for claim in said:
        by_finding.setdefault(claim["finding_id"], []).append(claim)
    names = await names_of(tx, [row["finding_id"] for row in found], folder, sealer)
    return [_task(row, by_finding.get(row["finding_id"], []), names.get(row["finding_id"])) for row in found]


def _task(row: dict[str, Any], said: list[dict[str, Any]], name: str | None) -> dict[str, Any]:
    return {
        "finding_id": row["finding_id"],
        "person_id": row["person_id"],
        "name": name,
        "kind": row["kind"],
        "says": KIND_NAMES.get(row["kind"], row["kind"]),
        "area": row["area"],
        "assigned_to": row["assigned_to"],
        "alleged_on": row["alleged_on"],
        "sources": sorted({claim["source"] for claim in said}),
        "opened_on": row["opened_on"],
        "due_on": row["due_on"],
        "overdue": row["overdue_since"] is not None,
    }


async def read_expiring(tx: Transaction, area: str, as_of: date) -> Sequence[dict[str, Any]]:
    """到期预警表: recipients whose certificate expires within six months, and which of them within one."""
    given = {"area": area, "as_of": as_of, "until": months_after(as_of, 6), "soon": months_after(as_of, 1)}
    return rows(await tx.connection.execute(_EXPIRING, {**given, "period": f"{as_of:%Y-%m}", "most": MOST}))


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
    held AS (
        SELECT DISTINCT ON (f.person_id) f.person_id, f.data ->> 'category' AS category,
            CAST(f.data ->> 'level' AS int) AS level, CAST(f.data ->> 'expires_on' AS date) AS expires_on
        FROM standing_facts f JOIN recipients USING (person_id)
        WHERE f.kind IN ('certificate.issued', 'certificate.renewed', 'certificate.reassessed')
        ORDER BY f.person_id, f.occurred_on DESC, f.known_at DESC
    )
    SELECT r.person_id, r.area, r.subsidies, h.category, h.level, h.expires_on,
        CASE WHEN h.expires_on <= :soon THEN 1 ELSE 6 END AS within_months
    FROM held h JOIN recipients r USING (person_id)
    WHERE h.expires_on BETWEEN :as_of AND :until
    ORDER BY h.expires_on, r.person_id LIMIT :most
    """
)
