"""The SQL of `sql/`, in the open, as statements."""

from __future__ import annotations

import functools
from datetime import date
from pathlib import Path
from typing import Literal

from sqlalchemy import TextClause, text

EVER = date.min
"""As `:since`: from the first month on. It is -infinity for PostgreSQL."""

_FOLDER = Path(__file__).parent / "sql"


@functools.cache
def query(name: str, **terms: str) -> TextClause:
    """The statement in `sql/<name>.sql`; `terms` are put where it names them in a comment, as are the expressions
    that several statements share (`months`, `entitled`, `recorded`, `judged`, `holds`, `listed_rosters`)."""
    return text(sql(name, **terms))


def sql(name: str, **terms: str) -> str:
    """Its text."""
    body = _read(name)
    for term, meaning in terms.items():
        body = body.replace(f"/* {term} */", meaning)
    for part in ("months", "entitled", "recorded", "judged", "holds", "listed_rosters"):
        body = body.replace(f"/* {part} */", _read(part).rstrip())
    return body


def _read(name: str) -> str:
    return (_FOLDER / f"{name}.sql").read_text("utf-8")


Scope = Literal["cycles", "area", "period", "everywhere"]


@functools.cache
def keeping_cases(name: str, scope: Scope) -> TextClause:
    """Opens a case for each difference that `sql/<name>.sql` finds, and resolves those of `:kinds` within the scope
    that it finds no more; how many were opened. See `handlers/cases.py` for when a resolved one comes back."""
    return text(_KEEPING.replace("/* differences */", sql(name)).replace("/* scope */", _SCOPES[scope]))


_SCOPES: dict[Scope, str] = {
    "cycles": "cycle_id = ANY(CAST(:cycle_ids AS uuid[]))",
    "area": "area LIKE :area || '%' AND coalesce(period, CAST(:upto AS date)) <= CAST(:upto AS date)",
    "period": "period = CAST(:period AS date)",
    "everywhere": "true",
}

_KEEPING = """
WITH differing AS MATERIALIZED (/* differences */),
opened AS (
    INSERT INTO cases (kind, subject, payment_id, area, period, person_id, cycle_id, detail, due_on)
    SELECT kind, subject, payment_id, area, period, person_id, cycle_id, detail, case_due_on(area) FROM differing
    ON CONFLICT (kind, subject) DO UPDATE SET detail = excluded.detail, opened_at = now(), due_on = excluded.due_on,
        assigned_to = NULL, assigned_by = NULL, assigned_from = NULL, assigned_at = NULL, demand = NULL,
        resolved_at = NULL, resolved_by = NULL, resolution = NULL
    WHERE cases.detail <> excluded.detail OR cases.resolved_by = 'reconciliation'
    RETURNING case_id
),
void AS (
    UPDATE cases SET resolved_at = now(), resolved_by = 'reconciliation', resolution = '再次核对时已无差异'
    WHERE /* scope */ AND kind = ANY(CAST(:kinds AS text[])) AND resolved_at IS NULL
      AND NOT EXISTS (SELECT FROM differing d WHERE d.kind = cases.kind AND d.subject = cases.subject)
)
SELECT count(*) FROM opened
"""
