"""Funds (资金账目): appropriations, each book's balances, months that are closed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from libs.common.dashboard import (
    SHORT_SUBSIDIES,
    SUBSIDIES,
    Column,
    Desk,
    area_filter,
    as_area,
    as_moment,
    as_words,
    as_yuan,
    board,
    dialog,
    facts,
    heading,
    options_of,
    section,
    subheading,
    table,
)
from libs.common.forms import Field, form, paper
from libs.common.listing import listing
from services.disbursement.dashboard.words import ACCOUNTS, again, this_month

_LEVELS = {"county": "县级", "prefecture": "州市", "province": "省级", "central": "中央"}


async def funds(desk: Desk) -> None:
    heading("资金账目", "下达、可用、待发、在途、已发、机构代管、应追回、缴回国库，单位：元；复式记账，只增不改")
    if desk.role == "finance":
        with section("登记资金下达"):
            form(
                desk,
                "/v1/appropriations",
                [
                    Field("area", "地区", initial=desk.place),
                    Field("subsidy", "补贴项目", options=options_of(SUBSIDIES)),
                    Field("year", "预算年度", "number", initial=str(this_month().year)),
                    Field("granted_by", "资金级次", options=_LEVELS),
                    Field("amount_fen", "金额（元）", "yuan"),
                    Field("document_no", "文号"),
                ],
                button="登记",
                done=again,
            )
    books = (await desk.rest.get("/v1/appropriations", area=desk.place))["items"]
    with board():
        table(_book_columns(), [_book(item) for item in books], empty="没有资金账目")
    with section("结余及缴回"):
        paper(desk, "资金结余及缴回表", "/v1/papers/balances", area=desk.place, period=this_month())
    with section("结账"):
        ui.label("每月对账无差异后结账；结账后不能再记入该月，更正记入未结账的月份。").classes("lb-about")
        if desk.role == "finance":
            form(
                desk,
                "/v1/period-closings",
                [
                    Field("area", "地区", initial=desk.place),
                    Field("period", "月份", "month", initial=str(this_month().previous)),
                ],
                button="结账",
                done=again,
            )
        await listing(
            desk,
            "/v1/period-closings",
            [
                Column("period", "月份"),
                Column("area", "地区", show=as_area),
                Column("closed_at", "结账时间", show=as_moment),
                Column("closed_by", "经办"),
                Column("digest", "摘要（SHA-256）", show=lambda digest: f"{digest[:16]}…", mono=True),
            ],
            [area_filter(desk)],
            empty="还没有结过账",
            on_open=_open_closing,
        )


def _book_columns() -> list[Column]:
    return [
        Column("area", "地区", show=as_area),
        Column("subsidy", "补贴", show=as_words(SHORT_SUBSIDIES)),
        Column("year", "年度"),
        *(Column(account, name, show=as_yuan, numeric=True) for account, name in ACCOUNTS.items()),
    ]


def _book(item: Mapping[str, Any]) -> dict[str, Any]:
    return {**item, **{account: item["balances"].get(f"{account}_fen", 0) for account in ACCOUNTS}}


async def _open_closing(row: Mapping[str, Any]) -> None:
    with dialog(f"{row['period']} 月末余额"):
        for book in row["balances"]:
            subheading(f"{as_area(book['area'])}　{SHORT_SUBSIDIES[book['subsidy']][0]}　{book['year']}")
            facts([(f"{name}（元）", as_yuan(book["accounts"].get(account, 0))) for account, name in ACCOUNTS.items()])
        facts([("摘要", row["digest"]), ("对账单", row["reconciliation_id"])])
