"""Outreach cases: opened by news, pre-screened, reminded, answered or lapsed (notice 1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, insert, select, text, update

from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Transaction, among, new_id
from libs.common.errors import Conflict, InvalidInput, NotFound
from libs.common.events.envelope import FactEvent
from libs.common.events.matching import CandidateIdentified, OutreachLapsed, PersonMoved, ReminderRequested
from libs.common.parameters import Parameters
from libs.common.period import Period, business_date
from libs.common.projection import Received
from libs.common.working_days import working_days_after
from services.matching.deadlines import months_after
from services.matching.kinds import kind_of
from services.matching.outreach import (
    AGAIN,
    ENDING,
    OPEN,
    Because,
    News,
    Standing,
    lapses_after,
    occasion,
    remind_by,
)
from services.matching.parameters import load_parameters
from services.matching.tables import feeds, outreach

MOVE = kind_of(PersonMoved)


class Moved(NamedTuple):
    """Where somebody lives whose schedule a move within the province changed, and the day on which that was known."""

    area: str
    known_on: date


Told = tuple[FactEvent, str, UUID | None]
"""A fact, the area that it was told for, and the feed that told it."""


async def identify_candidates(tx: Transaction, told: Sequence[Told]) -> None:
    """Opens a case for whom the news make a candidate, and judges again who waits. The caller holds the locks."""
    candid = [item for item in told if kind_of(type(item[0])) in (*AGAIN, *ENDING)]
    if not candid:
        return
    known_on = await _days_of_feeds(tx, {feed_id for _, _, feed_id in candid if feed_id is not None})
    news = [
        News(
            person_id=fact.person_id,
            kind=kind_of(type(fact)),
            began_on=fact.occurred_on,
            known_on=known_on[feed_id] if feed_id is not None else business_date(fact.known_at),
            area=area,
            income=getattr(fact, "category", None) if kind_of(type(fact)).startswith("low_income.") else None,
        )
        for fact, area, feed_id in candid
    ]
    open_cases = await _open_cases(tx, {item.person_id for item in news})
    parameters = await load_parameters(tx)
    fresh = [item for item in news if item.person_id not in open_cases and _is_news(item, parameters)]
    standings = await _standings(tx, {item.person_id: Period.of(item.known_on) for item in fresh})
    for item in sorted(news, key=lambda item: item.began_on):
        case = open_cases.get(item.person_id)
        if item.kind in ENDING:
            if case is not None:
                open_cases[item.person_id] = await _save(
                    tx, case, status="closed", closed_on=item.known_on, closed_because=item.kind
                )
        elif case is None:
            because = occasion(item, standings[item.person_id]) if _is_news(item, parameters) else None
            if because is not None:
                open_cases[item.person_id] = await _open(tx, item, because, parameters)
        elif case.status in ("identified", "task"):  # a corrected fact leads back to the pre-screening
            open_cases[item.person_id] = await _judge_again(tx, case, item.known_on)


async def identify_moved(tx: Transaction, moved: Mapping[str, Moved]) -> None:
    """Opens a case where they live now for who moved there and, without a transfer, receives nothing from the next
    month on. The news of the move itself came before anybody knew that. The caller holds the locks."""
    found = await tx.connection.execute(_LAST_MOVES, {"persons": list(moved), "open": list(OPEN)})
    news = [
        News(person_id, MOVE, moved_on, moved[person_id].known_on, moved[person_id].area)
        for person_id, moved_on in found
    ]
    parameters = await load_parameters(tx)
    standings = await _standings(tx, {item.person_id: Period.of(item.began_on).next for item in news})
    for item in news:
        because = occasion(item, standings[item.person_id]) if _is_news(item, parameters) else None
        if because is not None:
            await _open(tx, item, because, parameters)


async def note_prescreenings(tx: Transaction, received: Sequence[Received]) -> None:
    """Eligible: a reminder is asked for. Not eligible: somebody phones or visits, to find out whether that is so."""
    newest = {item.data.outreach_id: item for item in sorted(received, key=lambda item: item.data.version)}
    await tx.lock(*{item.data.person_id for item in newest.values()})
    on_days = {item.data.person_id: Period.of(business_date(item.envelope.time)) for item in newest.values()}
    standings = await _standings(tx, on_days)
    found = await tx.connection.execute(select(outreach).where(outreach.c.outreach_id.in_(newest)))
    for case in found.all():
        item = newest[case.outreach_id]
        if case.status != "identified" or item.data.version < case.version:
            continue
        standing = standings.get(case.person_id, Standing())
        offered = sorted(standing.lacks & set(item.data.eligible))
        said = item.data.model_dump(mode="json")
        on = max(business_date(item.envelope.time), case.identified_on)
        changes: dict[str, Any] = {"prescreened_on": on, "eligible": offered, "decisions": said["decisions"]}
        if standing.applies:
            changes |= {"status": "applied", "applied_on": on}
        elif offered:
            changes |= {"status": "reminding", "reminder_requested_on": on}
            tx.publish(ReminderRequested(person_id=case.person_id, outreach_id=case.outreach_id, area=case.area))
        elif standing.receives:
            changes |= {"status": "closed", "closed_on": on, "closed_because": "receives what is due"}
        else:
            changes |= {"status": "task", "task_due_on": await _task_due_on(tx, case.area, on)}
        await _save(tx, case, **changes)


async def note_deliveries(tx: Transaction, received: Sequence[Received]) -> None:
    """A reminder reached its person: the person's clock runs, if the office's had not run out."""
    await tx.lock(*{item.data.person_id for item in received})
    for item in sorted(received, key=lambda item: item.data.delivered_at):
        case = await _case(tx, item.data.outreach_id)
        if case is not None and case.status in OPEN and case.reminded_on is None:
            await _remind(tx, case, business_date(item.data.delivered_at), item.data.medium)


async def note_failures(tx: Transaction, received: Sequence[Received]) -> None:
    """A reminder did not reach its person: somebody phones or visits."""
    failed = [item for item in received if item.data.kind == "reminder"]
    await tx.lock(*{item.data.person_id for item in failed})
    cases = await _open_cases(tx, {item.data.person_id for item in failed})
    for item in failed:
        case = cases.get(item.data.person_id)
        if case is not None and case.status == "reminding":
            due_on = await _task_due_on(tx, case.area, business_date(item.envelope.time))
            await _save(tx, case, status="task", task_due_on=due_on)


async def answer_outreach(tx: Transaction, applied: Mapping[str, date]) -> None:
    """Who applied (person_id → day of it) has answered, also after a lapse: an application is always welcome, and one
    that was made in time and is heard of late shows that nothing was waived."""
    found = await tx.connection.execute(
        select(outreach).where(among(outreach.c.person_id, applied), outreach.c.status.in_((*OPEN, "lapsed")))
    )
    for case in found.all():
        if case.status in OPEN or applied[case.person_id] >= case.began_on:
            await _save(tx, case, status="applied", applied_on=applied[case.person_id])


async def record_outcome(
    tx: Transaction, outreach_id: UUID, outcome: str, method: str, on: date, note: str, principal: Principal
) -> Row[Any]:
    """What a call or a visit came to. NotFound outside one's area, Conflict once the case is over.

    `reminded` starts the person's clock; `facts_corrected` leads back to the pre-screening; `unreachable` sets the task
    anew; `not_eligible` and `declined` close the case. None of them enrols anybody or keeps anybody from applying.
    """
    case = await read_case(tx, outreach_id, principal)
    await tx.lock(case.person_id)
    case = await read_case(tx, outreach_id, principal)
    if case.status not in OPEN:
        raise Conflict(f"the case is {case.status}")
    if on < case.identified_on:
        raise InvalidInput.at("on", f"早于识别日期 {case.identified_on} (lies before the case was identified)")
    if outcome == "reminded":
        await _remind(tx, case, on, method, note=note)
    elif outcome == "facts_corrected":
        await _judge_again(tx, case, on, note=note)
    elif outcome == "unreachable":
        await _save(tx, case, status="task", task_due_on=await _task_due_on(tx, case.area, on), note=note)
    else:
        await _save(tx, case, status="closed", closed_on=on, closed_because=outcome, note=note)
    await record(
        tx, principal, "record outreach outcome", str(outreach_id), person_id=case.person_id, reason=note or None,
        outcome=outcome, method=method, on=on,
    )  # fmt: skip
    return await read_case(tx, outreach_id, principal)


async def read_case(tx: Transaction, outreach_id: UUID, principal: Principal) -> Row[Any]:
    """NotFound outside one's area."""
    case = await _case(tx, outreach_id)
    if case is None:
        raise NotFound("no such outreach case")
    principal.require_sight(case.area, "outreach case")
    return case


