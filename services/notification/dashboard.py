"""Notification in the console: every message with what became of it, and the texts in force."""

from __future__ import annotations

from libs.common.dashboard import (
    PERSON,
    Column,
    Desk,
    Filter,
    Page,
    Panel,
    Words,
    area_filter,
    as_area,
    as_moment,
    as_text,
    as_words,
    board,
    heading,
    listing,
    options_of,
    table,
)

STATUSES: Words = {
    "queued": ("待发送", "busy"),
    "sending": ("发送中", "busy"),
    "sent": ("已发送", "busy"),
    "delivered": ("已送达", "good"),
    "failed": ("失败", "bad"),
    "letter_due": ("需书面送达", "busy"),
}
KINDS: Words = {
    "application_approved": ("批准通知", "quiet"),
    "application_rejected": ("不予批准通知", "quiet"),
    "application_withdrawn": ("撤回通知", "quiet"),
    "entitlement_stopped": ("停发通知", "quiet"),
    "entitlement_ended": ("终止通知", "quiet"),
    "entitlement_resumed": ("恢复通知", "quiet"),
    "entitlement_changed": ("标准变更通知", "quiet"),
    "payment_failed": ("发放失败通知", "quiet"),
    "recovery_opened": ("追回通知", "quiet"),
    "reminder": ("政策提醒", "quiet"),
    "contact_changed": ("联系方式变更通知", "quiet"),
}

REASONS = {
    "no provider configured": "尚未配置短信服务",
    "no phone": "没有手机号",
    "the person died: to the family by letter": "本人已去世，书面告知家属",
}

_COLUMNS = [
    Column("created_at", "生成时间", show=as_moment),
    PERSON,
    Column("area", "地区", show=as_area),
    Column("kind", "种类", show=as_words(KINDS)),
    Column("text", "内容", wide=True),
    Column("status", "状态", words=STATUSES),
    Column("reason", "说明", show=lambda reason: REASONS.get(reason, as_text(reason)), wide=True),
]


async def messages(desk: Desk) -> None:
    heading("消息通知", "短信不含身份证号、残疾类别和等级；没有手机号的转为书面送达")
    await listing(
        desk,
        "/v1/messages",
        _COLUMNS,
        [
            area_filter(desk),
            Filter("kind", "种类", options_of(KINDS)),
            Filter("status", "状态", options_of(STATUSES)),
        ],
    )


async def templates(desk: Desk) -> None:
    heading("消息模板", "下级地区没有自己的模板时，使用上级地区的，最后使用系统自带的")
    answer = await desk.rest.get("/v1/templates", area=desk.area)
    columns = [
        Column("kind", "种类", show=as_words(KINDS)),
        Column("area", "地区", show=lambda area: as_area(area) if area else "系统自带"),
        Column("version", "版本", numeric=True),
        Column("text", "内容", wide=True),
    ]
    with board():
        table(columns, answer["items"])


async def person_messages(desk: Desk, person_id: str) -> None:
    answer = await desk.rest.get("/v1/messages", person_id=person_id)
    columns = [column for column in _COLUMNS if column.key not in ("person_id", "area")]
    table(columns, answer["items"], empty="没有消息")


PAGES = [
    Page("/messages", "消息通知", "sms", messages),
    Page("/templates", "消息模板", "edit_note", templates),
]
PERSON_PANELS = [Panel("消息", person_messages)]
