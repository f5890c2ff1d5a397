"""How applications lie in the tables; and the events that tell of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, bindparam, insert, select, text, update

from libs.common.auth import Principal
from libs.common.database import Transaction
from libs.common.errors import NotFound
from libs.common.events.eligibility import Reason
from libs.common.events.intake import (
    ApplicationApproved,
    ApplicationFacts,
    ApplicationRejected,
    ApplicationReviewed,
    ApplicationSubmitted,
    ApplicationWithdrawn,
)
from libs.common.vocabulary import STAGES
from services.intake.applications import OPEN, Application, Opinion, Refusal
from services.intake.declarations import Declaration, RosterDeclaration
from services.intake.tables import applications, reviews, transfers
from services.intake.vault import Vault

# Built once: building them anew costs as much as running them.
_SELECT = select(applications).where(applications.c.application_id == bindparam("key"))
_SELECT_LOCKED = _SELECT.with_for_update()
_UPDATE = update(applications).where(applications.c.application_id == bindparam("key"))
_INSERT_REVIEW = insert(reviews)


@dataclass(frozen=True, slots=True)
class Filed:
    """An application with what it was filed under."""

    application: Application
    receipt_no: str
    received_on: date
    accepted_area: str | None
    submitted_by: str
    submitted_at: datetime
    sealed_declaration: str

    def declaration(self, vault: Vault) -> Declaration:
        """The declaration as it was submitted, repaired."""
        text = vault.sealer.open(self.sealed_declaration, *_declaration_place(self.application.application_id))
        model = RosterDeclaration if self.application.channel == "roster" else Declaration
        return model.model_validate_json(text)


def application_row(vault: Vault, filed: Filed, declaration: Declaration) -> dict[str, Any]:
    """The row of an application that is filed."""
    application = filed.application
    return {
        "application_id": application.application_id,
        "receipt_no": filed.receipt_no,
        "person_id": application.person_id,
        "area": application.area,
        "accepted_area": filed.accepted_area,
        "channel": application.channel,
        "import_id": None,
        "subsidies": application.subsidies,
        "applied_on": application.applied_on,
        "committed_on": declaration.commitment.signed_on,
        "commitment_version": declaration.commitment.version,
        "received_on": filed.received_on,
        "sealed_declaration": sealed_declaration(vault, application.application_id, declaration),
        "account_token": account_token(vault, declaration),
        "submitted_by": filed.submitted_by,
        "submitted_at": filed.submitted_at,
        **_changing(application),
    }


async def load_application(
    tx: Transaction, caller: Principal, application_id: UUID, *, lock: bool = False, to_decide: bool = False
) -> Filed:
    """The application, if the caller may see it. NotFound otherwise.

    Officials see those that are decided or were accepted in their area, and those of persons who move there; partners
    their own. `to_decide` leaves the first.

    `lock` keeps other writers of this application out until the transaction ends. Applications are locked before
    persons, everywhere.
    """
    found = await tx.connection.execute(_SELECT_LOCKED if lock else _SELECT, {"key": application_id})
    row = found.mappings().one_or_none()
    if row is None:
        raise NotFound("no such application")
    if not caller.covers(row["area"]) and (to_decide or not await _is_shared_with(tx, caller, row)):
        raise NotFound("no such application")
    if caller.role == "partner" and row["submitted_by"] != caller.sub:
        raise NotFound("no such application")
    return filed_in(row)


async def _is_shared_with(tx: Transaction, caller: Principal, row: RowMapping) -> bool:
    """Whether the application was accepted in the caller's area, or its person moves, or moved, there."""
    if row["accepted_area"] is not None and caller.covers(row["accepted_area"]):
        return True
    if caller.role == "partner":
        return False
    arriving = select(transfers.c.transfer_id).where(
        transfers.c.person_id == row["person_id"],
        transfers.c.status != "refused",
        transfers.c.to_area.startswith(caller.area, autoescape=True),
    )
    return (await tx.connection.execute(arriving.limit(1))).one_or_none() is not None


async def lock_applications(tx: Transaction, application_ids: Sequence[UUID]) -> dict[UUID, Filed]:
    """Those applications that exist, locked in the order of their ids."""
    found = await tx.connection.execute(
        select(applications)
        .where(applications.c.application_id.in_(application_ids))
        .order_by(applications.c.application_id)
        .with_for_update()
    )
    return {row["application_id"]: filed_in(row) for row in found.mappings()}


async def save_application(tx: Transaction, application: Application) -> None:
    await tx.connection.execute(_UPDATE, {"key": application.application_id, **_changing(application)})


async def save_declaration(tx: Transaction, vault: Vault, application_id: UUID, declaration: Declaration) -> None:
    await tx.connection.execute(
        update(applications)
        .where(applications.c.application_id == application_id)
        .values(
            committed_on=declaration.commitment and declaration.commitment.signed_on,
            commitment_version=declaration.commitment and declaration.commitment.version,
            sealed_declaration=sealed_declaration(vault, application_id, declaration),
            account_token=account_token(vault, declaration),
        )
    )


async def record_opinion(tx: Transaction, application: Application, opinion: Opinion, sub: str) -> None:
    """Keeps what an office said, as of the version that it led to."""
    row = {
        "application_id": application.application_id,
        "version": application.version,
        "stage": opinion.stage,
        "outcome": opinion.outcome,
        "reason": opinion.reason,
        "sub": sub,
        "reviewed_on": application.reviewed_on,
        "reviewed_at": tx.now,
    }
    await tx.connection.execute(_INSERT_REVIEW, row)


