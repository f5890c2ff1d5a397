"""Persons over REST: found by their resident ID, shown with payee and guardian, changed by two."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy import select, text

from libs.common.areas import Area
from libs.common.audit import record
from libs.common.auth import Anyone, CivilAffairs, Official, Township
from libs.common.clock import business_today
from libs.common.database import Transaction, rows
from libs.common.errors import NotFound
from libs.common.identity import mask_account, mask_id_number, mask_name, mask_phone
from libs.common.vocabulary import ApplicationStatus, Channel, Stage, Subsidy
from libs.common.web import Page, Paging, Tx, router
from services.intake.api.doors import RATE_LIMITED, Keys, Proposer, unmask
from services.intake.declarations import repaired_id_number
from services.intake.handlers import persons as handlers
from services.intake.payee import Account, Guardian, Incapacity
from services.intake.person_records import current_account, current_guardian, load_person, name_in
from services.intake.registers import IN_WORDS
from services.intake.tables import applications, changes, persons
from services.intake.words import Given, Words

api: APIRouter = router(prefix="/v1", tags=["persons"], dependencies=RATE_LIMITED)


class Search(BaseModel):
    id_number: Given


class Found(BaseModel):
    person_id: str


class ProposedAccount(Account):
    """An account with the first day that it is meant for; today when not given."""

    from_: date | None = Field(default=None, alias="from")


class ProposedGuardian(Guardian):
    """A guardian with the first day of the guardianship; today when not given."""

    from_: date | None = Field(default=None, alias="from")


class Proposal(BaseModel):
    """`against`: what departments' registers say otherwise; whoever approves it all the same gives a reason."""

    change_id: UUID
    status: Literal["pending"] = "pending"
    against: list[str]


class InForce(BaseModel):
    """`shared_with`: other persons paid to the same account; an alarm unless there is a reason."""

    change_id: UUID
    person_id: str
    status: Literal["approved"] = "approved"
    effective_on: date
    shared_with: list[str]


class Approval(BaseModel):
    """`reason`: needed where departments' registers have it otherwise."""

    reason: Annotated[Words, StringConstraints(min_length=1)] | None = None


class Rejection(BaseModel):
    reason: Annotated[Words, StringConstraints(min_length=1)]


class Rejected(BaseModel):
    change_id: UUID
    status: Literal["rejected"] = "rejected"


class Contact(BaseModel):
    phone: Given | None


class Capacity(BaseModel):
    """`incapacity` null: no such finding, or no longer."""

    incapacity: Incapacity | None


class PersonApplication(BaseModel):
    """`documents`: how many its archive holds."""

    application_id: UUID
    receipt_no: str
    area: str
    accepted_area: str | None
    channel: Channel
    documents: int
    stage: Stage | None
    due_on: date | None
    subsidies: tuple[Subsidy, ...]
    applied_on: date
    status: ApplicationStatus
    granted: tuple[Subsidy, ...]


class PersonView(BaseModel):
    """A person as intake knows them, masked unless the reader gave a reason: what is in force, and all that was, with
    the days on which it held (`replaced_at` null: now)."""

    person_id: str
    area: str
    name: str
    id_number: str
    phone: str | None
    cannot_act: bool
    account: dict[str, Any] | None
    guardian: dict[str, Any] | None
    accounts: list[dict[str, Any]]
    guardians: list[dict[str, Any]]
    changes: list[dict[str, Any]]
    pending_changes: list[dict[str, Any]]
    transfers: list[dict[str, Any]]
    objections: list[dict[str, Any]]
    applications: list[PersonApplication]


class Told(BaseModel):
    """One entry of a timeline."""

    at: datetime
    what: str
    detail: str


class Timeline(BaseModel):
    items: list[Told]
    next_cursor: None = None


