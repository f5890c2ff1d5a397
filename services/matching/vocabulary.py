"""What matching's words are called in Chinese, on papers and in what it says."""

from __future__ import annotations

from collections.abc import Mapping

from libs.common.vocabulary import BENEFIT_NAMES, INCOME_NAMES

KIND_NAMES: Mapping[str, str] = {
    "person.died": "疑似死亡",
    "person.declared_dead": "被宣告死亡",
    "person.declared_missing": "被宣告失踪",
    "person.missing": "失踪",
    "person.imprisoned": "在监服刑",
    "person.moved": "户籍迁移",
    "certificate.renewed": "残疾人证换发",
    "certificate.reassessed": "残疾等级重新评定",
    "certificate.expired": "残疾人证过期",
    "certificate.frozen": "残疾人证冻结",
    "certificate.unfrozen": "残疾人证解冻",
    "certificate.cancelled": "残疾人证注销",
    "certificate.moved_out": "残疾人证迁出",
    "low_income.exited": "退出低保或低保边缘",
    "benefit.started": "享受其他补贴",
}

ABOUT_NAMES: Mapping[str, str] = {**BENEFIT_NAMES, "monitored": INCOME_NAMES["monitored"]}
"""What a lead is about, where a person may have several of its kind at a time."""

PLAN_NAMES: Mapping[str, str] = {
    "county": "县级复核",
    "prefecture": "州市复核",
    "province": "省级比对",
    "annual": "年度全员复核",
}

METHOD_NAMES: Mapping[str, str] = {
    "visit": "入户走访",
    "video": "视频查看",
    "face": "人脸识别",
    "phone": "电话",
    "document": "书面材料",
}

CHANGE_NAMES: Mapping[str, str] = {"new": "新增", "changed": "变更", "stopped": "停发"}

CAUSE_NAMES: Mapping[str, str] = {
    "application.approved": "申请获批",
    "recipients.listed": "存量接管",
    "spell.resumed": "恢复发放",
    "person.moved": "户籍迁移",
    "certificate.reassessed": "残疾等级变化",
    "standard.changed": "补贴标准调整",
    "paused": "暂停发放",
    "alive": "死亡",
    "not_missing": "失踪",
    "not_in_prison": "在监服刑",
    "resident": "户籍迁出",
    "moved_away": "户籍迁出",
    "certificate_held": "残疾人证注销或迁出",
    "certificate_current": "残疾人证过期、冻结或迁移中",
    "severity": "残疾类别、等级不在范围",
    "economic_status": "退出低保等救助范围",
    "long_term_care": "不再需要长期照护",
    "not_in_tekun": "纳入特困供养",
    "no_excluding_benefit": "享受不能同时领取的待遇",
    "one_of_its_class": "享受同类补贴",
    "withdrawn": "本人撤回申请",
    "person.merged": "身份合并",
}
"""Why months of a subsidy begin, differ or stop, as eligibility says it."""
