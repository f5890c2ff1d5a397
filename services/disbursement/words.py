"""How papers and answers name what stands in the books as codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.disbursement.case_kinds import CASE_KINDS
from services.disbursement.payee import OBSTACLE_NAMES

RETURN_CODES: dict[str, tuple[str, str]] = {
    "not_found": ("账户不存在", "与本人核对账号后更正"),
    "name_mismatch": ("户名不符", "核对户名与社会保障卡，更正后重发"),
    "closed": ("账户已销户", "请本人重新开通社会保障卡金融功能，登记新账号"),
    "dormant": ("账户为睡眠户", "请本人到银行恢复账户使用"),
    "not_activated": ("金融功能未激活", "请本人到银行激活"),
    "lost": ("社会保障卡已挂失", "请本人补卡后登记新账号"),
    "credit_blocked": ("账户止入", "请本人到银行解除限制"),
    "id_expired": ("证件已过期", "请本人到银行更新证件"),
    "limit_exceeded": ("超过收款限额", "请本人到银行调整账户限额"),
    "fraud_control": ("涉案管控", "请本人到银行说明；暂登记其他账户"),
    "holder_dead": ("持卡人已死亡", "核实生存状况，按死亡停发或更正"),
    "wrong_bank": ("开户银行有误", "核对开户银行后更正"),
}
"""What each of the bank's codes means, and what the township must do."""

OUTCOMES = {
    "payable": "应发",
    "pending": "待发",
    "sent": "已送银行",
    "settled": "已发放",
    "failed": "发放失败",
    "returned": "退票",
    "held": "暂缓",
    "unpayable": "暂不能发放",
    "dropped": "提交前剔除",
}
"""What became of a month in a cycle: of its item, then of its payment."""

HOLDERS = {"own": "本人", "guardian": "监护人", "institution": "机构", "heir": "继承人"}

CAUSES: dict[str, str] = {
    "application.approved": "申请获批",
    "application.withdrawn": "本人撤回",
    "withdrawn": "本人撤回",
    "alive": "死亡",
    "person.died": "死亡",
    "person.declared_dead": "被宣告死亡",
    "person.missing": "失踪",
    "person.declared_missing": "被宣告失踪",
    "not_missing": "失踪",
    "person.reappeared": "重新出现",
    "person.imprisoned": "在监服刑",
    "not_in_prison": "在监服刑",
    "person.released": "刑满释放",
    "resident": "户籍迁出",
    "moved_away": "户籍迁出",
    "person.moved": "户籍迁移",
    "person.merged": "身份证号更正，档案合并",
    "certificate_held": "残疾人证注销或迁出",
    "certificate_current": "残疾人证过期或冻结",
    "certificate.issued": "残疾人证核发",
    "certificate.renewed": "残疾人证换发",
    "certificate.reassessed": "残疾等级重新评定",
    "certificate.expired": "残疾人证过期",
    "certificate.frozen": "残疾人证冻结",
    "certificate.unfrozen": "残疾人证解冻",
    "certificate.cancelled": "残疾人证注销",
    "certificate.moved_out": "残疾人证迁出",
    "severity": "残疾等级不在范围内",
    "economic_status": "退出低保或低保边缘",
    "low_income.entered": "纳入低保或低保边缘",
    "low_income.exited": "退出低保或低保边缘",
    "long_term_care": "不再需要长期照护",
    "choice": "本人选择其他补贴",
    "paying_area": "由其他地区发放",
    "application": "尚未申请",
    "not_in_tekun": "特困供养",
    "no_excluding_benefit": "享受不能同时领取的其他待遇",
    "one_of_its_class": "享受同类的其他补贴",
    "benefit.started": "享受其他补贴",
    "benefit.ended": "其他补贴终止",
    "fact.retracted": "事实更正",
    "policy.changed": "政策调整",
    "standard.changed": "标准调整",
    "spell.resumed": "恢复发放",
    "repaid": "本人退还",
    "offset": "从后续补贴中抵扣",
    "fraud": "虚报、隐瞒或伪造",
    "late_report": "迟报变动",
    "error": "工作差错",
    "reduced": "应发金额减少",
    "moved": "已转出本地区",
    "on_its_way": "同月另有一笔在途",
    "event_unread": "有一条变动未能读取",
    "judgement_blocked": "有一条变动未能认定",
    **{str(obstacle): name for obstacle, name in OBSTACLE_NAMES.items()},
}
"""Causes of entitlements, stops, holds, recoveries and of what is not paid."""

GRANTED_BY = {"central": "中央", "province": "省级", "prefecture": "州市", "county": "县级"}

DEEDS = {
    "entitlement.told": "资格认定",
    "month.entitled": "本月应发",
    "month.disallowed": "认定不应发放",
    "opening.entered": "期初已发（接管前）",
    "finding.open": "比对线索待核实，暂缓发放",
    "finding.confirmed": "比对线索已确认",
    "finding.dismissed": "比对线索已排除",
    "cycle.held": "编制时暂缓",
    "cycle.unpayable": "编制时暂不能发放",
    "cycle.dropped": "提交前剔除",
    "payment.drawn_up": "编入发放批次",
    "payment.sent": "送交银行",
    "booked.settlement": "银行已付，记入已发",
    "booked.failure": "银行未能付款，资金退回",
    "booked.return": "银行退票，资金退回",
    "booked.offset_released": "抵扣多余部分退还",
    "booked.entrusting": "记入机构代管的本人账户",
    "booked.entrusting_reversed": "银行退票，机构代管账户冲回",
    "sms.complete": "银行短信五项齐全",
    "sms.incomplete": "银行短信缺项",
    "recovery.open": "应追回",
    "recovery.closed": "追回结案",
    "recovery.repaid": "已缴回国库",
    "recovery.reversed": "抵扣撤销",
    "recovery.written_off": "核销",
    "case.opened": "列为问题",
    "case.resolved": "问题销号",
}
"""What the chain of causes of a month consists of."""


def told_of(deed: Mapping[str, Any]) -> dict[str, str]:
    """One link of the chain in words: `title`, and what it says."""
    says = deed["says"] or ""
    kind = CASE_KINDS.get(says)
    if deed["what"] == "payment.sent":
        says = f"{HOLDERS.get(says, says)}账户"
    elif deed["what"] == "payment.drawn_up":
        says = f"依据资格{says.replace('version', '第')}版" if says else ""
    else:
        says = kind.name if kind else code_text(says)[0] if says in RETURN_CODES else cause_text(says)
    return {"title": DEEDS.get(deed["what"], deed["what"]), "says": says}


def cause_text(cause: str | None) -> str:
    return CAUSES.get(cause or "", cause or "")


def code_text(code: str | None) -> tuple[str, str]:
    """Reason and remedy of a bank's code; empty without one."""
    return RETURN_CODES.get(code or "", (code or "", "与银行核实原因后处理" if code else ""))
