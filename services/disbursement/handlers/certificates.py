"""The certificate of a reconciliation (对账单): what every side said, and what differed, so that anybody can check
later that a clean month was clean, and still is."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from uuid import UUID

from sqlalchemy import text

from libs.common.database import Transaction, rows
from libs.common.errors import NotFound
from libs.common.period import Period
from services.disbursement.queries import query


async def figures(tx: Transaction, area: str, period: Period) -> dict[str, Any]:
    """What each side says of a period in an area, now."""
    scope = {"area": area, "period": period.first_day, "since": period.first_day, "upto": period.first_day}
    sides = (await tx.connection.execute(query("sides"), scope)).one()
    month = (await tx.connection.execute(query("month_account"), scope)).mappings().one()
    listed = await tx.connection.execute(query("listed_rosters"), scope)
    return {
        "month": dict(month),
        "sides": sides.sides,
        "lines_digest": sides.lines_digest,
        "rosters": [row | {"as_of": str(row["as_of"]), "feed_id": str(row["feed_id"])} for row in rows(listed)],
    }


async def certify(
    tx: Transaction, area: str, period: Period, differences: dict[str, int], *, run_by: str
) -> dict[str, Any]:
    """Keeps what a reconciliation found, chained to the one before it of that area."""
    before: str | None = (
        await tx.connection.execute(
            text("SELECT digest FROM reconciliations WHERE area = :area ORDER BY reconciliation_id DESC LIMIT 1"),
            {"area": area},
        )
    ).scalar_one_or_none()
    certificate = {
        "area": area,
        "period": str(period),
        "at": tx.now.isoformat(),
        **await figures(tx, area, period),
        "differences": differences,
        "explained": await _explained(tx, area, period),
        "previous": before,
    }
    saved = await tx.connection.execute(
        text(
            "INSERT INTO reconciliations (area, period, clean, certificate, digest, run_by, run_at) VALUES"
            " (:area, :period, :clean, CAST(:certificate AS jsonb), :digest, :run_by, :now)"
            " RETURNING reconciliation_id, clean, digest, run_by, run_at"
        ),
        {
            "area": area,
            "period": period.first_day,
            "clean": not differences,
            "certificate": json.dumps(certificate, ensure_ascii=False),
            "digest": digest_of(certificate),
            "run_by": run_by,
            "now": tx.now,
        },
    )
    return {**rows(saved)[0], "certificate": certificate}


async def check(tx: Transaction, reconciliation_id: UUID) -> dict[str, Any]:
    """A kept reconciliation, whether its digest is that of its certificate (`intact`), and whether every side still
    says the same (`still_so`). NotFound."""
    found = rows(
        await tx.connection.execute(
            text("SELECT * FROM reconciliations WHERE reconciliation_id = :id"), {"id": reconciliation_id}
        )
    )
    if not found:
        raise NotFound("no such reconciliation")
    kept = found[0] | {"period": Period.of(found[0]["period"])}
    now = await figures(tx, kept["area"], kept["period"])
    return kept | {
        "intact": digest_of(kept["certificate"]) == kept["digest"],
        "still_so": all(kept["certificate"][name] == said for name, said in now.items()),
    }


def digest_of(content: Any) -> str:
    """SHA-256 of the content as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(content, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


async def _explained(tx: Transaction, area: str, period: Period) -> dict[str, int]:
    """Differences of the period that a person has explained, by kind."""
    found = await tx.connection.execute(
        text(
            "SELECT kind, count(*) AS cases FROM cases WHERE area LIKE :area || '%' AND period = :period"
            " AND resolved_by <> 'reconciliation' GROUP BY kind ORDER BY kind"
        ),
        {"area": area, "period": period.first_day},
    )
    return {row.kind: row.cases for row in found}
