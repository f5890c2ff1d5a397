"""What is told to whom: events, and days that come, become messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import bindparam, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from libs.common.consumer import Received
from libs.common.database import Transaction, rows
from libs.common.events.disbursement import PaymentState, RecoveryState
from libs.common.events.eligibility import EntitlementChanged
from libs.common.events.intake import ApplicationApproved, ApplicationState, ApplicationWithdrawn
from libs.common.money import yuan_text
from libs.common.period import Period, business_date
from libs.common.privacy import Sealer
from libs.common.vocabulary import SUBSIDY_NAMES, Subsidy
from services.notification import texts
from services.notification.composing import Draft, compose
from services.notification.entitlement_news import News, Run, Told, look_again, news
from services.notification.tables import contacts, schedules
from services.notification.texts import Kind


async def note_contacts(tx: Transaction, received: Sequence[Received], sealer: Sealer) -> None:
    """Keeps how people are reached, and tells a phone that it is no longer used, in case somebody else changed it."""
    person_ids = {item.data.person_id for item in received}
    await tx.lock(*person_ids)
    known = {
        row["person_id"]: row
        for row in rows(await tx.connection.execute(select(contacts).where(contacts.c.person_id.in_(person_ids))))
    }
    changed: dict[str, dict[str, Any]] = {}
    drafts: list[Draft] = []
    for item in sorted(received, key=lambda item: item.data.version):
        data, before = item.data, known.get(item.data.person_id)
        if before is not None and before["version"] >= data.version:
            continue
        place = ("contacts", data.person_id, "phone")
        phone = sealer.open(data.phone, item.event_id, "phone") if data.phone else None
        sealed = sealer.seal(phone, *place) if phone else None
        name = sealer.open(data.name, item.event_id, "name")
        row = {
            "person_id": data.person_id,
            "version": data.version,
            "area": data.area,
            "phone": sealed,
            "name": sealer.seal(name, "contacts", data.person_id, "name"),
        }
        known[data.person_id] = changed[data.person_id] = row
        old_phone = sealer.open(before["phone"], *place) if before and before["phone"] else None
        if old_phone is not None and old_phone != phone:
            drafts.append(Draft("contact_changed", _cause(item), data.person_id, data.area, phone=old_phone))
    if changed:
        upsert = insert(contacts)
        await tx.connection.execute(
            upsert.on_conflict_do_update(
                index_elements=[contacts.c.person_id],
                set_={name: upsert.excluded[name] for name in ("version", "area", "phone", "name")},
            ),
            list(changed.values()),
        )
    await compose(tx, drafts, sealer)


async def note_decisions(tx: Transaction, received: Sequence[Received], sealer: Sealer) -> None:
    """Approved, rejected, withdrawn."""
    await tx.lock(*{item.data.person_id for item in received})
    await compose(tx, [_decision(item) for item in received], sealer)


def _decision(item: Received) -> Draft:
    data: ApplicationState = item.data
    values = {"applied_on": _day(data.applied_on), "subsidies": _subsidies(data.subsidies)}
    kind: Kind = "application_rejected"
    if isinstance(data, ApplicationApproved):
        kind, values["subsidies"] = "application_approved", _subsidies(data.granted)
    elif isinstance(data, ApplicationWithdrawn):
        kind, values["withdrawn_on"] = "application_withdrawn", _day(data.withdrawn_on)
    return Draft(kind, _cause(item), data.person_id, data.area, values, data.application_id)


async def note_entitlements(tx: Transaction, received: Sequence[Received], sealer: Sealer) -> None:
    """Keeps each newest schedule, and tells what is new in it against what the person was last told."""
    newest: dict[tuple[str, Subsidy], Received] = {}
    for item in sorted(received, key=lambda item: item.data.version):
        newest[item.data.person_id, item.data.subsidy] = item
    await tx.lock(*{person_id for person_id, _ in newest})
    key = tuple_(schedules.c.person_id, schedules.c.subsidy)
    known = {
        (row["person_id"], row["subsidy"]): row
        for row in rows(await tx.connection.execute(select(schedules).where(key.in_(list(newest)))))
    }
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
            **(_told_before(data) if before is None else {name: before[name] for name in _TOLD}),
        }
        if data.cause == "person.merged":  # the person goes on under another person_id: nothing stopped
            row |= {"told_amount_fen": None, "told_since": None, "look_again_on": None}
        else:
            drafts += _tell(row, Period.of(business_date(item.envelope.time)))
        changed.append(row)
    if changed:
        upsert = insert(schedules)
        kept = ("version", "area", "runs", "because", "told_amount_fen", "told_since", "look_again_on")
        await tx.connection.execute(
            upsert.on_conflict_do_update(
                index_elements=[schedules.c.person_id, schedules.c.subsidy],
                set_={name: upsert.excluded[name] for name in kept},
            ),
            changed,
        )
    await compose(tx, drafts, sealer)


_TOLD = ("told_amount_fen", "told_since")


def _told_before(data: EntitlementChanged) -> dict[str, Any]:
    """What a person was told whose schedule is seen for the first time: nothing, or, if this is not the approval and
    came before it, what the approval told."""
    if not data.schedule or data.cause == "application.approved":
        return dict.fromkeys(_TOLD)
    last = data.schedule[-1]
    return {"told_amount_fen": last.amount_fen, "told_since": last.from_.first_day}


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
    runs = [Run(Period.parse(first), Period.parse(last) if last else None, fen) for first, last, fen in row["runs"]]
    told = Told(row["told_amount_fen"], Period.of(row["told_since"])) if row["told_since"] else None
    found, told = news(told, runs, today)
    again = look_again(runs, today)
    row["told_amount_fen"] = told and told.amount_fen
    row["told_since"] = told and told.since.first_day
    row["look_again_on"] = again and again.first_day
    return [_entitlement_draft(row, found, today)] if found is not None else []


def _entitlement_draft(row: Mapping[str, Any], found: News, today: Period) -> Draft:
    values = {
        "subsidy": SUBSIDY_NAMES[row["subsidy"]],
        "first_month": _month(found.first_month),
        "reason": texts.why_stopped(row["because"]),
        "amount": yuan_text(found.amount_fen or 0),
    }
    cause = f"entitlement:{row['person_id']}:{row['subsidy']}:v{row['version']}:{today}"
    ended = found.kind == "entitlement_stopped" and row["because"] in texts.DEATHS
    return Draft("entitlement_ended" if ended else found.kind, cause, row["person_id"], row["area"], values)


async def note_unpaid(tx: Transaction, received: Sequence[Received], sealer: Sealer) -> None:
    """A payment failed or came back: what to do about the account."""
    await tx.lock(*{item.data.person_id for item in received})
    await compose(tx, [_unpaid(item) for item in received], sealer)


def _unpaid(item: Received) -> Draft:
    data: PaymentState = item.data
    problem = texts.ACCOUNT_PROBLEMS.get(data.code) if data.code else None
    reason, remedy = problem or texts.UNKNOWN_ACCOUNT_PROBLEM
    values = {
        "period": _month(data.period),
        "subsidy": SUBSIDY_NAMES[data.subsidy],
        "amount": yuan_text(data.amount_fen),
        "reason": reason,
        "remedy": remedy,
    }
    return Draft("payment_failed", _cause(item), data.person_id, data.area, values, data.payment_id)


async def note_recoveries(tx: Transaction, received: Sequence[Received], sealer: Sealer) -> None:
    """An overpayment case was opened: which months, how much, and that one may object."""
    await tx.lock(*{item.data.person_id for item in received})
    await compose(tx, [_recovery(item) for item in received], sealer)


def _recovery(item: Received) -> Draft:
    data: RecoveryState = item.data
    values = {
        "subsidy": SUBSIDY_NAMES[data.subsidy],
        "months": _months([month.period for month in data.months]),
        "amount": yuan_text(data.amount_fen),
    }
    return Draft("recovery_opened", _cause(item), data.person_id, data.area, values, data.recovery_id)


async def note_reminders(tx: Transaction, received: Sequence[Received], sealer: Sealer) -> None:
    """The outreach reminder of notice 1, to the phone that the departments know, else to the person's contact."""
    await tx.lock(*{item.data.person_id for item in received})
    drafts = []
    for item in received:
        data = item.data
        phone = sealer.open(data.phone, item.event_id, "phone") if data.phone else None
        cause = f"event:{item.event_id}"
        drafts.append(Draft("reminder", cause, data.person_id, data.area, {}, data.outreach_id, phone))
    await compose(tx, drafts, sealer)


def _cause(item: Received) -> str:
    """The state that is told: the same one stays the same when its service publishes it again."""
    return f"{item.data.aggregate}:v{item.data.aggregate_version}"


def _subsidies(subsidies: Iterable[Subsidy]) -> str:
    return "、".join(SUBSIDY_NAMES[subsidy] for subsidy in subsidies)


def _day(day: date) -> str:
    return f"{day.year}年{day.month}月{day.day}日"


def _month(period: Period) -> str:
    return f"{period.year}年{period.month}月"


def _months(periods: Sequence[Period]) -> str:
    """`2026年3月至5月等` would hide months: a run is named by its ends, several runs by their count as well."""
    first, last = min(periods), max(periods)
    if first == last:
        return _month(first)
    span = f"{_month(first)}至{_month(last)}"
    return span if last.index - first.index + 1 == len(periods) else f"{span}间的{len(periods)}个月"
