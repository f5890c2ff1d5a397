"""What intake's codes are called."""

from __future__ import annotations

from nicegui import ui

from libs.common.dashboard import Words

STATUSES: Words = {
    "submitted": ("已提交", "busy"),
    "in_review": ("审核中", "busy"),
    "returned": ("退回补正", "bad"),
    "approved": ("已批准", "good"),
    "rejected": ("不予批准", "bad"),
    "withdrawn": ("已撤回", "quiet"),
}
STAGES: Words = {
    "township": ("乡镇（街道）初审", "quiet"),
    "cdpf": ("残联审核", "quiet"),
    "civil_affairs": ("民政审定", "quiet"),
}
CHANNELS: Words = {
    "counter": ("窗口", "quiet"),
    "online": ("网上", "quiet"),
    "cross_province": ("跨省通办", "quiet"),
    "one_thing": ("一件事一次办", "quiet"),
    "roster": ("存量接管", "quiet"),
}
OUTCOMES: Words = {"pass": ("符合", "good"), "fail": ("不符合", "bad"), "not_applicable": ("不适用", "quiet")}
REVIEWED: Words = {"approve": ("同意", "good"), "return": ("退回补正", "bad"), "reject": ("不予批准", "bad")}

OFFICES: Words = {"civil_affairs": ("民政", "quiet"), "cdpf": ("残联", "quiet")}
OVERDUE: Words = {"True": ("逾期", "bad"), "False": ("未逾期", "good")}

STEPS: Words = {
    "forward": ("待受理地转办", "busy"),
    "decide": ("户籍地办理中", "busy"),
    "tell": ("待告知结果", "busy"),
    "done": ("已告知", "good"),
}
FIELDS: Words = {
    "name": ("姓名", "quiet"),
    "area": ("户籍地", "quiet"),
    "certificate": ("残疾人证", "quiet"),
    "low_income": ("经济状况", "quiet"),
}
LIKENESS: Words = {
    "phone": ("电话相同", "bad"),
    "account": ("账户相同", "bad"),
    "name_and_birth": ("姓名和出生日期相同", "bad"),
}
DOCUMENTS: Words = {
    "id_card": ("身份证", "quiet"),
    "certificate": ("残疾人证", "quiet"),
    "commitment": ("政策告知承诺书", "quiet"),
    "choice": ("择高声明", "quiet"),
    "account": ("社会保障卡或账户", "quiet"),
    "guardianship": ("监护关系证明", "quiet"),
    "incapacity": ("行为能力认定", "quiet"),
    "photo": ("照片", "quiet"),
    "other": ("其他", "quiet"),
}
ESCALATED: Words = {
    "review": ("审核", "bad"),
    "forwarding": ("跨省通办", "bad"),
    "transfer": ("迁移接收", "bad"),
    "objection": ("复核申请", "bad"),
    "handling": ("复核后重新核定", "bad"),
    "completion": ("档案补全", "bad"),
    "archive_check": ("档案抽查", "bad"),
    "register_lead": ("部门数据待核实", "bad"),
}
PAPERS: dict[str, str] = {
    "commitment": "政策告知承诺书",
    "acceptance": "受理通知书",
    "completion": "补正通知书",
    "rejection": "不予批准通知书",
    "approval-form": "审批表",
}
VERDICTS: Words = {"complete": ("完整", "good"), "missing": ("缺失", "bad")}
CHANGES: Words = {
    "account": ("收款账户", "quiet"),
    "guardian": ("监护人", "quiet"),
    "id_number": ("身份证号", "quiet"),
}
CHANGE_STATUSES: Words = {
    "pending": ("待审批", "busy"),
    "approved": ("已生效", "good"),
    "rejected": ("未批准", "bad"),
    "replaced": ("已被替代", "quiet"),
}


def done(said: str) -> None:
    """Shows the page anew, as it is after what was done."""
    ui.notify(said)
    ui.navigate.reload()
