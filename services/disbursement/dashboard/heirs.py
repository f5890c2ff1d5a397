"""Heirs (继承人): whom what is due to a person who died is paid to, with a document, by two persons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from libs.common.dashboard import (
    PERSON,
    Column,
    Desk,
    Words,
    area_filter,
    as_area,
    as_moment,
    as_text,
    dialog,
    facts,
    heading,
    section,
)
from libs.common.forms import Field, deed, form
from libs.common.listing import listing
from services.disbursement.dashboard.words import again, status_filter

_STATUSES: Words = {
    "awaited": ("待提供证明", "bad"),
    "proposed": ("待批准", "busy"),
    "approved": ("已批准", "good"),
    "ending": ("终止待批准", "busy"),
    "replaced": ("已更换或终止", "quiet"),
}
_FIELDS = [
    Field("relation", "与逝者关系"),
    Field("name", "继承人姓名"),
    Field("bank", "开户银行"),
    Field("number", "账号"),
    Field("phone", "电话", required=False),
    Field("document_no", "继承证明文号"),
]


async def heirs(desk: Desk) -> None:
    heading("继承人", "逝者的应发款项发给提供证明的继承人；审批时已知去世的，继承人获批前不发放")
    if desk.role in ("township", "civil_affairs"):
        with section("提出继承人"):
            _proposal(desk)
    await listing(
        desk,
        "/v1/heirs",
        [
            PERSON,
            Column("area", "地区", show=as_area),
            Column("status", "状态", words=_STATUSES),
            Column("holder_name", "继承人", show=as_text),
            Column("relation", "关系", show=as_text),
            Column("number_last4", "账号末四位", show=as_text),
            Column("document_no", "继承证明文号", show=as_text),
        ],
        [area_filter(desk), status_filter(_STATUSES)],
        empty="没有继承人",
        on_open=lambda row: _open(desk, row),
    )


def _proposal(desk: Desk) -> None:
    """The person's id is part of the address, so that the form is built once the person is known."""
    place = ui.column().classes("w-full")

    def ask() -> None:
        place.clear()
        with place:
            form(desk, _path(person.value.strip()), _FIELDS, button="提出继承人", done=again)

    with ui.row().classes("lb-filters"):
        person = ui.input("逝者人员编号").props("outlined dense").classes("lb-wide")
        ui.button("下一步", on_click=ask).props("outline no-caps")


async def _open(desk: Desk, row: Mapping[str, Any]) -> None:
    with dialog(f"继承人 {row['person_id']}"):
        facts(
            [
                ("状态", _STATUSES[row["status"]][0]),
                ("继承人", as_text(row["holder_name"])),
                ("关系", as_text(row["relation"])),
                ("账号末四位", as_text(row["number_last4"])),
                ("继承证明文号", as_text(row["document_no"])),
                ("提出", f"{as_text(row['proposed_by'])} {as_moment(row['proposed_at'])}"),
                ("批准", f"{as_text(row['approved_by'])} {as_moment(row['approved_at'])}"),
                ("终止理由", as_text(row["end_reason"])),
            ]
        )
        if row["status"] == "awaited" and desk.role in ("township", "civil_affairs"):
            form(desk, _path(row["person_id"]), _FIELDS, button="提出继承人", done=again)
        if row["status"] == "proposed" and desk.role == "civil_affairs":
            deed(
                desk,
                "批准继承人",
                f"/v1/heirs/{row['heir_id']}/approval",
                done=again,
                sure="以后的应发款项将发给此人。",
            )
        _end(desk, row)


def _end(desk: Desk, row: Mapping[str, Any]) -> None:
    path = f"/v1/heirs/{row['heir_id']}/ending"
    if row["status"] in ("proposed", "approved") and desk.role in ("township", "civil_affairs"):
        form(desk, path, [Field("reason", "终止理由")], button="提出终止", done=again, primary=False)
    if row["status"] == "ending" and desk.role == "civil_affairs":
        deed(desk, "批准终止", f"{path}/approval", done=again, sure="以后的应发款项不再发给此人。")
        form(desk, f"{path}/refusal", [Field("reason", "不同意的理由")], button="不同意终止", done=again, primary=False)


def _path(person_id: str) -> str:
    return f"/v1/persons/{person_id}/heir"
