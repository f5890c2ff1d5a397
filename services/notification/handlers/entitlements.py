"""What is new in a schedule becomes a message: stopped, resumed, another amount, and more for months past."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import bindparam, select, text, update

from libs.common.database import Transaction, among, replacing, rows
from libs.common.events.eligibility import EntitlementChanged
from libs.common.money import yuan_text
from libs.common.period import Period, business_date
from libs.common.privacy import Sealer
from libs.common.projection import Received
from libs.common.vocabulary import SUBSIDY_NAMES, Subsidy
from services.notification import texts
from services.notification.composing import Draft, compose
from services.notification.entitlement_news import News, Run, Told, arrears, look_again, news
from services.notification.tables import schedules
from services.notification.wording import month_text, months_text


async def note_entitlements(tx: Transaction, received: Sequence[Received], sealer: Sealer) -> None:
    """Keeps each newest schedule, and tells what is new in it against what the person was last told."""
    newest: dict[tuple[str, Subsidy], Received] = {}
    for item in sorted(received, key=lambda item: item.data.version):
        newest[item.data.person_id, item.data.subsidy] = item
    await tx.lock(*{person_id for person_id, _ in newest})
    of_them = select(schedules).where(among(schedules.c.person_id, {person_id for person_id, _ in newest}))
    known = {(row["person_id"], row["subsidy"]): row for row in rows(await tx.connection.execute(of_them))}
    drafts: list[Draft] = []
    changed: list[dict[str, Any]] = []
    for place, item in newest.items():
        before, data = known.get(place), item.data
        if before is not None and before["version"] >= data.version:
            continue
        row = {
            "person_id": data.person_id,
            "subsidy": data.subsidy,
            "version": data.version,
            "area": data.area,
            "runs": [[str(months.from_), months.to and str(months.to), months.amount_fen] for months in data.schedule],
            "because": data.stopped_because or data.cause,
            "overpaid": {},
            **(_told_before(data) if before is None else {name: before[name] for name in _TOLD}),
        }
        if data.cause == "person.merged":  # the person goes on under another person_id: nothing stopped
            row |= {"told_amount_fen": None, "told_since": None, "look_again_on": None}
        else:
            today = Period.of(business_date(item.envelope.time))
            drafts += _tell(row, today)
            if before is not None:
                more = _arrears_draft(row, before)
                drafts += more if data.cause != "application.approved" else []  # the approval tells of its months
        changed.append(row)
    await tx.fill(_SCHEDULES, changed)
    await compose(tx, drafts, sealer)


_SCHEDULES = replacing(schedules, but=("paid_until",))  # which payments tell
_TOLD = ("told_amount_fen", "told_since")


def _told_before(data: EntitlementChanged) -> dict[str, Any]:
    """What a person was told whose schedule is seen for the first time: nothing, or, if this is not the approval and
    came before it, what the approval told."""
    if not data.schedule or data.cause == "application.approved":
        return dict.fromkeys(_TOLD)
    last = data.schedule[-1]
    return {"told_amount_fen": last.amount_fen, "told_since": last.from_.first_day}


async def note_paid(tx: Transaction, received: Sequence[Received]) -> None:
    """Keeps the latest month that reached each account; the bank's own SMS tells of it (notice 4)."""
    await tx.lock(*{item.data.person_id for item in received})
    latest: dict[tuple[str, Subsidy], date] = {}
    for item in received:
        place, month = (item.data.person_id, item.data.subsidy), item.data.period.first_day
        latest[place] = max(latest.get(place, month), month)
    values = [(person_id, subsidy, month) for (person_id, subsidy), month in latest.items()]
    person_ids, subsidies, months = zip(*values, strict=True)
    await tx.connection.execute(
        _PAID, {"person_ids": list(person_ids), "subsidies": list(subsidies), "months": list(months)}
    )


_PAID = text("""
UPDATE schedules AS s SET paid_until = greatest(s.paid_until, paid.month)
FROM unnest(CAST(:person_ids AS text[]), CAST(:subsidies AS text[]), CAST(:months AS date[]))
    AS paid (person_id, subsidy, month)
WHERE s.person_id = paid.person_id AND s.subsidy = paid.subsidy
""")


async def tell_coming_changes(tx: Transaction, as_of: date, sealer: Sealer) -> int:
    """Daily: what was known ahead and now is next month's: a certificate that expires, a standard that rises."""
    due = rows(
        await tx.connection.execute(select(schedules).where(schedules.c.look_again_on <= as_of).with_for_update())
    )
    drafts = [draft for row in due for draft in _tell(row, Period.of(as_of))]
    if due:
        place = (schedules.c.person_id == bindparam("of_person")) & (schedules.c.subsidy == bindparam("of_subsidy"))
        kept = ("told_amount_fen", "told_since", "look_again_on")
        await tx.connection.execute(
            update(schedules).where(place).values({name: bindparam(f"new_{name}") for name in kept}),
            [
                {
                    "of_person": row["person_id"],
                    "of_subsidy": row["subsidy"],
                    **{f"new_{name}": row[name] for name in kept},
                }
                for row in due
            ],
        )
    return await compose(tx, drafts, sealer)


def _tell(row: dict[str, Any], today: Period) -> list[Draft]:
    """The message that the schedule in `row` calls for, if any; notes in `row` what was told and when to look again."""
    runs = _runs(row["runs"])
    told = Told(row["told_amount_fen"], Period.of(row["told_since"])) if row["told_since"] else None
    found, told = news(told, runs, today)
    again = look_again(runs, today)
    row["told_amount_fen"] = told and told.amount_fen
    row["told_since"] = told and told.since.first_day
    row["look_again_on"] = again and again.first_day
    return [_entitlement_draft(row, found, today)] if found is not None else []


def _runs(stored: Sequence[Sequence[Any]]) -> list[Run]:
    return [Run(Period.parse(first), Period.parse(last) if last else None, fen) for first, last, fen in stored]


def _arrears_draft(row: dict[str, Any], before: Mapping[str, Any]) -> list[Draft]:
    """The notice of what months paid already are paid more (补发), if any are; notes in `row` what is overpaid."""
    if before["paid_until"] is None:
        return []
    overpaid = {Period.parse(month): fen for month, fen in before["overpaid"].items()}
    paid_until = Period.of(before["paid_until"])
    more, overpaid = arrears(_runs(before["runs"]), _runs(row["runs"]), paid_until, overpaid)
    row["overpaid"] = {str(month): fen for month, fen in overpaid.items()}
    if not more:
        return []
    values = {
        "subsidy": SUBSIDY_NAMES[row["subsidy"]],
        "months": months_text([*more]),
        "amount": yuan_text(sum(more.values())),
    }
    cause = f"arrears:{row['person_id']}:{row['subsidy']}:v{row['version']}"
    return [Draft("arrears_granted", cause, row["person_id"], row["area"], values)]


def _entitlement_draft(row: Mapping[str, Any], found: News, today: Period) -> Draft:
    values = {
        "subsidy": SUBSIDY_NAMES[row["subsidy"]],
        "first_month": month_text(found.first_month),
        "reason": texts.why_stopped(row["because"]),
        "amount": yuan_text(found.amount_fen or 0),
    }
    cause = f"entitlement:{row['person_id']}:{row['subsidy']}:v{row['version']}:{today}"
    ended = found.kind == "entitlement_stopped" and row["because"] in texts.DEATHS
    return Draft("entitlement_ended" if ended else found.kind, cause, row["person_id"], row["area"], values)