async def lapse_outreach(tx: Transaction, as_of: date) -> int:
    """Daily: who was reminded in time and let both clocks run out has waived; the office's own lateness is an alarm."""
    late = await tx.connection.execute(
        update(outreach)
        .where(
            outreach.c.status.in_(("identified", "reminding", "task")),
            outreach.c.reminded_on.is_(None),
            outreach.c.remind_by < as_of,
            outreach.c.alarm_since.is_(None),
        )
        .values(alarm_since=as_of)
    )
    over = select(outreach).where(outreach.c.status == "reminded", outreach.c.lapses_after < as_of)
    persons = {case.person_id for case in await tx.connection.execute(over)}
    await tx.lock(*persons)
    # Again, behind the locks: who applied meanwhile has answered.
    cases = (await tx.connection.execute(over.where(among(outreach.c.person_id, persons)))).all()
    for case in cases:
        await _save(tx, case, status="lapsed", lapsed_on=as_of)
        tx.publish(
            OutreachLapsed(
                person_id=case.person_id,
                version=case.version + 1,
                outreach_id=case.outreach_id,
                area=case.area,
                lapsed_on=as_of,
            )
        )
    return late.rowcount + len(cases)


def _is_news(item: News, parameters: Parameters) -> bool:
    lookback_months = parameters.number("outreach.lookback_months", item.area, item.known_on)
    return item.began_on >= months_after(item.known_on, -lookback_months)


