"""The SQL of `sql/`, in the open, as statements."""

from __future__ import annotations

import functools
from pathlib import Path

from sqlalchemy import TextClause, text

_FOLDER = Path(__file__).parent / "sql"


@functools.cache
def query(name: str) -> TextClause:
    """The statement in `sql/<name>.sql`, with the expressions of `sql/months.sql` where it asks for them."""
    return text(sql(name))


def sql(name: str) -> str:
    """Its text."""
    body = (_FOLDER / f"{name}.sql").read_text("utf-8")
    return body.replace("/* months */", (_FOLDER / "months.sql").read_text("utf-8").rstrip())


@functools.cache
def opening_cases(name: str) -> TextClause:
    """Opens a case for each difference that `sql/<name>.sql` finds; see `handlers/cases.py` for when one comes back."""
    return text(
        "INSERT INTO cases (kind, subject, payment_id, area, period, person_id, cycle_id, detail) "
        + sql(name)
        + " ON CONFLICT (kind, subject) DO UPDATE SET detail = excluded.detail, opened_at = now(), resolved_at = NULL,"
        " resolved_by = NULL, resolution = NULL WHERE cases.detail <> excluded.detail"
    )


@functools.cache
def resolving_void_cases(name: str) -> TextClause:
    """Resolves the cases of these cycles and kinds that `sql/<name>.sql` finds no more."""
    return text(_RESOLVING.replace("/* differences */", sql(name)))


_RESOLVING = """
WITH differing AS (/* differences */)
UPDATE cases SET resolved_at = now(), resolved_by = 'reconciliation', resolution = 'it differs no more'
WHERE cycle_id = ANY(CAST(:cycle_ids AS uuid[])) AND kind = ANY(CAST(:kinds AS text[])) AND resolved_at IS NULL
  AND NOT EXISTS (SELECT FROM differing d WHERE d.kind = cases.kind AND d.subject = cases.subject)
"""