@api.post("/persons/search")
async def search(body: Search, tx: Tx, keys: Keys, reader: Anyone) -> Found:
    """The id of the person with this resident ID; a partner finds those for whom it submitted."""
    number = repaired_id_number(body.id_number, on=business_today())
    person = await load_person(tx, keys, keys.persons.person_id(number))
    reader.require_sight(person.area, "person")
    if reader.role == "partner":
        submitted = select(applications.c.application_id).where(
            applications.c.person_id == person.person_id, applications.c.submitted_by == reader.sub
        )
        if (await tx.connection.execute(submitted.limit(1))).one_or_none() is None:
            raise NotFound("no such person")
    await record(tx, reader, "search person", person.person_id, person_id=person.person_id)
    return Found(person_id=person.person_id)


@api.get("/persons/{person_id}")
async def read_person(
    person_id: str, tx: Tx, keys: Keys, reader: Official, reason: Annotated[Words | None, Query()] = None
) -> PersonView:
    """The person with the account and guardian in force, changes that wait for approval, and all applications.
    `reason` unmasks name, ID number and phone."""
    person = await load_person(tx, keys, person_id)
    reader.require_sight(person.area, "person")
    if reason:
        await unmask(tx, reader, "person", person_id, person_id, reason)
    account = await current_account(tx, keys, person_id)
    guardian = await current_guardian(tx, keys, person_id)
    history = await _history(tx, person_id)
    return PersonView(
        person_id=person_id,
        area=person.area,
        name=person.name if reason else mask_name(person.name),
        id_number=person.id_number if reason else mask_id_number(person.id_number),
        phone=person.phone if reason else person.phone and mask_phone(person.phone),
        cannot_act=person.cannot_act(business_today()),
        account=account
        and {
            "holder": "institution" if account.institution else account.account.holder,
            "bank": account.account.bank,
            "number": account.account.number and mask_account(account.account.number),
            "status": account.account.status,
            "reason": account.account.reason,
            "effective_on": account.effective_on,
        },
        guardian=guardian
        and {
            "kind": guardian.guardian.kind,
            "name": mask_name(guardian.guardian.name),
            "org_code": guardian.guardian.org_code,
            "effective_on": guardian.effective_on,
        },
        pending_changes=[change for change in history["changes"] if change["status"] == "pending"],
        **history,
    )


@api.put("/persons/{person_id}/account", status_code=202)
async def propose_account(person_id: str, account: ProposedAccount, tx: Tx, keys: Keys, proposer: Proposer) -> Proposal:
    """Proposes where the money goes; in force once another person, of civil affairs, approves."""
    proposed = await handlers.propose_account(
        tx, keys, proposer, person_id, account, effective_on=account.from_, on=business_today()
    )
    return Proposal(change_id=proposed.change_id, against=list(proposed.against))


@api.put("/persons/{person_id}/guardian", status_code=202)
async def propose_guardian(
    person_id: str, guardian: ProposedGuardian, tx: Tx, keys: Keys, proposer: Proposer
) -> Proposal:
    """Proposes who is guardian; in force once another person, of civil affairs, approves."""
    proposed = await handlers.propose_guardian(
        tx, keys, proposer, person_id, guardian, effective_on=guardian.from_, on=business_today()
    )
    return Proposal(change_id=proposed.change_id, against=list(proposed.against))


@api.put("/persons/{person_id}/id-number", status_code=202)
async def propose_id_number(person_id: str, body: Search, tx: Tx, keys: Keys, proposer: Proposer) -> Proposal:
    """Proposes a corrected resident ID. Approved by another person, everything goes on under it, merged with what was
    known under it before."""
    proposed = await handlers.propose_id_number(tx, keys, proposer, person_id, body.id_number, on=business_today())
    return Proposal(change_id=proposed.change_id, against=list(proposed.against))