async def _open(tx: Transaction, news: News, because: Because, parameters: Parameters) -> Row[Any]:
    area, on = news.area, news.known_on
    values = {
        "outreach_id": new_id(),
        "person_id": news.person_id,
        "area": area,
        "because": because,
        "status": "identified",
        "version": 1,
        "began_on": news.began_on,
        "identified_on": on,
        "remind_by": remind_by(news.began_on, parameters.number("outreach.deadline_months", area, on)),
    }
    added: Row[Any] = (await tx.connection.execute(insert(outreach).values(**values).returning(outreach))).one()
    tx.publish(CandidateIdentified.model_validate(values))
    return added


async def _judge_again(tx: Transaction, case: Row[Any], on: date, **more: Any) -> Row[Any]:
    changed = await _save(tx, case, status="identified", task_due_on=None, **more)
    tx.publish(CandidateIdentified.model_validate({**changed._mapping, "identified_on": on}))
    return changed


async def _remind(tx: Transaction, case: Row[Any], on: date, medium: str, **more: Any) -> None:
    waiver_days = (await load_parameters(tx)).number("outreach.waiver_days", case.area, on)
    await _save(
        tx,
        case,
        status="reminded",
        reminded_on=on,
        reminded_by=medium,
        task_due_on=None,
        lapses_after=lapses_after(case.remind_by, on, waiver_days),
        alarm_since=case.alarm_since or (on if on > case.remind_by else None),
        **more,
    )


async def _save(tx: Transaction, case: Row[Any], **changes: Any) -> Row[Any]:
    """The case's next version."""
    saving = (
        update(outreach)
        .where(outreach.c.outreach_id == case.outreach_id)
        .values(**changes, version=outreach.c.version + 1)
        .returning(outreach)
    )
    saved: Row[Any] = (await tx.connection.execute(saving)).one()
    return saved


