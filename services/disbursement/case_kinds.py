"""Kinds of cases (问题), what each is called, which office sees to it, and what is to be done."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.auth import Role


@dataclass(frozen=True, slots=True)
class CaseKind:
    name: str
    owner: Role
    remedy: str


CASE_KINDS: dict[str, CaseKind] = {
    "not_on_statement": CaseKind("银行对账单缺少该笔", "finance", "向银行查询该笔是否受理"),
    "amount_differs": CaseKind("与银行金额不符", "finance", "与银行核对金额并更正"),
    "status_differs": CaseKind("与银行状态不符", "finance", "重新获取银行对账单并核对"),
    "not_ours": CaseKind("银行多出一笔", "finance", "向银行查明来源并追回"),
    "not_in_ledger": CaseKind("总账未记该笔", "finance", "查明未记账原因"),
    "sms_missing": CaseKind("缺少到账短信", "finance", "请银行补发短信"),
    "sms_incomplete": CaseKind("到账短信缺项", "finance", "请银行按五项内容重发短信"),
    "due_unpaid": CaseKind("应发未发", "civil_affairs", "编入下一发放批次"),
    "account_shared": CaseKind("多人共用账户", "civil_affairs", "核实账户归属，更正或说明"),
    "payment_late": CaseKind("逾期未发放", "civil_affairs", "尽快编制、会签、审批并提交"),
    "plan_behind": CaseKind("追回逾期或分期不足", "civil_affairs", "催缴，或重订还款安排"),
    "not_on_national_roster": CaseKind("全国系统名册缺少", "civil_affairs", "在全国系统补录"),
    "only_on_national_roster": CaseKind("全国系统名册多出", "civil_affairs", "核实是否应享受，更正全国系统"),
    "national_area_differs": CaseKind("与全国系统地区不符", "civil_affairs", "核对户籍地，更正全国系统"),
    "not_on_paper_roster": CaseKind("纸质名册缺少", "township", "补登纸质名册"),
    "only_on_paper_roster": CaseKind("纸质名册多出", "township", "核实是否应享受，更正纸质名册"),
    "paper_area_differs": CaseKind("与纸质名册地区不符", "township", "核对户籍地，更正纸质名册"),
    "contradictory_result": CaseKind("银行结果前后矛盾", "finance", "与银行核实最终结果"),
    "unknown_payment": CaseKind("银行提到未知付款", "finance", "向银行查明来源"),
    "batch_refused": CaseKind("银行拒收批次", "finance", "按银行说明更正后撤回该批次，系统重新发送"),
    "submission_refused": CaseKind("提交未成功", "finance", "查明原因后重新提交"),
    "paid_before_restore": CaseKind("恢复前已付款", "finance", "补记该笔付款"),
}


def kind_of(kind: str) -> CaseKind:
    return CASE_KINDS.get(kind, CaseKind(kind, "finance", "查明并处理"))
