"""What registers of cards, guardianships and institutions say that is not so on record: the township proposes a change,
two persons dismiss what is wrong (notice 4.4 to 4.6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from libs.common.dashboard import (
    Column,
    Desk,
    Filter,
    Words,
    area_filter,
    as_area,
    as_text,
    dialog,
    facts,
    heading,
    options_of,
    subheading,
)
from libs.common.forms import Field, deed, form
from libs.common.listing import listing
from services.intake.dashboard.words import done

_STATUSES: Words = {"open": ("待核实", "busy"), "done": ("已一致", "good"), "dismissed": ("维持登记", "quiet")}
_ACCOUNT = (Field("bank", "开户银行"), Field("number", "账号"))


async def register_leads(desk: Desk) -> None:
    heading(
        "部门数据核实",
        "社保卡、监护、机构供养数据与登记不一致的，由乡镇（街道）核实并提出变更，民政批准后生效",
    )
    await listing(
        desk,
        "/v1/register-leads",
        [
            Column("name", "姓名", link="/persons/{person_id}"),
            Column("area", "户籍地", show=as_area),
            Column("says", "部门数据", wide=True),
            Column("as_of", "数据日期"),
            Column("holds", "暂缓发放给在册监护人", show=_yes),
            Column("change_pending", "变更待审批", show=_yes),
            Column("dismissal_proposed_by", "维持登记待审批", show=_yes),
            Column("due_on", "核实期限"),
            Column("status", "状态", words=_STATUSES),
        ],
        [area_filter(desk), Filter("status", "状态", options_of(_STATUSES), initial="open")],
        on_open=lambda row: _open(desk, row),
    )


def _yes(value: Any) -> str:
    return "是" if value else "—"


async def _open(desk: Desk, row: Mapping[str, Any]) -> None:
    with dialog("部门数据核实"):
        facts(
            [
                ("姓名", as_text(row["name"])),
                ("部门数据", as_text(row["says"])),
                ("数据内容", "；".join(row["entries"])),
                ("核实期限", as_text(row["due_on"])),
                ("维持登记的理由", as_text(row["reason"])),
                ("维持登记由谁提出", as_text(row["dismissal_proposed_by"])),
                ("维持登记由谁批准", as_text(row["dismissed_by"])),
            ]
        )
        if row["status"] != "open":
            return
        path = f"/v1/register-leads/{row['lead_id']}/dismissal"
        if desk.role in ("township", "civil_affairs"):
            _proposal(desk, row)
            subheading("数据有误，维持登记")
            reason = [Field("reason", "理由")]
            proposed = "已提出，待另一人批准"
            form(desk, path, reason, button="提出维持登记", done=lambda: done(proposed), primary=False)
        if desk.role == "civil_affairs" and row["dismissal_proposed_by"]:
            deed(desk, "批准维持登记", f"{path}/approval", done=lambda: done("已维持登记"))


def _proposal(desk: Desk, row: Mapping[str, Any]) -> None:
    """A change as the register suggests it. What feeds do not keep in plain, who proposes enters."""
    person = f"/v1/persons/{row['person_id']}"
    match row["kind"]:
        case "own_card_active":
            subheading("改为发放至本人社会保障卡")
            _propose(desk, f"{person}/account", _ACCOUNT, {"holder": "own", "status": "active"})
        case "own_card_unusable":
            subheading("登记本人社会保障卡不能使用")
            _propose(desk, f"{person}/account", [Field("reason", "原因")], {"holder": "own", "status": "none"})
        case "institution_entered":
            subheading("登记机构为监护人")
            fields = [Field("name", "机构名称"), Field("org_code", "机构代码"), *_ACCOUNT]
            _propose(desk, f"{person}/guardian", fields, {"kind": "institution"})
        case "own_card_differs" | "own_card_unlisted":
            subheading("更正本人社会保障卡账号")
            _propose(desk, f"{person}/account", _ACCOUNT, {"holder": "own", "status": "active"})
        case _:
            subheading("登记现监护人")
            fields = [
                Field("name", "监护人姓名"),
                Field("id_number", "监护人身份证号"),
                Field("phone", "监护人电话", required=False),
                *(Field(field.key, field.label, required=False) for field in _ACCOUNT),
            ]
            _propose(desk, f"{person}/guardian", fields, {"kind": "person"})


def _propose(desk: Desk, path: str, fields: Any, fixed: Mapping[str, str]) -> None:
    is_guardian = "kind" in fixed

    def body(given: dict[str, Any]) -> dict[str, Any]:
        if not is_guardian:
            return {**fixed, **given}
        account = {name: given.pop(name) for name in ("bank", "number") if name in given}
        return {**fixed, **given, **({"account": account} if "number" in account else {})}

    form(desk, path, fields, button="提出变更", done=lambda: done("已提出，待民政批准"), body=body, method="put")
