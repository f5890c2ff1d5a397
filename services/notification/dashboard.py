"""Notification in the console: messages and what became of them, letters to hand over, and the texts in force."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from libs.common.clock import business_today
from libs.common.dashboard import (
    PERSON,
    Column,
    Desk,
    Filter,
    Page,
    Panel,
    Refused,
    Words,
    Work,
    area_filter,
    as_area,
    as_moment,
    as_text,
    as_words,
    board,
    facts,
    heading,
    options_of,
    problem,
    subheading,
    table,
    word,
)
from libs.common.forms import Done, Field, form, paper
from libs.common.listing import listing

STATUSES: Words = {
    "queued": ("待发送", "busy"),
    "sending": ("发送中", "busy"),
    "sent": ("已发送", "busy"),
    "delivered": ("已送达", "good"),
    "failed": ("无法送达", "bad"),
    "letter_due": ("需书面送达", "busy"),
    "suppressed": ("不再告知", "quiet"),
}
KINDS: Words = {
    "application_returned": ("补正通知", "quiet"),
    "application_approved": ("批准通知", "quiet"),
    "application_rejected": ("不予批准通知", "quiet"),
    "application_withdrawn": ("撤回通知", "quiet"),
    "objection_upheld": ("复核成立答复", "quiet"),
    "objection_dismissed": ("复核维持答复", "quiet"),
    "entitlement_stopped": ("停发通知", "quiet"),
    "entitlement_ended": ("终止通知", "quiet"),
    "entitlement_resumed": ("恢复通知", "quiet"),
    "entitlement_changed": ("标准变更通知", "quiet"),
    "arrears_granted": ("补发通知", "quiet"),
    "payment_held": ("暂缓发放通知", "quiet"),
    "hold_released": ("解除暂缓通知", "quiet"),
    "payment_failed": ("发放失败通知", "quiet"),
    "recovery_opened": ("追回通知", "quiet"),
    "recovery_after_death": ("去世后追回通知", "quiet"),
    "recovery_withdrawn": ("撤销追回通知", "quiet"),
    "certificate_expiring": ("证件到期提醒", "quiet"),
    "reminder": ("政策提醒", "quiet"),
    "contact_changed": ("联系方式变更通知", "quiet"),
    "payee_changed": ("发放账户变更通知", "quiet"),
}
MEDIA: Words = {"sms": ("短信", "quiet"), "letter": ("书面", "quiet")}
RECEIVED_BY = {
    "self": "本人签收",
    "family": "家属签收",
    "guardian": "监护人签收",
    "agent": "代理人签收",
    "left": "留置送达",
    "post": "邮寄送达",
    "notice": "公告送达",
}
REASONS = {
    "no provider configured": "尚未配置短信服务",
    "no phone": "没有手机号",
    "quiet hours": "夜间不发送，次日早上发送",
    "the person died: to the family by letter": "本人已去世，书面告知家属",
    "the person died": "本人已去世，不再告知",
    "the person is alive": "本人在世，死亡信息已撤销，不再告知",
    "not sent in time": "短信长时间未能发出，改为书面",
    "no receipt in time": "短信没有送达回执，改为书面",
    "not known to the provider": "短信平台没有记录，重新发送",
}


def _reason(reason: Any) -> str:
    text = as_text(reason)
    if text.startswith("refused by the provider"):
        return "号码被短信平台拒收"
    return "短信平台没有应答，稍后重试" if text.startswith("no answer") else REASONS.get(text, text)


_COLUMNS = [
    Column("created_at", "生成时间", show=as_moment),
    PERSON,
    Column("area", "地区", show=as_area),
    Column("kind", "种类", show=as_words(KINDS)),
    Column("text", "内容", wide=True),
    Column("status", "状态", words=STATUSES),
    Column("reason", "说明", show=_reason, wide=True),
]


async def messages(desk: Desk) -> None:
    heading("消息通知", "短信不含身份证号、残疾类别和等级；没有手机号或短信未能送达的，转为书面送达")
    await listing(
        desk,
        "/v1/messages",
        _COLUMNS,
        [
            area_filter(desk),
            Filter("kind", "种类", options_of(KINDS)),
            Filter("status", "状态", options_of(STATUSES)),
        ],
        on_open=lambda row: _open_message(desk, row),
    )


async def _open_message(desk: Desk, row: Mapping[str, Any]) -> None:
    """One message: its text, each step, its letter, and the receipt of delivery."""
    message = await desk.rest.get(f"/v1/messages/{row['message_id']}")
    with ui.dialog().props('aria-label="消息"') as dialog, ui.card().classes("lb-dialog"):
        with ui.row().classes("items-center"):
            ui.label(KINDS[message["kind"]][0]).classes("lb-section").props("role=heading aria-level=2")
            word(message["status"], STATUSES)
        ui.label(message["text"]).classes("lb-letter")
        facts(
            [
                ("方式", MEDIA[message["medium"]][0]),
                ("地区", as_area(message["area"])),
                ("送达日期", as_text(message["delivered_on"])),
                ("送达方式", RECEIVED_BY.get(message["received_by"] or "", "—")),
                ("模板", f"{as_area(message['template_area']) if message['template_area'] else '系统自带'} "
                 f"第{message['template_version']}版"),
            ]
        )  # fmt: skip
        subheading("经过")
        steps = [
            Column("at", "时间", show=as_moment),
            Column("status", "状态", words=STATUSES),
            Column("reason", "说明", show=_reason, wide=True),
            Column("attempts", "尝试次数", numeric=True),
        ]
        table(steps, message["history"])
        if desk.role in ("township", "civil_affairs"):
            path = f"/v1/messages/{message['message_id']}"
            paper(desk, "书面通知", f"{path}/letter", ("pdf",))
            if message["status"] == "letter_due":
                _handing_over(desk, path, dialog.close)
        ui.button("关闭", on_click=dialog.close).props("flat no-caps")
    dialog.open()


def _handing_over(desk: Desk, path: str, done: Done) -> None:
    """The receipt of delivery, or why there can be none."""
    subheading("送达回证")
    receipt = [
        Field("delivered_on", "送达日期", "date", initial=str(business_today())),
        Field("received_by", "送达方式", options=RECEIVED_BY, initial="self"),
    ]
    form(desk, f"{path}/delivery", receipt, button="登记送达", done=done)
    form(desk, f"{path}/failure", [Field("reason", "无法送达的原因")], button="登记无法送达", done=done, primary=False)


async def templates(desk: Desk) -> None:
    heading("消息模板", "下级地区没有自己的模板时，使用上级地区的，最后使用系统自带的")
    columns = [
        Column("kind", "种类", show=as_words(KINDS)),
        Column("area", "地区", show=lambda area: as_area(area) if area else "系统自带"),
        Column("version", "版本", numeric=True),
        Column("text", "内容", wide=True),
    ]
    await listing(
        desk, "/v1/templates", columns, [area_filter(desk)], on_open=lambda row: _open_template(desk, row["kind"])
    )


async def _open_template(desk: Desk, kind: str) -> None:
    """A text with its placeholders and versions; tried out with sample values, and, by civil affairs, written anew."""
    template = await desk.rest.get(f"/v1/templates/{kind}", area=desk.area)
    with ui.dialog().props('aria-label="消息模板"') as dialog, ui.card().classes("lb-dialog"):
        ui.label(KINDS[kind][0]).classes("lb-section").props("role=heading aria-level=2")
        ui.label("可用的占位符：" + "、".join(f"{{{name}}}" for name in template["placeholders"])).classes("lb-about")
        text = ui.textarea("内容", value=template["text"]).props("outlined autogrow").classes("w-full")
        shown = ui.column().classes("w-full")

        async def preview() -> None:
            shown.clear()
            with shown:
                try:
                    tried = await desk.rest.post(f"/v1/templates/{kind}/preview", {"text": text.value})
                except Refused as refusal:
                    problem(refusal)
                    return
                ui.label(tried["text"]).classes("lb-letter")
                ui.label(f"示例数据；{tried['characters']} 字，计 {tried['sms_parts']} 条短信").classes("lb-about")

        async def write() -> None:
            shown.clear()
            try:
                await desk.rest.put(f"/v1/templates/{kind}", {"area": desk.area, "text": text.value})
            except Refused as refusal:
                with shown:
                    problem(refusal)
                return
            dialog.close()
            ui.notify("新版本已生效，此后生成的消息使用它")

        with ui.row():
            ui.button("预览", icon="visibility", on_click=preview).props("outline no-caps")
            if desk.role == "civil_affairs":
                ui.button("保存为本地区新版本", on_click=write).props("unelevated no-caps")
            ui.button("关闭", on_click=dialog.close).props("flat no-caps")
        if template["versions"]:
            subheading("本地区的版本")
            columns = [
                Column("version", "版本", numeric=True),
                Column("written_at", "时间", show=as_moment),
                Column("written_by", "编写人"),
                Column("text", "内容", wide=True),
            ]
            table(columns, template["versions"])
    dialog.open()
    await preview()


async def person_messages(desk: Desk, person_id: str) -> None:
    answer = await desk.rest.get("/v1/messages", person_id=person_id)
    columns = [column for column in _COLUMNS if column.key not in ("person_id", "area")]
    with board():
        table(columns, answer["items"], empty="没有消息")


PAGES = [
    Page("/messages", "消息通知", "sms", messages),
    Page("/templates", "消息模板", "edit_note", templates),
]
PERSON_PANELS = [Panel("消息", person_messages)]
WORK = [
    Work(
        "待送达的书面通知",
        "/messages?status=letter_due",
        ("township", "civil_affairs"),
        "/v1/messages",
        {"status": "letter_due"},
    ),
]
STORY = {f"message.{kind}": chinese for kind, (chinese, _) in KINDS.items()}
