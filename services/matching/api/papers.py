"""The papers of verification and supervision: as data, as workbooks, and to print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, Query, Response

from libs.common.areas import Area
from libs.common.audit import record
from libs.common.auth import Official, Principal, caller
from libs.common.clock import business_today
from libs.common.identity import mask_name
from libs.common.papers.answers import answer_with
from libs.common.papers.lists import ListForm, answer_with_list, answer_with_workbook
from libs.common.web import Page, Tx, router
from services.matching import lists
from services.matching.api.duties import InPeriod
from services.matching.api.parts import PartsOf
from services.matching.handlers import papers as handlers
from services.matching.handlers.duties import townships_of
from services.matching.handlers.evidence import Subject, list_evidence
from services.matching.handlers.findings import read_finding
from services.matching.handlers.names import names_of_persons
from services.matching.lists import Maker

api = router(prefix="/v1/papers", tags=["papers"])

Verifier = Annotated[Principal, Depends(caller("township", "civil_affairs"))]
Volume = Annotated[int, Query(ge=1)]
"""Of a long list in print."""


@api.get("/task-sheets")
async def read_task_sheets(area: Area, tx: Tx, verifier: Verifier, parts: PartsOf) -> Page:
    """核查任务单: what the area has to verify, with the names as the sources gave them. Reading it is logged."""
    return Page(items=list(await _tasks(tx, area, verifier, parts)))


@api.get("/task-sheets.{form}", response_class=Response)
async def download_task_sheets(
    form: ListForm, area: Area, tx: Tx, verifier: Verifier, parts: PartsOf, volume: Volume = 1
) -> Response:
    tasks = await _tasks(tx, area, verifier, parts)
    return await answer_with_list(lists.task_list(tasks, _maker(area, verifier)), form, volume=volume)


@api.get("/task-sheets/{finding_id}.pdf", response_class=Response)
async def print_task_sheet(finding_id: UUID, tx: Tx, verifier: Verifier, parts: PartsOf) -> Response:
    """One finding to take along: the lead, room for what is found out, a photo and two signatures."""
    finding = dict((await read_finding(tx, finding_id, verifier))._mapping)
    (task,) = await handlers.tasks_of(tx, [finding], parts.folder, parts.keys.sealer)
    files = await list_evidence(tx, Subject("finding", finding_id))
    await record(tx, verifier, "print task sheet", str(finding_id), person_id=finding["person_id"])
    return await answer_with(lists.task_sheet(task, finding, files, _maker(finding["area"], verifier)), "pdf")


@api.get("/expiring-certificates")
async def read_expiring(area: Area, tx: Tx, reader: Official, as_of: date | None = None) -> Page:
    """到期预警表: recipients whose certificate expires within six months (`within_months` 1 or 6)."""
    reader.require_area(area)
    return Page(items=list(await handlers.read_expiring(tx, area, as_of or business_today())))


@api.get("/expiring-certificates.{form}", response_class=Response)
async def download_expiring(
    form: ListForm,
    area: Area,
    tx: Tx,
    reader: Official,
    parts: PartsOf,
    as_of: date | None = None,
    volume: Volume = 1,
) -> Response:
    reader.require_area(area)
    found = await handlers.read_expiring(tx, area, as_of or business_today())
    names = await _names(tx, found, area, reader, parts)
    return await answer_with_list(lists.expiring_list(found, names, _maker(area, reader)), form, volume=volume)


@api.get("/monthly-changes")
async def read_monthly_changes(area: Area, period: InPeriod, tx: Tx, reader: Official) -> Page:
    """月度变动表: whose payment of the month is `new`, `changed` or `stopped` against the month before, and why."""
    reader.require_area(area)
    return Page(items=list(await handlers.read_monthly_changes(tx, area, period)))


@api.get("/monthly-changes.{form}", response_class=Response)
async def download_monthly_changes(
    form: ListForm, area: Area, period: InPeriod, tx: Tx, reader: Official, parts: PartsOf, volume: Volume = 1
) -> Response:
    """With each township's signature: changes, or none (无变化)."""
    reader.require_area(area)
    found = await handlers.read_monthly_changes(tx, area, period)
    names = await _names(tx, found, area, reader, parts)
    townships = await townships_of(tx, area, period)
    return await answer_with_list(
        lists.monthly_changes_list(found, names, townships, period, _maker(area, reader)), form, volume=volume
    )


@api.get("/certificate-changes")
async def read_certificate_changes(area: Area, period: InPeriod, tx: Tx, reader: Official) -> Page:
    """换证、迁移、冻结清单: what changed of certificates in the month, with its cause."""
    reader.require_area(area)
    return Page(items=list(await handlers.read_certificate_changes(tx, area, period)))


@api.get("/certificate-changes.{form}", response_class=Response)
async def download_certificate_changes(
    form: ListForm, area: Area, period: InPeriod, tx: Tx, reader: Official, parts: PartsOf, volume: Volume = 1
) -> Response:
    reader.require_area(area)
    found = await handlers.read_certificate_changes(tx, area, period)
    names = await _names(tx, found, area, reader, parts)
    return await answer_with_list(
        lists.certificate_changes_list(found, names, period, _maker(area, reader)), form, volume=volume
    )


@api.get("/supervision.xlsx", response_class=Response)
async def download_supervision(area: Area, tx: Tx, reader: Official) -> Response:
    """问题清单, 督办单 and 整改台账 as one workbook."""
    reader.require_area(area)
    raised, maker = await handlers.read_supervision(tx, area), _maker(area, reader)
    return answer_with_workbook([made(raised, maker) for made in _SUPERVISION.values()])


@api.get("/{kind}.{form}", response_class=Response)
async def download_supervision_paper(
    kind: Literal["problems", "supervision", "rectification"],
    form: ListForm,
    area: Area,
    tx: Tx,
    reader: Official,
    volume: Volume = 1,
) -> Response:
    """问题清单 (what is overdue), 督办单 (who sees to it), 整改台账 (everything, with the day of its closing)."""
    reader.require_area(area)
    raised = await handlers.read_supervision(tx, area)
    return await answer_with_list(_SUPERVISION[kind](raised, _maker(area, reader)), form, volume=volume)


_SUPERVISION = {
    "problems": lists.problem_list,
    "supervision": lists.supervision_list,
    "rectification": lists.rectification_list,
}


async def _tasks(tx: Tx, area: str, verifier: Principal, parts: PartsOf) -> Sequence[dict[str, Any]]:
    verifier.require_area(area)
    tasks = await handlers.read_task_sheets(tx, area, parts.folder, parts.keys.sealer)
    await record(tx, verifier, "read task sheets", area, findings=len(tasks))
    return tasks


async def _names(
    tx: Tx, found: Iterable[Mapping[str, Any]], area: str, reader: Principal, parts: PartsOf
) -> Mapping[str, str]:
    """Whole for who works with the persons, and logged; masked for everybody else."""
    persons = {row["person_id"] for row in found}
    names = await names_of_persons(tx, persons, area, parts.folder, parts.keys.sealer)
    if reader.role not in ("township", "cdpf", "civil_affairs"):
        return {person: mask_name(name) for person, name in names.items()}
    await record(tx, reader, "read names", area, persons=len(names))
    return names


def _maker(area: str, principal: Principal) -> Maker:
    return Maker(area, principal.sub, business_today())
