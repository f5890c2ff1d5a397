"""The tolerance list (容错纠错清单; notice 7.2) and the deviations assessed by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from libs.common.dashboard import (
    Column,
    Desk,
    Words,
    area_filter,
    as_area,
    as_text,
    as_yuan,
    dialog,
    facts,
    heading,
    section,
    subheading,
    table,
    word,
)
from libs.common.forms import Field, form
from libs.common.listing import listing
from services.disbursement.dashboard.words import again

_VERDICTS: Words = {
    "": ("待认定", "busy"),
    "tolerated": ("予以容错", "good"),
    "mitigated": ("减轻处理", "busy"),
    "not_tolerated": ("不予容错", "bad"),
}
_FACTORS = {
    "motive": "动机态度",
    "objective_conditions": "客观条件",
    "procedure": "程序方法",
    "nature": "性质程度",
    "consequences": "后果影响",
    "loss_recovered": "挽回损失",
}


async def tolerance(desk: Desk) -> None:
    heading("容错纠错", "清单分地区、分版本动态管理；认定须引用行为当日有效的条款")
    lists = (await desk.rest.get("/v1/tolerance-lists", area=desk.place))["items"]
    with section("容错纠错清单"):
        table(
            [
                Column("area", "地区", show=as_area),
                Column("version", "版本", numeric=True),
                Column("document_no", "文号"),
                Column("published_on", "公布日期"),
                Column("in_force_on", "施行日期"),
                Column("in_force_until", "失效日期"),
                Column("clauses", "条款", show=_clauses, wide=True),
            ],
            lists,
            empty="还没有公布清单",
        )
        if desk.role == "civil_affairs":
            form(
                desk,
                "/v1/tolerance-lists",
                [
                    Field("area", "地区", initial=desk.place),
                    Field("document_no", "文号"),
                    Field("published_on", "公布日期", "date"),
                    Field("in_force_on", "施行日期", "date"),
                    Field("clauses", "条款（一 内容；二 内容）"),
                ],
                button="公布新版本",
                body=lambda values: values | {"clauses": _parsed(values["clauses"])},
                done=again,
            )
    if desk.role == "civil_affairs":
        with section("登记行为"):
            form(
                desk,
                "/v1/deviations",
                [
                    Field("area", "地区", initial=desk.place),
                    Field("handler", "经办人"),
                    Field("happened_on", "行为日期", "date"),
                    Field("found_in", "发现途径"),
                    Field("what", "事实"),
                    Field("loss_fen", "损失金额（元）", "yuan", required=False),
                ],
                button="登记",
                done=again,
            )
    await listing(
        desk,
        "/v1/deviations",
        [
            Column("happened_on", "行为日期"),
            Column("area", "地区", show=as_area),
            Column("handler", "经办人"),
            Column("what", "事实", wide=True),
            Column("found_in", "发现途径"),
            Column("loss_fen", "损失（元）", show=as_yuan, numeric=True),
            Column("verdict", "认定", show=lambda verdict: _VERDICTS[verdict or ""][0]),
            Column("clause", "条款"),
        ],
        [area_filter(desk)],
        on_open=lambda row: _open(desk, row),
    )


async def _open(desk: Desk, row: Mapping[str, Any]) -> None:
    with dialog("行为认定"):
        word(row["verdict"] or "", _VERDICTS)
        facts(
            [
                ("经办人", row["handler"]),
                ("行为日期", as_text(row["happened_on"])),
                ("事实", row["what"]),
                ("损失（元）", as_yuan(row["loss_fen"])),
                ("条款", as_text(row["clause"])),
                ("理由", as_text(row["reason"])),
                ("认定人", as_text(row["assessed_by"])),
                *((name, as_text((row["factors"] or {}).get(key))) for key, name in _FACTORS.items()),
            ]
        )
        if row["verdict"] is None and desk.role == "civil_affairs":
            subheading("认定（经办人和登记人不得认定）")
            form(
                desk,
                f"/v1/deviations/{row['deviation_id']}/assessment",
                [
                    *(Field(key, name) for key, name in _FACTORS.items()),
                    Field("verdict", "认定", options={key: name for key, (name, _) in _VERDICTS.items() if key}),
                    Field("clause", "引用条款"),
                    Field("reason", "理由"),
                ],
                button="认定",
                body=lambda values: {
                    "factors": {key: values.pop(key) for key in _FACTORS},
                    **values,
                },
                done=again,
            )


def _clauses(clauses: list[Mapping[str, str]]) -> str:
    return "；".join(f"{item['clause']} {item['text']}" for item in clauses)


def _parsed(text: str) -> list[dict[str, str]]:
    """`一 内容；二 内容` as clauses; one without number or text is refused by the service."""
    parts = [part.strip().split(maxsplit=1) for part in text.replace("；", ";").split(";") if part.strip()]
    return [{"clause": part[0], "text": part[1] if len(part) > 1 else ""} for part in parts]
