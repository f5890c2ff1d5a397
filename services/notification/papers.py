"""A message as a letter on paper (停发 / 恢复 / 补发 / 追回通知书), for whoever has no phone. Pure."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from libs.common.areas import county_of, full_name_of
from libs.common.papers.printing import Facts, Paper, Paragraph, Signatures
from services.notification.texts import Kind

_TITLES: dict[Kind, str] = {
    "application_approved": "批准通知书",
    "application_rejected": "不予批准告知书",
    "application_withdrawn": "撤回申请告知书",
    "entitlement_stopped": "停发通知书",
    "entitlement_ended": "终止发放通知书",
    "entitlement_resumed": "恢复发放通知书",
    "entitlement_changed": "标准调整及补发通知书",
    "payment_failed": "未能到账告知书",
    "recovery_opened": "追回通知书",
    "reminder": "政策告知书",
    "contact_changed": "联系方式变更告知书",
}
_BASES: dict[Kind, str] = {
    "entitlement_stopped": "国发〔2015〕52号；残疾人两项补贴精准管理通知三（每月比对，及时停发）",
    "entitlement_ended": "国发〔2015〕52号；残疾人两项补贴精准管理通知三（每月比对，及时停发）",
    "entitlement_resumed": "国发〔2015〕52号",
    "entitlement_changed": "国发〔2015〕52号",
    "recovery_opened": "残疾人两项补贴精准管理通知七（追回）",
    "reminder": "残疾人两项补贴精准管理通知一（主动服务）",
}
_MAY_OBJECT: tuple[Kind, ...] = ("application_rejected", "entitlement_stopped", "entitlement_ended", "recovery_opened")


def letter(
    message_id: UUID, kind: Kind, text: str, area: str, name: str | None, written_on: date, made_by: str, made_on: date
) -> Paper:
    """What the message says, its basis, how to object, and room for the receipt of delivery (送达回证)."""
    basis = [Facts([("依据", _BASES[kind])])] if kind in _BASES else []
    remedy = (
        "对上述决定有异议的，可向户籍地乡镇（街道）或县级民政部门提出复核申请，也可依法申请行政复议或者提起行政诉讼。"
    )
    county = full_name_of(county_of(area) or area, made_on)
    return Paper(
        title=f"残疾人两项补贴{_TITLES[kind]}",
        number=str(message_id),
        area_name=full_name_of(area, made_on),
        office=f"{county}民政部门",
        dated=written_on,
        made_by=made_by,
        made_on=made_on,
        addressee=(name or "残疾人两项补贴申领人") + ("家属" if kind == "entitlement_ended" else ""),
        parts=(
            Paragraph(text.removeprefix("【两补】")),
            *basis,
            *([Paragraph(remedy)] if kind in _MAY_OBJECT else []),
            Signatures(["送达人", "签收人"]),
        ),
    )