async def _task_due_on(tx: Transaction, area: str, on: date) -> date:
    return working_days_after(on, (await load_parameters(tx)).number("outreach.task_days", area, on))


async def _case(tx: Transaction, outreach_id: UUID) -> Row[Any] | None:
    found = await tx.connection.execute(select(outreach).where(outreach.c.outreach_id == outreach_id))
    return found.one_or_none()


async def _open_cases(tx: Transaction, persons: Iterable[str]) -> dict[str, Row[Any]]:
    found = await tx.connection.execute(
        select(outreach).where(among(outreach.c.person_id, persons), outreach.c.status.in_(OPEN))
    )
    return {case.person_id: case for case in found.all()}


async def _days_of_feeds(tx: Transaction, feed_ids: set[UUID]) -> dict[UUID, date]:
    """A feed's news are known as of its day, however late it is taken in."""
    if not feed_ids:
        return {}
    found = await tx.connection.execute(select(feeds.c.feed_id, feeds.c.as_of).where(feeds.c.feed_id.in_(feed_ids)))
    return {row.feed_id: row.as_of for row in found}


_LAST_MOVES = text(
    "SELECT f.person_id, max(f.occurred_on) AS moved_on FROM standing_facts f"
    " WHERE f.kind = 'person.moved' AND f.person_id = ANY(:persons) GROUP BY f.person_id HAVING NOT EXISTS (SELECT"
    " FROM outreach o WHERE o.person_id = f.person_id AND (o.began_on >= max(f.occurred_on) OR o.status = ANY(:open)))"
)
"""Of whom no case was opened since."""

_STANDINGS = text(
    """
    SELECT given.person_id,
        ARRAY(
            SELECT r.subsidy FROM roster r
            WHERE r.person_id = given.person_id AND EXISTS (
                SELECT FROM jsonb_array_elements(r.schedule) AS span
                WHERE coalesce(span ->> 'to', '9999-12') >= given.period
            )
        ) AS receives,
        CASE WHEN EXISTS (
            SELECT FROM applications a
            WHERE a.person_id = given.person_id AND (
                a.status IN ('submitted', 'in_review', 'returned')
                OR a.status = 'approved' AND NOT EXISTS (SELECT FROM roster r WHERE r.person_id = a.person_id)
            )
        ) THEN ARRAY['living', 'care'] ELSE ARRAY[]::text[] END AS applies,
        ARRAY(
            SELECT r.subsidy FROM roster r WHERE r.person_id = given.person_id AND jsonb_array_length(r.schedule) > 0
        ) AS received,
        EXISTS (
            SELECT FROM standing_facts f
            WHERE f.person_id = given.person_id
                AND f.kind IN ('certificate.issued', 'certificate.renewed', 'certificate.reassessed')
        ) OR EXISTS (
            SELECT FROM applications a WHERE a.person_id = given.person_id AND a.certificate IS NOT NULL
        ) AS certified,
        EXISTS (
            SELECT FROM standing_facts f
            WHERE f.person_id = given.person_id AND f.kind IN ('person.died', 'person.declared_dead')
                AND NOT EXISTS (
                    SELECT FROM standing_facts back WHERE back.person_id = f.person_id
                        AND back.kind = 'person.reappeared' AND back.occurred_on >= f.occurred_on
                )
        ) AS dead
    FROM unnest(CAST(:persons AS text[]), CAST(:periods AS text[])) AS given (person_id, period)
    """
)


async def _standings(tx: Transaction, persons: Mapping[str, Period]) -> dict[str, Standing]:
    given = {"persons": list(persons), "periods": [str(period) for period in persons.values()]}
    return {
        row.person_id: Standing(
            frozenset(row.receives), frozenset(row.applies), frozenset(row.received), row.certified, row.dead
        )
        for row in await tx.connection.execute(_STANDINGS, given)
    }
