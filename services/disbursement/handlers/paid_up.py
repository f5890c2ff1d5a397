"""Up to which month everything is paid (结清): no cycle looks at those months again, until what could make one of them
due takes the note away: another schedule (`projections.py`), a payment that came back, a decision withdrawn.

It is noted of most as their cycle settles, of the rest once a day. Whoever is not noted is only looked at for longer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date

from sqlalchemy import text

from libs.common.database import Transaction
from libs.common.period import Period
from libs.common.vocabulary import SUBSIDIES, Subsidy
from services.disbursement.queries import EVER, query


async def note_paid_up(tx: Transaction, area: str, subsidies: Sequence[Subsidy], through: Period) -> int:
    """Notes in an area who is paid up to a month; how many. Of most only that month is to be looked at: they are first,
    by themselves."""
    noted = 0
    for since in (through.first_day, EVER):
        found = await tx.connection.execute(
            query("paid_up"),
            {"area": area, "subsidies": list(subsidies), "since": since, "upto": through.first_day},
        )
        noted += found.rowcount
    return noted


async def note_everybody_paid_up(tx: Transaction, as_of: date) -> int:
    """Also of those whose cycle did not settle whole, or who were behind."""
    return await note_paid_up(tx, "", SUBSIDIES, Period.of(as_of).previous)


async def behind_since(tx: Transaction, area: str, subsidies: Sequence[Subsidy], through: Period) -> Period | None:
    """The first month of whoever in an area is not noted as paid up to a month; None if everybody is."""
    first: date | None = (
        await tx.connection.execute(
            text(
                "SELECT min(lower(s.months)) FROM entitled_spans s JOIN entitlements e USING (person_id, subsidy)"
                " WHERE s.area LIKE :area || '%' AND subsidy = ANY(CAST(:subsidies AS text[]))"
                " AND lower(s.months) <= CAST(:upto AS date) AND e.paid_up_to < CAST(:upto AS date)"
            ),
            {"area": area, "subsidies": list(subsidies), "upto": through.first_day},
        )
    ).scalar_one()
    return Period.of(first) if first else None


async def forget_paid_up(tx: Transaction, months: Collection[tuple[str, Subsidy, date]]) -> None:
    """These months of these persons may be due again."""
    await tx.connection.execute(
        text(
            "UPDATE entitlements e SET paid_up_to = least(e.paid_up_to, m.period - interval '1 month')"
            " FROM (SELECT person_id, subsidy, min(period) AS period FROM unnest(CAST(:persons AS text[]),"
            " CAST(:subsidies AS text[]), CAST(:periods AS date[])) AS m (person_id, subsidy, period)"
            " GROUP BY person_id, subsidy) AS m"
            " WHERE e.person_id = m.person_id AND e.subsidy = m.subsidy"
        ),
        {
            "persons": [person_id for person_id, _, _ in months],
            "subsidies": [subsidy for _, subsidy, _ in months],
            "periods": [month for _, _, month in months],
        },
    )
