"""What is overdue is raised to who can see to it (督办), once, and closed by itself when it is done."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from libs.common.areas import name_of
from libs.common.database import Transaction, new_id
from libs.common.period import Period
from services.matching.handlers.duties import read_duties
from services.matching.parameters import load_parameters
from services.matching.tables import comparisons, escalations
from services.matching.vocabulary import KIND_NAMES, PLAN_NAMES


async def escalate_overdue(tx: Transaction, as_of: date) -> int:
    """Daily: raises what is overdue by that day and closes what no longer is; how many were raised."""
    await tx.connection.execute(_CLOSE, {"as_of": as_of})
    raised = (await tx.connection.execute(_RAISE, {"as_of": as_of})).rowcount
    missing = await _missing_parts(tx, Period.of(as_of).previous)
    return int(raised) + await _raise_parts(tx, missing, Period.of(as_of).previous, as_of)


async def _missing_parts(tx: Transaction, period: Period) -> dict[str, dict[str, Any]]:
    """The parts of that month's comparisons that nobody has done, where there are recipients."""
    found = await tx.connection.execute(_COUNTIES, {"period": str(period)})
    missing: dict[str, dict[str, Any]] = {}
    counties = list(found.scalars())
    for county in counties:
        for item in (await read_duties(tx, county, period))["items"]:
            for part in ("civil_affairs", "cdpf"):
                if not item[part]["done"]:
                    missing[f"{period}:{county}:{part}"] = {"area": county, "raised_to": county[:4], "part": part}
            if item["comparison_id"] is None:
                missing[f"{period}:{county}:comparison"] = {
                    "area": county, "raised_to": county[:4], "part": "comparison",
                }  # fmt: skip
            for township in item["townships"]:
                if not township["done"]:
                    code = township["area"]
                    missing[f"{period}:{code}:township"] = {"area": code, "raised_to": county, "part": "township"}
    for province in sorted({county[:2] for county in counties}):
        months = (await load_parameters(tx)).in_force("comparison.provincial_months", province, period.first_day).value
        if period.month in months and not await _province_compared(tx, province, period):
            missing[f"{period}:{province}:province"] = {"area": province, "raised_to": province, "part": "province"}
    return missing


_PARTS = {
    "civil_affairs": "民政部门未完成当月低保信息比对",
    "cdpf": "残联未完成当月残疾人证信息比对",
    "comparison": "当月未与各部门数据比对",
    "township": "未报送当月变动，也未签字确认无变化",
    "province": "省级集中比对未开展",
}


async def _raise_parts(tx: Transaction, missing: dict[str, dict[str, Any]], period: Period, as_of: date) -> int:
    still_open = (escalations.c.kind == "monthly_part") & escalations.c.closed_on.is_(None)
    of_period = escalations.c.subject.startswith(f"{period}:")
    found = await tx.connection.execute(select(escalations.c.subject).where(still_open, of_period))
    done = [subject for subject in found.scalars() if subject not in missing]
    if done:
        await tx.connection.execute(
            escalations.update().where(escalations.c.subject.in_(done), still_open).values(closed_on=as_of)
        )
    if not missing:
        return 0
    raised = await tx.connection.execute(
        insert(escalations)
        .values(
            [
                {
                    "escalation_id": new_id(),
                    "kind": "monthly_part",
                    "subject": subject,
                    "area": item["area"],
                    "raised_to": item["raised_to"],
                    "says": f"{name_of(item['area'], as_of)} {period}：{_PARTS[item['part']]}",
                    "due_on": period.last_day,
                    "raised_on": as_of,
                }
                for subject, item in missing.items()
            ]
        )
        .on_conflict_do_nothing(constraint="raised_once")
    )
    return int(raised.rowcount)


async def _province_compared(tx: Transaction, province: str, period: Period) -> bool:
    found = await tx.connection.execute(
        select(comparisons.c.comparison_id).where(
            comparisons.c.level == "province",
            comparisons.c.area == province,
            comparisons.c.status == "completed",
            comparisons.c.as_of.between(period.first_day, period.last_day),
        )
    )
    return found.first() is not None


def _in_chinese(names: Mapping[str, str]) -> str:
    """What `kind` is called, in SQL."""
    return "CASE kind " + " ".join(f"WHEN '{word}' THEN '{name}'" for word, name in names.items()) + " ELSE kind END"


_COUNTIES = text(
    """
    SELECT DISTINCT left(r.area, 6) AS county FROM roster r, jsonb_array_elements(r.schedule) AS span
    WHERE length(r.area) >= 6 AND span ->> 'from' <= :period AND coalesce(span ->> 'to', '9999-12') >= :period
    ORDER BY county
    """
)

_OVERDUE = f"""
    SELECT 'finding' AS kind, finding_id || ':' || due_on AS subject, area, left(area, 6) AS raised_to, due_on,
        '比对发现逾期未核实：' || {_in_chinese(KIND_NAMES)} AS says
    FROM findings WHERE status = 'open' AND overdue_since IS NOT NULL
    UNION ALL
    SELECT 'outreach', outreach_id::text, area, left(area, 6), remind_by, '逾期未提醒告知，不得视为自愿放弃'
    FROM outreach WHERE alarm_since IS NOT NULL AND reminded_on IS NULL
        AND status IN ('identified', 'reminding', 'task')
    UNION ALL
    SELECT 'proof_of_life', proof_id || ':' || late_after, area, left(area, 6), late_after, '生存验证逾期'
    FROM proofs_of_life WHERE status = 'open' AND late_after < :as_of
    UNION ALL
    SELECT 'plan', plan_id::text, area, left(area, greatest(2, length(area) - 2)), due_on,
        '计划的复核逾期：' || {_in_chinese(PLAN_NAMES)}
    FROM duty_plans WHERE status = 'planned' AND due_on < :as_of
"""  # noqa: S608 (our own names)

_RAISE = text(
    "INSERT INTO escalations (escalation_id, kind, subject, area, raised_to, says, due_on, raised_on)"  # noqa: S608
    " SELECT uuidv7(), kind, subject, area, raised_to, says, due_on, :as_of"
    f" FROM ({_OVERDUE}) AS overdue ON CONFLICT ON CONSTRAINT raised_once DO NOTHING"
)

_CLOSE = text(
    "UPDATE escalations SET closed_on = :as_of WHERE closed_on IS NULL AND kind <> 'monthly_part'"  # noqa: S608
    f" AND (kind, subject) NOT IN (SELECT kind, subject FROM ({_OVERDUE}) AS overdue)"
)
