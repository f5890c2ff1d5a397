"""What officials and the bank decided about a person becomes a message: applications, holds, payments, recoveries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import select, text, tuple_

from libs.common.database import Transaction
from libs.common.events.disbursement import PaymentState, RecoveryState
from libs.common.events.intake import (
    ApplicationApproved,
    ApplicationRejected,
    ApplicationReviewed,
    ApplicationState,
    ApplicationWithdrawn,
    ObjectionAnswered,
)
from libs.common.events.matching import FindingOpened, FindingState
from libs.common.money import yuan_text
from libs.common.papers.printing import day_text
from libs.common.period import Period
from libs.common.privacy import Sealer
from libs.common.projection import Received
from libs.common.vocabulary import SUBSIDY_NAMES, Subsidy
from services.notification import texts
from services.notification.composing import Draft, cause_of, compose
from services.notification.handlers.facts import note_certificates
from services.notification.tables import deceased, messages, schedules
from services.notification.texts import Kind
from services.notification.wording import month_text, months_text, subsidies_text


async def note_decisions(tx: Transaction, received: Sequence[Received], sealer: Sealer) -> None:
    """Approved, rejected, withdrawn; of opinions before that only the one that sends the application back."""
    await tx.lock(*{item.data.person_id for item in received})
    await note_certificates(tx, [item.data for item in received if isinstance(item.data, ApplicationApproved)])
    await compose(tx, [draft for item in received for draft in _decided(item)], sealer)


def _decided(item: Received) -> Iterator[Draft]:
    """What is told of it: of an approval also what was not granted."""

    def draft(kind: Kind, subsidies: Sequence[Subsidy], **values: str) -> Draft:
        values |= {"applied_on": day_text(data.applied_on), "subsidies": subsidies_text(subsidies)}
        return Draft(kind, cause_of(item), data.person_id, data.area, values, data.application_id)

    data: ApplicationState = item.data
    if isinstance(data, ApplicationApproved):
        yield draft("application_approved", data.granted)
        if refused := [subsidy for subsidy in data.subsidies if subsidy not in data.granted]:
            yield draft("application_rejected", refused)
    elif isinstance(data, ApplicationRejected):
        yield draft("application_rejected", data.subsidies)
    elif isinstance(data, ApplicationWithdrawn):
        yield draft("application_withdrawn", data.subsidies, withdrawn_on=day_text(data.withdrawn_on))
    elif isinstance(data, ApplicationReviewed) and data.complete_by is not None:
        yield draft("application_returned", data.subsidies, due_on=day_text(data.complete_by))


async def note_answers(tx: Transaction, received: Sequence[Received], sealer: Sealer) -> None:
    """An objection was answered."""
    await tx.lock(*{item.data.person_id for item in received})
    await compose(tx, [_answer(item) for item in received], sealer)


def _answer(item: Received) -> Draft:
    data: ObjectionAnswered = item.data
    kind: Kind = "objection_upheld" if data.outcome == "upheld" else "objection_dismissed"
    values = {"filed_on": day_text(data.filed_on)}
    if kind == "objection_upheld":
        values["next"] = _next(data)
    return Draft(kind, cause_of(item), data.person_id, data.area, values, data.objection_id)


def _next(upheld: ObjectionAnswered) -> str:
    """What happens now, and no more than that."""
    if upheld.handle_by is None:
        return "申请将重新审核，结果另行告知"
    return f"户籍地县级民政部门将在{day_text(upheld.handle_by)}前重新核定，待遇有变化的另行告知"


async def note_findings(tx: Transaction, received: Sequence[Received], sealer: Sealer) -> None:
    """A lead holds payments: whoever is paid is told that they are held and until when, not what is alleged.

    Dismissed, it is told that they are paid; confirmed, the stop is told with its reason.
    """
    person_ids = {item.data.person_id for item in received}
    await tx.lock(*person_ids)
    paid = await tx.connection.execute(
        select(schedules.c.person_id, schedules.c.runs).where(schedules.c.person_id.in_(person_ids))
    )
    payable = {(row.person_id, run[1]) for row in paid for run in row.runs}
    held = [item for item in received if isinstance(item.data, FindingOpened) and _holds(item.data, payable)]
    await compose(tx, [_finding_draft("payment_held", item.data) for item in held], sealer)
    dismissed = [item.data for item in received if item.envelope.type == "finding.dismissed.v1"]
    told = await tx.connection.execute(
        select(messages.c.subject_id).where(
            tuple_(messages.c.kind, messages.c.cause).in_([("payment_held", _hold_cause(data)) for data in dismissed])
        )
    )
    known = set(told.scalars())
    released = [_finding_draft("hold_released", data) for data in dismissed if data.finding_id in known]
    await compose(tx, released, sealer)


def _holds(data: FindingState, payable: set[tuple[str, str | None]]) -> bool:
    """Whether any month from `hold_from` on is payable to the person."""
    return any(
        person_id == data.person_id and (last is None or Period.parse(last) >= data.hold_from)
        for person_id, last in payable
    )


def _hold_cause(data: FindingState) -> str:
    return f"finding:{data.finding_id}"


def _finding_draft(kind: Kind, data: FindingState) -> Draft:
    values = {"first_month": month_text(data.hold_from)}
    if kind == "payment_held":
        values["due_on"] = day_text(data.due_on)
    return Draft(kind, _hold_cause(data), data.person_id, data.area, values, data.finding_id)


async def note_unpaid(tx: Transaction, received: Sequence[Received], sealer: Sealer) -> None:
    """A payment failed or came back: what to do about the account."""
    await tx.lock(*{item.data.person_id for item in received})
    await compose(tx, [_unpaid(item) for item in received], sealer)


def _unpaid(item: Received) -> Draft:
    data: PaymentState = item.data
    problem = texts.ACCOUNT_PROBLEMS.get(data.code) if data.code else None
    reason, remedy = problem or texts.UNKNOWN_ACCOUNT_PROBLEM
    values = {
        "period": month_text(data.period),
        "subsidy": SUBSIDY_NAMES[data.subsidy],
        "amount": yuan_text(data.amount_fen),
        "reason": reason,
        "remedy": remedy,
    }
    return Draft("payment_failed", cause_of(item), data.person_id, data.area, values, data.payment_id)


async def note_recoveries(tx: Transaction, received: Sequence[Received], sealer: Sealer) -> None:
    """An overpayment case was opened: which months, how much, and that one may object. After a death: the family."""
    person_ids = {item.data.person_id for item in received}
    await tx.lock(*person_ids)
    found = await tx.connection.execute(select(deceased).where(deceased.c.person_id.in_(person_ids)))
    dead = set(found.scalars())
    await _tell_news(tx, [_recovery(item.data, dead) for item in received], sealer)


def _recovery(data: RecoveryState, dead: set[str]) -> Draft:
    values = {
        "subsidy": SUBSIDY_NAMES[data.subsidy],
        "months": months_text([month.period for month in data.months]),
        "amount": yuan_text(data.amount_fen),
        "reason": texts.why_stopped(data.cause),
    }
    kind: Kind = "recovery_opened"
    if data.person_id in dead or data.cause in texts.DEATHS:
        kind = "recovery_after_death"
        del values["reason"]
    return _recovery_draft(kind, data, f"{values['months']}:{data.amount_fen}", values)


def _recovery_draft(kind: Kind, data: RecoveryState, what: str, values: Mapping[str, str]) -> Draft:
    """`what` is claimed, or that it is not: it ends the cause, after the version."""
    cause = f"{data.aggregate}:v{data.version}:{what}"
    return Draft(kind, cause, data.person_id, data.area, values, data.recovery_id)


async def _tell_news(tx: Transaction, drafts: Sequence[Draft], sealer: Sealer) -> None:
    """A case is told again with each instalment; the person, only what is not what they were told of it last."""
    found = await tx.connection.execute(
        select(messages.c.subject_id, messages.c.cause)
        .where(messages.c.person_id.in_({draft.person_id for draft in drafts}), messages.c.kind.in_(_RECOVERY_KINDS))
        .order_by(messages.c.message_id)
    )
    last = {row.subject_id: _what(row.cause) for row in found}
    news = []
    for draft in drafts:
        if last.get(draft.subject_id) != _what(draft.cause):
            news.append(draft)
        last[draft.subject_id] = _what(draft.cause)
    await compose(tx, news, sealer)


_RECOVERY_KINDS: tuple[Kind, ...] = ("recovery_opened", "recovery_after_death", "recovery_withdrawn")


def _what(cause: str) -> str:
    return cause.split(":", 3)[-1]


async def note_closed_recoveries(tx: Transaction, received: Sequence[Received], sealer: Sealer) -> None:
    """What was given back may be due again. A case that claims nothing any more, or of which something that was given
    back is due after all, was opened on what turned out wrong: who was told to give back is told not to."""
    await tx.lock(*{item.data.person_id for item in received})
    given_back = [item.data for item in received if item.data.recovered_fen and not item.data.due_again_fen]
    if given_back:
        await tx.connection.execute(
            _GIVEN_BACK,
            [
                {
                    "person_id": data.person_id,
                    "subsidy": data.subsidy,
                    "months": [str(month.period) for month in data.months],
                }
                for data in given_back
            ],
        )
    withdrawn = [item.data for item in received if item.data.amount_fen == 0 or item.data.due_again_fen]
    await _tell_news(tx, [_withdrawn(data) for data in withdrawn], sealer)


_GIVEN_BACK = text(
    "UPDATE schedules SET overpaid = overpaid - CAST(:months AS text[])"
    " WHERE person_id = :person_id AND subsidy = :subsidy"
)


def _withdrawn(data: RecoveryState) -> Draft:
    values = {"subsidy": SUBSIDY_NAMES[data.subsidy]}
    return _recovery_draft("recovery_withdrawn", data, "withdrawn", values)


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
