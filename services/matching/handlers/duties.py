"""The monthly comparison's three parts (notice 3): civil affairs, the federation, and every township by signature."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, or_, select, text
from sqlalchemy.dialects.postgresql import insert

from libs.common.areas import areas_below, level_of, name_of
from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Transaction
from libs.common.errors import InvalidInput
from libs.common.period import Period
from services.matching.parameters import load_parameters
from services.matching.tables import comparisons, feeds, findings, monthly_signoffs

_PARTS = {"civil_affairs": ("low_income", "民政部门"), "cdpf": ("certificates", "残联")}
"""Whose part it is, the feed that it consists of, and its name."""


async def sign_off_month(
    tx: Transaction, area: str, period: Period, *, changes: bool, principal: Principal
) -> dict[str, Any]:
    """A township reports changes or signs that there are none (无变化); signed again, the last word counts."""
    if level_of(area) != "township":
        raise InvalidInput.at(
            "area", "由乡镇（街道）签报，区划代码为九位 (a township signs, with a code of nine digits)"
        )
    statement = insert(monthly_signoffs).values(
        area=area, period=str(period), changes=changes, signed_by=principal.sub, signed_at=tx.now
    )
    await tx.connection.execute(
        statement.on_conflict_do_update(
            index_elements=["area", "period"],
            set_={"changes": changes, "signed_by": principal.sub, "signed_at": tx.now},
        )
    )
    await record(tx, principal, "sign off month", f"{area} {period}", changes=changes)
    return {"area": area, "period": period, "changes": changes, "signed_by": principal.sub, "signed_at": tx.now}


async def read_duties(tx: Transaction, area: str, period: Period) -> dict[str, Any]:
    """Each county's parts in that month, done or not, and what is missing by name."""
    counties = [area[:6]] if len(area) >= 6 else await _counties(tx, area, period)
    items = [await _county(tx, county, area, period) for county in counties]
    undecided = select(func.count()).where(
        findings.c.status == "open", findings.c.overdue_since.is_not(None), findings.c.area.startswith(area)
    )
    return {
        "area": area,
        "period": str(period),
        "due_on": period.last_day,
        "province": await _province(tx, area[:2], period),
        "undecided_findings": (await tx.connection.execute(undecided)).scalar_one(),
        "items": items,
        "missing": [name for item in items for name in item["missing"]],
    }


async def _province(tx: Transaction, province: str, period: Period) -> dict[str, Any]:
    """Whether the province compares in that month (notice 3.7), and has."""
    months = (await load_parameters(tx)).in_force("comparison.provincial_months", province, period.first_day).value
    found = await tx.connection.execute(
        select(comparisons.c.comparison_id)
        .where(
            comparisons.c.level == "province",
            comparisons.c.area == province,
            comparisons.c.status == "completed",
            comparisons.c.as_of.between(period.first_day, period.last_day),
        )
        .order_by(comparisons.c.comparison_id.desc())
        .limit(1)
    )
    comparison_id = found.scalar_one_or_none()
    return {"area": province, "due": period.month in months, "done": comparison_id is not None,
            "comparison_id": comparison_id}  # fmt: skip


async def _county(tx: Transaction, county: str, area: str, period: Period) -> dict[str, Any]:
    name = name_of(county, period.last_day)
    item: dict[str, Any] = {"area": county, "name": name, "missing": []}
    for part, (source, body) in _PARTS.items():
        feed_id = await _feed_of(tx, source, county, period)
        item[part] = {"done": feed_id is not None, "source": source, "feed_id": feed_id}
        if feed_id is None:
            item["missing"].append(f"{name}{body}")
    item["comparison_id"] = await _comparison_of(tx, county, period)
    item["townships"] = [
        {**township, "name": name_of(township["area"], period.last_day)}
        for township in await townships_of(tx, area if len(area) > 6 else county, period)
    ]
    item["missing"] += [township["name"] for township in item["townships"] if not township["done"]]
    return item


async def _feed_of(tx: Transaction, source: str, county: str, period: Period) -> Any:
    found = await tx.connection.execute(
        select(feeds.c.feed_id)
        .where(
            feeds.c.source == source,
            feeds.c.status == "ready",
            feeds.c.authoritative,
            feeds.c.as_of.between(period.first_day, period.last_day),
            or_(feeds.c.area == county, func.starts_with(county, feeds.c.area)),
        )
        .order_by(feeds.c.feed_id.desc())
        .limit(1)
    )
    return found.scalar_one_or_none()


async def _comparison_of(tx: Transaction, county: str, period: Period) -> Any:
    found = await tx.connection.execute(
        select(comparisons.c.comparison_id)
        .where(
            func.starts_with(county, comparisons.c.area),
            comparisons.c.status == "completed",
            comparisons.c.as_of.between(period.first_day, period.last_day),
        )
        .order_by(comparisons.c.comparison_id.desc())
        .limit(1)
    )
    return found.scalar_one_or_none()


_TOWNSHIPS = """
WITH known AS (
    SELECT unnest(CAST(:named AS text[])) AS area
    UNION SELECT left(area, 9) FROM roster WHERE length(area) >= 9 AND starts_with(area, :area)
    UNION SELECT left(area, 9) FROM applications WHERE length(area) >= 9 AND starts_with(area, :area)
    UNION SELECT area FROM monthly_signoffs WHERE starts_with(area, :area)
)
SELECT known.area, s.area IS NOT NULL AS done, s.changes, s.signed_by, s.signed_at
FROM known LEFT JOIN monthly_signoffs s ON s.area = known.area AND s.period = :period
ORDER BY known.area
"""


async def townships_of(tx: Transaction, area: str, period: Period) -> list[dict[str, Any]]:
    """Those that the area table names, and those where somebody receives, has applied or has signed; each with its
    signature of the month, if there is one."""
    named = [code for code in areas_below(area[:6], "township", period.last_day) if code.startswith(area)]
    found = await tx.connection.execute(text(_TOWNSHIPS), {"named": named, "area": area, "period": str(period)})
    return [dict(row) for row in found.mappings()]


async def _counties(tx: Transaction, area: str, period: Period) -> list[str]:
    """The counties that the table names, and those where somebody receives or has applied."""
    seen = await tx.connection.execute(
        text(
            "SELECT left(area, 6) FROM roster WHERE length(area) >= 6 AND starts_with(area, :area)"
            " UNION SELECT left(area, 6) FROM applications WHERE length(area) >= 6 AND starts_with(area, :area)"
        ),
        {"area": area},
    )
    return sorted({*areas_below(area, "county", period.last_day), *seen.scalars()})