@api.get("/changes")
async def list_changes(
    tx: Tx,
    keys: Keys,
    reader: Official,
    paging: Annotated[Paging, Depends()],
    area: Annotated[Area | None, Query()] = None,
    status: Literal["pending", "approved", "rejected", "replaced"] | None = None,
) -> Page:
    """Changes of payee, guardian and resident ID proposed in an area, newest first; what they say is masked. `against`:
    what departments' registers said otherwise when it was proposed."""
    query = (
        select(changes, persons.c.area, persons.c.sealed_identity)
        .join(persons, persons.c.person_id == changes.c.person_id)
        .where(reader.within(persons.c.area, area))
    )
    if status is not None:
        query = query.where(changes.c.status == status)
    found = rows(await tx.connection.execute(paging.cut(query, changes.c.change_id, descending=True)))
    shown = [
        {name: row[name] for name in _LISTED_OF_A_CHANGE}
        | {
            "name": mask_name(name_in(keys, row)),
            "says": handlers.change_in_words(keys, row),
            "against": [IN_WORDS[kind] for kind in row["against"]],
        }
        for row in found
    ]
    return paging.page(shown, "change_id")


_LISTED_OF_A_CHANGE = (
    "change_id",
    "person_id",
    "area",
    "kind",
    "status",
    "effective_on",
    "proposed_by",
    "proposed_at",
    "approved_by",
    "rejected_by",
    "reason",
)


@api.post("/changes/{change_id}/approval")
async def approve_change(
    change_id: UUID, tx: Tx, keys: Keys, approver: CivilAffairs, approval: Approval | None = None
) -> InForce:
    """Puts a proposed change in force at once. Who proposed it cannot approve it; what departments' registers have
    otherwise is approved for a reason only."""
    reason = approval.reason if approval else None
    approved = await handlers.approve_change(tx, keys, approver, change_id, reason=reason, on=business_today())
    return InForce(
        change_id=approved.change_id,
        person_id=approved.person_id,
        effective_on=approved.effective_on,
        shared_with=list(approved.shared_with),
    )


@api.post("/changes/{change_id}/rejection")
async def reject_change(change_id: UUID, rejection: Rejection, tx: Tx, official: CivilAffairs) -> Rejected:
    """Turns a proposed change down, by another person than proposed it; what is in force stays."""
    await handlers.reject_change(tx, official, change_id, reason=rejection.reason)
    return Rejected(change_id=change_id)


@api.put("/persons/{person_id}/contact")
async def change_contact(person_id: str, contact: Contact, tx: Tx, keys: Keys, township: Township) -> Contact:
    """How the person is reached from now on."""
    await handlers.change_contact(tx, keys, township, person_id, contact.phone)
    return Contact(phone=contact.phone and mask_phone(contact.phone))


@api.put("/persons/{person_id}/capacity")
async def note_incapacity(person_id: str, capacity: Capacity, tx: Tx, keys: Keys, official: CivilAffairs) -> Capacity:
    """A court's finding or a recorded assessment that an adult cannot act (notice 4.4)."""
    await handlers.note_incapacity(tx, keys, official, person_id, capacity.incapacity, on=business_today())
    return capacity


@api.get("/persons/{person_id}/timeline")
async def read_timeline(person_id: str, tx: Tx, keys: Keys, reader: Official) -> Timeline:
    """What intake knows of the person's story, newest first."""
    person = await load_person(tx, keys, person_id)
    reader.require_sight(person.area, "person")
    return Timeline(items=[Told.model_validate(row) for row in await _story(tx, person_id)])


@api.get("/account-alarms")
async def list_account_alarms(tx: Tx, reader: Official) -> dict[str, Any]:
    """Accounts that several persons are paid to and that are no institution's, with these persons."""
    found = await tx.connection.execute(
        text(
            "SELECT min(a.number_last4) AS number_last4, array_agg(a.person_id ORDER BY a.person_id) AS person_ids"
            " FROM accounts a JOIN persons p USING (person_id)"
            " WHERE a.replaced_at IS NULL AND a.number_token IS NOT NULL AND a.holder <> 'institution'"
            " GROUP BY a.number_token HAVING count(*) > 1 AND bool_or(starts_with(p.area, :area))"
            " ORDER BY count(*) DESC, min(a.person_id) LIMIT 500"
        ),
        {"area": reader.area},
    )
    return {"items": rows(found), "next_cursor": None}


