"""取数包 for auditors: what was paid in a period and area, and what looks odd about it, as a zip of CSV."""

from __future__ import annotations

import csv
import io
import zipfile
from typing import Annotated

from fastapi import Depends, Query, Response
from sqlalchemy import text

from libs.common import audit
from libs.common.areas import Area
from libs.common.auth import Principal, caller
from libs.common.web import Tx, router
from services.disbursement.api.periods import InPeriod

api = router(prefix="/v1", tags=["audit"])

Auditor = Annotated[Principal, Depends(caller("auditor"))]

_FILES = {
    "roster.csv": "SELECT person_id, subsidy, area, level, category, amount_fen,"
    " to_char(lower(months), 'YYYY-MM') AS since, to_char(upper(months) - interval '1 month', 'YYYY-MM') AS until,"
    " cause, policy_version FROM entitled_spans"
    " WHERE months @> CAST(:period AS date) AND area LIKE :area || '%' ORDER BY person_id, subsidy",
    "payments.csv": "SELECT payment_id, person_id, subsidy, to_char(period, 'YYYY-MM') AS period, area, level, attempt,"
    " amount_fen, offset_fen, status, code, bank_ref, settled_on, returned_on FROM payments"
    " WHERE period = :period AND area LIKE :area || '%' ORDER BY payment_id",
    "paid_elsewhere.csv": "SELECT person_id, subsidy, to_char(period, 'YYYY-MM') AS period, area, amount_fen, import_id"
    " FROM opening_months WHERE period = :period AND area LIKE :area || '%' ORDER BY person_id, subsidy",
    "shared_accounts.csv": "SELECT number_token, min(number_last4) AS last4, count(*) AS persons,"
    " string_agg(person_id, ' ' ORDER BY person_id) AS person_ids FROM payees WHERE number_token IS NOT NULL"
    " AND holder <> 'institution' GROUP BY number_token HAVING count(*) > 1 AND bool_or(starts_with(area, :area))",
    "not_paid.csv": "SELECT x.person_id, x.subsidy, to_char(x.period, 'YYYY-MM') AS period, x.amount_fen, x.outcome,"
    " x.reason FROM cycle_exceptions x JOIN cycles c USING (cycle_id) WHERE c.period = :period"
    " AND c.area LIKE :area || '%' ORDER BY x.person_id, x.period",
    "paid_too_much.csv": "SELECT r.recovery_id, r.person_id, r.subsidy, r.cause, m.claimed_fen, m.repaid_fen,"
    " m.written_off_fen FROM recoveries r JOIN recovery_months m USING (recovery_id) WHERE m.period = :period"
    " AND r.area LIKE :area || '%' ORDER BY r.recovery_id",
    "paid_in_two_areas.csv": "SELECT person_id, subsidy, string_agg(DISTINCT area, ' ') AS areas,"
    " sum(amount_fen) AS amount_fen FROM payments WHERE period = :period AND status = 'settled' AND person_id IN"
    " (SELECT person_id FROM payments WHERE period = :period AND area LIKE :area || '%')"
    " GROUP BY person_id, subsidy HAVING count(DISTINCT area) > 1",
    # Paid for a month after the one of a death that is known here.
    "paid_after_death.csv": "SELECT p.payment_id, p.person_id, p.subsidy, p.area, p.amount_fen, p.settled_on,"
    " d.died_on, r.recovery_id FROM payments p JOIN (SELECT person_id, min(died_on) AS died_on FROM entitlements"
    " WHERE died_on IS NOT NULL GROUP BY person_id) AS d USING (person_id) LEFT JOIN recoveries r"
    " ON r.person_id = p.person_id AND r.subsidy = p.subsidy AND EXISTS (SELECT FROM recovery_months m"
    " WHERE m.recovery_id = r.recovery_id AND m.period = p.period) WHERE p.period = :period AND p.status = 'settled'"
    " AND p.area LIKE :area || '%' AND p.period > d.died_on ORDER BY p.payment_id",
    "changes_by_user.csv": "SELECT sub, role, action, count(*) AS times, min(at) AS first, max(at) AS last"
    " FROM audit_log WHERE area LIKE :area || '%' AND at >= CAST(:period AS date)"
    " AND at < CAST(:period AS date) + interval '1 month' GROUP BY sub, role, action ORDER BY sub, action",
}


@api.get("/audit-extract.zip")
async def download_extract(
    area: Area, period: InPeriod, reason: Annotated[str, Query(min_length=1, max_length=500)], tx: Tx, auditor: Auditor
) -> Response:
    """The roster, payments, shared accounts, what was not paid, paid too much, after a death or in two areas, and deeds
    by user: no names."""
    auditor.require_area(area)
    await audit.record(tx, auditor, "download audit extract", area, reason=reason, period=str(period))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, statement in _FILES.items():
            found = await tx.connection.execute(text(statement), {"area": area, "period": period.first_day})
            out = io.StringIO()
            writer = csv.writer(out)
            writer.writerow(found.keys())
            writer.writerows(found.all())
            archive.writestr(name, out.getvalue().encode("utf-8-sig"))
    return Response(
        packed.getvalue(),
        media_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="audit-{area}-{period}.zip"'},
    )