async def settle_subsidies(tx: Transaction, application: Application) -> None:
    """Notes what became of each subsidy when the application was decided, closed or opened again."""
    await tx.connection.execute(
        text(
            "UPDATE applied_subsidies s SET state = CASE WHEN :is_open THEN 'open'"
            " WHEN NOT :approved THEN 'closed' WHEN s.subsidy = ANY(:granted) THEN 'granted' ELSE 'refused' END,"
            " granted_after_version = CASE WHEN :approved THEN COALESCE((SELECT e.version FROM entitlements e"
            " WHERE e.person_id = s.person_id AND e.subsidy = s.subsidy), 0) END"
            " WHERE s.application_id = :application_id"
        ),
        {
            "application_id": application.application_id,
            "is_open": application.status in OPEN,
            "approved": application.status == "approved",
            "granted": list(application.granted),
        },
    )


def tell_submitted(tx: Transaction, application: Application) -> None:
    tx.publish(ApplicationSubmitted(**_told(application)))


def tell_reviewed(tx: Transaction, application: Application, outcome: Any, *, on: date) -> None:
    """Rejections are told as such; any other opinion, and a completion, as a review."""
    if application.status == "rejected":
        assert application.reason is not None
        tx.publish(ApplicationRejected(**_told(application), decided_on=on, reason=application.reason))
    else:
        tx.publish(
            ApplicationReviewed(
                **_told(application),
                outcome=outcome,
                final=application.awaits_assessment,
                reviewed_on=on,
                complete_by=application.due_on if outcome == "return" else None,
            )
        )


def tell_approved(tx: Transaction, application: Application) -> None:
    tx.publish(approval_of(application))


def approval_of(application: Application) -> ApplicationApproved:
    assert application.decided_on is not None
    return ApplicationApproved(**_told(application), decided_on=application.decided_on, granted=application.granted)


def tell_withdrawn(tx: Transaction, application: Application) -> None:
    assert application.withdrawn_on is not None
    tx.publish(ApplicationWithdrawn(**_told(application), withdrawn_on=application.withdrawn_on))


def filed_in(row: RowMapping | Mapping[str, Any]) -> Filed:
    """The application in a row of the table."""
    return Filed(
        application=Application(
            application_id=row["application_id"],
            person_id=row["person_id"],
            area=row["area"],
            channel=row["channel"],
            subsidies=tuple(row["subsidies"]),
            applied_on=row["applied_on"],
            accrues_from=row["accrues_from"],
            status=row["status"],
            stage=row["stage"],
            due_on=row["due_on"],
            facts=ApplicationFacts.model_validate(row["facts"]),
            version=row["version"],
            reviewers={stage: row[f"{stage}_by"] for stage in STAGES if row[f"{stage}_by"] is not None},
            reviewed_on=row["reviewed_on"],
            decided_on=row["decided_on"],
            withdrawn_on=row["withdrawn_on"],
            granted=tuple(row["granted"]),
            refused=tuple(
                Refusal(item["subsidy"], tuple(Reason.model_validate(reason) for reason in item["reasons"]))
                for item in row["refused"]
            ),
            reason=row["reason"],
        ),
        receipt_no=row["receipt_no"],
        received_on=row["received_on"],
        accepted_area=row["accepted_area"],
        submitted_by=row["submitted_by"],
        submitted_at=row["submitted_at"],
        sealed_declaration=row["sealed_declaration"],
    )


def _changing(application: Application) -> dict[str, Any]:
    """The columns that an application's way changes."""
    return {
        "accrues_from": application.accrues_from,
        "status": application.status,
        "stage": application.stage,
        "due_on": application.due_on,
        "version": application.version,
        "facts": application.facts.model_dump(mode="json", by_alias=True),
        **{f"{stage}_by": application.reviewers.get(stage) for stage in STAGES},
        "reviewed_on": application.reviewed_on,
        "decided_on": application.decided_on,
        "withdrawn_on": application.withdrawn_on,
        "granted": application.granted,
        "refused": [
            {"subsidy": item.subsidy, "reasons": [reason.model_dump() for reason in item.reasons]}
            for item in application.refused
        ],
        "reason": application.reason,
    }


def _told(application: Application) -> dict[str, Any]:
    """The state as events carry it: their `applied_on` is the day that it accrues from."""
    return {
        "person_id": application.person_id,
        "version": application.version,
        "application_id": application.application_id,
        "area": application.area,
        "channel": application.channel,
        "subsidies": application.subsidies,
        "applied_on": application.accrues_from,
        "status": application.status,
        "stage": application.stage,
        "facts": application.facts,
    }


def account_token(vault: Vault, declaration: Declaration) -> str | None:
    """By which one account is seen in several applications."""
    number = declaration.account and declaration.account.number
    return vault.persons.token("account", number) if number else None


def _declaration_place(application_id: UUID) -> tuple[object, ...]:
    return ("applications", application_id, "declaration")


def sealed_declaration(vault: Vault, application_id: UUID, declaration: Declaration) -> str:
    return vault.sealer.seal(declaration.model_dump_json(by_alias=True), *_declaration_place(application_id))