async def _history(tx: Transaction, person_id: str) -> dict[str, Any]:
    """All that lies under one person, newest first."""
    return {
        name: list(rows(await tx.connection.execute(text(query), {"person_id": person_id})))
        for name, query in _HISTORY.items()
    }


_HISTORY = {
    "accounts": "SELECT holder, status, bank, number_last4, reason, effective_on, recorded_at, replaced_at"
    " FROM accounts WHERE person_id = :person_id ORDER BY account_id DESC",
    "guardians": "SELECT kind, effective_on, recorded_at, replaced_at"
    " FROM guardians WHERE person_id = :person_id ORDER BY guardian_id DESC",
    "changes": "SELECT change_id, kind, effective_on, status, proposed_by, proposed_at, approved_by,"
    " rejected_by, reason FROM changes WHERE person_id = :person_id ORDER BY change_id DESC",
    "transfers": "SELECT transfer_id, from_area, to_area, moved_on, status, due_on, decided_on, reason"
    " FROM transfers WHERE person_id = :person_id ORDER BY transfer_id DESC",
    "objections": "SELECT objection_id, application_id, subsidy, to_char(period, 'YYYY-MM') AS period, status,"
    " filed_on, due_on, decided_on FROM objections WHERE person_id = :person_id ORDER BY objection_id DESC",
    "applications": "SELECT application_id, receipt_no, area, accepted_area, channel, stage, due_on, subsidies,"
    " applied_on, status, granted,"
    " (SELECT count(*) FROM documents d WHERE d.application_id = a.application_id) AS documents"
    " FROM applications a WHERE person_id = :person_id ORDER BY application_id DESC",
}


async def _story(tx: Transaction, person_id: str) -> list[dict[str, Any]]:
    found = await tx.connection.execute(
        text(
            "SELECT submitted_at AS at, '提交申请' AS what, receipt_no AS detail FROM applications"
            " WHERE person_id = :person_id"
            " UNION ALL SELECT r.reviewed_at, CASE r.stage WHEN 'township' THEN '乡镇（街道）初审'"
            " WHEN 'cdpf' THEN '残联审核' ELSE '民政审定' END, CASE r.outcome WHEN 'approve' THEN '同意'"
            " WHEN 'return' THEN '退回补正' ELSE '不予批准' END || COALESCE('：' || r.reason, '')"
            " FROM reviews r JOIN applications a USING (application_id) WHERE a.person_id = :person_id"
            " UNION ALL SELECT s.assessed_at, '资格认定', a.receipt_no FROM assessments s"
            " JOIN applications a USING (application_id) WHERE a.person_id = :person_id"
            " UNION ALL SELECT d.uploaded_at, '归档材料', d.kind FROM documents d"
            " JOIN applications a USING (application_id) WHERE a.person_id = :person_id"
            " UNION ALL SELECT recorded_at, '收款账户生效', COALESCE(bank || ' 尾号' || number_last4, '无社会保障卡')"
            " FROM accounts WHERE person_id = :person_id"
            " UNION ALL SELECT recorded_at, '监护人生效', CASE kind WHEN 'person' THEN '个人' ELSE '机构' END"
            " FROM guardians WHERE person_id = :person_id"
            " UNION ALL SELECT proposed_at, '提出变更', CASE kind WHEN 'account' THEN '收款账户'"
            " WHEN 'guardian' THEN '监护人' ELSE '身份证号' END FROM changes WHERE person_id = :person_id"
            " UNION ALL SELECT filed_at, '申请复核', COALESCE(subsidy || ' ' || to_char(period, 'YYYY-MM'), '')"
            " FROM objections WHERE person_id = :person_id"
            " ORDER BY at DESC LIMIT 500"
        ),
        {"person_id": person_id},
    )
    return list(rows(found))
