"""Institutions (机构代管资金; notice 4.6): each child's money, what it was used for, what is left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from libs.common.dashboard import (
    PERSON,
    Column,
    Desk,
    area_filter,
    as_area,
    as_yuan,
    dialog,
    heading,
    section,
    subheading,
    table,
)
from libs.common.forms import Field, form
from libs.common.listing import listing
from services.disbursement.dashboard.words import again

_CATEGORIES = {
    "food_and_clothing": "衣食",
    "nursing": "照护",
    "medical": "医疗",
    "rehabilitation": "康复",
    "education": "教育",
    "assistive_devices": "辅助器具",
    "returned": "结余缴回",
}


async def institutions(desk: Desk) -> None:
    heading("机构代管资金", "儿童福利机构为监护人的，补贴逐童记账，凭据使用；不得用于行政事业费")
    if desk.role == "civil_affairs":
        with section("登记机构监护"):
            _child_form(desk)
    await listing(
        desk,
        "/v1/institutions",
        [
            Column("org_code", "统一社会信用代码", mono=True),
            Column("children_now", "现有儿童", numeric=True),
            Column("children", "曾有儿童", numeric=True),
        ],
        [area_filter(desk)],
        empty="没有登记机构监护",
        on_open=lambda row: _open(desk, row),
    )


def _child_form(desk: Desk) -> None:
    """The institution's code is part of the address, so that the form is built once the code is known."""
    place = ui.column().classes("w-full")

    def ask() -> None:
        place.clear()
        with place:
            fields = [Field("person_id", "儿童人员编号"), Field("since", "监护起始日期", "date")]
            form(desk, f"/v1/institutions/{code.value.strip()}/children", fields, button="登记", done=again)

    with ui.row().classes("lb-filters"):
        code = ui.input("统一社会信用代码").props("outlined dense").classes("lb-wide")
        ui.button("下一步", on_click=ask).props("outline no-caps")


async def _open(desk: Desk, row: Mapping[str, Any]) -> None:
    path = f"/v1/institutions/{row['org_code']}/funds"
    children = (await desk.rest.get(path))["items"]
    with dialog(f"机构 {row['org_code']}"):
        table(
            [
                PERSON,
                Column("area", "地区", show=as_area),
                Column("received_fen", "收到（元）", show=as_yuan, numeric=True),
                Column("used", "用途（元）", show=_uses, wide=True),
                Column("unspent_fen", "结余（元）", show=as_yuan, numeric=True),
            ],
            children,
        )
        if desk.role == "civil_affairs":
            subheading("登记使用")
            form(
                desk,
                path,
                [
                    Field("person_id", "儿童", options={child["person_id"]: child["person_id"] for child in children}),
                    Field("category", "用途", options={**_CATEGORIES, "administrative": "行政事业费（不允许）"}),
                    Field("amount_fen", "金额（元）", "yuan"),
                    Field("used_on", "使用日期", "date"),
                    Field("receipt_no", "票据号"),
                    Field("note", "说明", required=False),
                ],
                button="登记使用",
                done=again,
            )


def _uses(used: Mapping[str, int]) -> str:
    return "；".join(f"{_CATEGORIES.get(category, category)} {as_yuan(fen)}" for category, fen in used.items()) or "—"
