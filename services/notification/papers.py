"""A message as a letter on paper (停发 / 恢复 / 补发 / 追回通知书), for whoever has no phone. Pure."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from libs.common.areas import county_of, full_name_of
from libs.common.papers.printing import Facts, Heading, Paper, Paragraph, Signatures
from services.notification.texts import Kind

_TITLES: dict[Kind, str] = {
    "application_returned": "补正通知书",
    "application_approved": "批准通知书",
    "application_rejected": "不予批准告知书",
    "application_withdrawn": "撤回申请告知书",
    "objection_upheld": "复核申请答复书",
    "objection_dismissed": "复核申请答复书",
    "entitlement_stopped": "停发通知书",
    "entitlement_ended": "终止发放通知书",
    "entitlement_resumed": "恢复发放通知书",
    "entitlement_changed": "标准调整通知书",
    "arrears_granted": "补发通知书",
    "payment_held": "暂缓发放告知书",
    "hold_released": "解除暂缓发放告知书",
    "payment_failed": "未能到账告知书",
    "recovery_opened": "追回通知书",
    "recovery_after_death": "追回通知书",
    "recovery_withdrawn": "撤销追回通知书",
    "certificate_expiring": "残疾人证到期提醒",
    "reminder": "政策告知书",
    "contact_changed": "联系方式变更告知书",
    "payee_changed": "发放账户变更告知书",
}
_NATION = "《国务院关于全面建立困难残疾人生活补贴和重度残疾人护理补贴制度的意见》（国发〔2015〕52号）"
_NOTICE = "残疾人两项补贴精准管理通知"
_BASES: dict[Kind, str] = {
    "application_returned": f"{_NATION}（自递交申请当月计发）",
    "application_approved": f"{_NATION}（自递交申请当月计发）",
    "application_rejected": _NATION,
    "application_withdrawn": f"{_NATION}（自愿申请）",
    "objection_dismissed": _NATION,
    "entitlement_stopped": f"{_NATION}；{_NOTICE}第三条（每月比对，及时停发）",
    "entitlement_ended": f"{_NATION}；{_NOTICE}第三条（每月比对，及时停发）",
    "entitlement_resumed": f"{_NATION}；{_NOTICE}第三条（动态管理）",
    "entitlement_changed": f"{_NATION}及当地现行补贴标准",
    "arrears_granted": f"{_NATION}；{_NOTICE}第六条（及时足额发放）",
    "payment_held": f"{_NOTICE}第三条（比对结果推送核查）",
    "hold_released": f"{_NOTICE}第三条（比对结果推送核查）、第六条（及时足额发放）",
    "payment_failed": f"{_NOTICE}第四条（通过一卡通发放）",
    "recovery_opened": f"{_NOTICE}第七条（发现和追回）",
    "recovery_after_death": f"{_NOTICE}第七条（发现和追回）",
    "recovery_withdrawn": f"{_NOTICE}第七条（发现和追回）、第六条（及时足额发放）",
    "certificate_expiring": f"{_NOTICE}第三条（残疾人证过期）",
    "reminder": f"{_NOTICE}第一条（主动服务）",
    "payee_changed": f"{_NOTICE}第四条（领取对象变更）",
}
_TO_THE_FAMILY: tuple[Kind, ...] = ("entitlement_ended", "recovery_after_death")


def letter(
    message_id: UUID,
    kind: Kind,
    text: str,
    area: str,
    name: str | None,
    written_on: date,
    made_by: str,
    made_on: date,
    *,
    to_family: bool,
) -> Paper:
    """What the message says (what, why, until when to object), its basis, and the receipt of delivery (送达回证)."""
    basis = [Facts([("依据", _BASES[kind])])] if kind in _BASES else []
    county = full_name_of(county_of(area) or area, made_on)
    return Paper(
        title=f"残疾人两项补贴{_TITLES[kind]}",
        number=str(message_id),
        area_name=full_name_of(area, made_on),
        office=f"{county}民政部门",
        dated=written_on,
        made_by=made_by,
        made_on=made_on,
        addressee=(name or "残疾人两项补贴申领人") + ("家属" if to_family or kind in _TO_THE_FAMILY else ""),
        parts=(
            Paragraph(text.removeprefix("【两补】")),
            *basis,
            Heading("送达回证"),
            Facts([("送达方式", "□直接送达　□留置送达　□邮寄送达　□公告送达"), ("签收人与收件人的关系", "")]),
            Signatures(["送达人", "签收人", "见证人（拒收时）"]),
        ),
    )
