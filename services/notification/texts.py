"""What a message says. Texts hold no resident ID, name, disability type or level: others read a phone too.

Every kind has a text that the system brings (version 0). An area may write its own; the nearest one above a person's
area counts.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from libs.common.areas import lineage
from libs.common.errors import InvalidInput
from libs.common.vocabulary import CATEGORY_NAMES, ReturnCode

Kind = Literal[
    "application_returned",
    "application_approved",
    "application_rejected",
    "application_withdrawn",
    "objection_upheld",
    "objection_dismissed",
    "entitlement_stopped",
    "entitlement_ended",
    "entitlement_resumed",
    "entitlement_changed",
    "arrears_granted",
    "payment_held",
    "hold_released",
    "payment_failed",
    "recovery_opened",
    "recovery_after_death",
    "recovery_withdrawn",
    "certificate_expiring",
    "reminder",
    "contact_changed",
    "payee_changed",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

LONGEST_TEXT = 300
"""Characters: a long SMS is sent as parts of 67, and providers take no more than a few."""


@dataclass(frozen=True, slots=True)
class Template:
    """One version of a text; version 0 is the system's own, for every area."""

    kind: str
    area: str
    version: int
    text: str


_SYSTEM_TEXTS: dict[Kind, str] = {
    "application_returned": (
        "【两补】您于{applied_on}提交的{subsidies}申请需要补正。请在{due_on}前补齐，仍自首次申请当月起计发；"
        "逾期补齐的，自补齐当月起计发。需要补正什么，见补正通知书，也可向受理单位询问。"
    ),
    "application_approved": (
        "【两补】您于{applied_on}提交的{subsidies}申请已获批准，自申请当月起按符合条件的月份计发，"
        "发放到您登记的社保卡，到账以银行短信为准。{remedy}。"
    ),
    "application_rejected": "【两补】您于{applied_on}提交的{subsidies}申请未获批准，原因见书面通知。{remedy}。",
    "application_withdrawn": "【两补】您的{subsidies}申请已于{withdrawn_on}撤回。今后可随时重新申请。",
    "objection_upheld": "【两补】您于{filed_on}提出的复核申请已办结：意见成立，{next}。",
    "objection_dismissed": (
        "【两补】您于{filed_on}提出的复核申请已办结：维持原决定，理由可向户籍地县级民政部门询问。{remedy}。"
    ),
    "entitlement_stopped": (
        "【两补】您的{subsidy}自{first_month}起停发（原每月{amount}元），原因：{reason}。符合条件后可再次申请。{remedy}。"
    ),
    "entitlement_ended": (
        "【两补】领取人去世，其{subsidy}自{first_month}起停发（原每月{amount}元）。"
        "此前应发未发的月份，继承人可凭证明向户籍地乡镇（街道）申领。{remedy}。"
    ),
    "entitlement_resumed": "【两补】您的{subsidy}自{first_month}起恢复发放，每月{amount}元。{remedy}。",
    "entitlement_changed": "【两补】您的{subsidy}自{first_month}起调整为每月{amount}元。{remedy}。",
    "arrears_granted": ("【两补】您的{subsidy}{months}应补发{amount}元，随下一次发放到账，以银行短信为准。{remedy}。"),
    "payment_held": (
        "【两补】因有关信息需要核实，您的补贴自{first_month}起暂缓发放，应于{due_on}前核实完毕；"
        "核实无误的，暂缓的月份全部补发。请联系户籍地乡镇（街道）说明情况、配合核实。"
    ),
    "hold_released": "【两补】有关信息已核实，您的补贴恢复发放，自{first_month}起暂缓的月份随下一次发放补发。",
    "payment_failed": "【两补】您{period}的{subsidy}{amount}元未能到账：{reason}。{remedy}",
    "recovery_opened": (
        "【两补】您的{subsidy}在{months}多发{amount}元（{reason}），需要退回。"
        "退回方式和期限请咨询户籍地县级民政部门，有困难的可申请分期。{remedy}。"
    ),
    "recovery_after_death": (
        "【两补】领取人去世后，其{subsidy}在{months}多发{amount}元，需从遗产或由实际领取人退回。"
        "退回方式和期限请咨询户籍地县级民政部门。{remedy}。"
    ),
    "recovery_withdrawn": (
        "【两补】此前通知您退回多发的{subsidy}，有关认定已更正，不需退回；已经退回的，随下一次发放补发。{remedy}。"
    ),
    "certificate_expiring": (
        "【两补】您的残疾人证将于{expires_on}到期。请在到期前向户籍地残联申请换证；"
        "到期未换的，补贴自次月起暂停，换证后恢复。"
    ),
    "reminder": (
        "【两补】您可能符合残疾人两项补贴条件。补贴自愿申请，"
        "自申请当月计发，可向户籍地乡镇（街道）申请，也可网上办理、跨省通办。"
    ),
    "contact_changed": (
        "【两补】您登记的联系电话已变更，本号码不再接收通知。如非您本人办理，请立即联系户籍地乡镇（街道）。"
    ),
    "payee_changed": (
        "【两补】您的补贴发放账户已变更为{account}，自{effective_on}起生效。"
        "如非您本人或监护人办理，请立即联系户籍地乡镇（街道）。"
    ),
}

PLACEHOLDERS: dict[str, frozenset[str]] = {
    kind: frozenset(name for _, name, _, _ in string.Formatter().parse(text) if name)
    for kind, text in _SYSTEM_TEXTS.items()
}
"""What a text of each kind may say of its case."""

_LONG_DIGITS = re.compile(r"\d{15,}")
_SEVERITY = re.compile(r"[一二三四1-4]级")


def check(kind: Kind, text: str) -> None:
    """InvalidInput where a text may not be sent in this form."""
    if not 0 < len(text) <= LONGEST_TEXT:
        raise InvalidInput.at("text", f"1 至 {LONGEST_TEXT} 个字 (1 to {LONGEST_TEXT} characters)")
    try:
        fields = [field for field in string.Formatter().parse(text) if field[1] is not None]
    except ValueError as error:
        raise InvalidInput.at("text", f"花括号不成对 (its braces do not match: {error})") from error
    unknown = [name for _, name, spec, conversion in fields if name not in PLACEHOLDERS[kind] or spec or conversion]
    if unknown:
        allowed = ", ".join(sorted(PLACEHOLDERS[kind])) or "none"
        raise InvalidInput.at("text", f"没有占位符 {{{unknown[0]}}}，可用：{allowed} (unknown placeholder)")
    if any(f"{name}残疾" in text for name in CATEGORY_NAMES.values()) or _SEVERITY.search(text):
        raise InvalidInput.at("text", "短信不得写残疾类别或等级 (a message names no disability type or level)")
    if _LONG_DIGITS.search(text):
        raise InvalidInput.at("text", "短信不得写身份证号或账号 (a message holds no ID or account number)")


def in_force(kind: str, area: str, written: Sequence[Template]) -> Template:
    """The newest version of the nearest area that wrote its own, else the system's."""
    around = ["", *lineage(area)] if area else [""]
    own = [template for template in written if template.kind == kind and template.area in around]
    system = Template(kind, "", 0, _SYSTEM_TEXTS[kind])  # type: ignore[index]  # stored kinds are checked on writing
    return max(own, key=lambda template: (len(template.area), template.version), default=system)


def render(template: Template, values: Mapping[str, str], remedy: str = "") -> str:
    """The text of one case. `remedy` is how to object and until when, where the case brings no other."""
    return template.text.format_map({"remedy": remedy, **values})


def remedy(reconsideration_days: int, litigation_months: int) -> str:
    return (
        "有异议的，可向户籍地乡镇（街道）提出复核申请，"
        f"也可自收到通知之日起{reconsideration_days}日内申请行政复议、{litigation_months}个月内提起行政诉讼"
    )


def preview(kind: Kind, text: str, remedy: str) -> str:
    """The text with sample values."""
    values = SAMPLE_VALUES | ({"remedy": "请到银行激活，随后将重新发放。"} if kind == "payment_failed" else {})
    return render(Template(kind, "", 0, text), values, remedy)


def sms_parts(text: str) -> int:
    """How many SMS a text is paid for as: one up to 70 characters (UTF-16 units), else parts of 67."""
    units = len(text.encode("utf-16-be")) // 2
    return 1 if units <= _ONE_SMS else -(-units // _PART)


_ONE_SMS, _PART = 70, 67


def naming(text: str, names: Sequence[str]) -> str:
    """The text with the names of those it is about in front, behind the sender's signature."""
    if not names:
        return text
    signature, bracket, said = text.partition("】") if text.startswith("【") else ("", "", text)
    return f"{signature}{bracket}{'、'.join(names)}：{said}"


SAMPLE_VALUES: dict[str, str] = {
    "applied_on": "2026年3月2日",
    "withdrawn_on": "2026年3月2日",
    "filed_on": "2026年3月16日",
    "next": "申请将重新审核，结果另行告知",
    "subsidies": "困难残疾人生活补贴、重度残疾人护理补贴",
    "subsidy": "重度残疾人护理补贴",
    "first_month": "2026年4月",
    "months": "2026年1月至3月",
    "period": "2026年3月",
    "amount": "330.00",
    "reason": "残疾人证已过期，请及时换证",
    "due_on": "2026年4月20日",
    "expires_on": "2026年9月30日",
    "account": "尾号1234的账户",
    "effective_on": "2026年4月1日",
}
"""What a preview shows in the place of a case's own values: samples, of nobody."""


def why_stopped(because: str) -> str:
    """A cause or a rule's name, in words that disclose nothing to whoever else reads the phone."""
    return _REASONS.get(because, "不再符合领取条件")


OF_THE_LIVING: tuple[Kind, ...] = (
    "application_withdrawn",
    "entitlement_resumed",
    "entitlement_changed",
    "payment_held",
    "hold_released",
    "certificate_expiring",
    "reminder",
    "contact_changed",
)
"""Kinds that nobody needs any more once the person has died: no text, and no letter to the family either."""

_REASONS = {
    "certificate_held": "残疾人证已注销或迁出",
    "certificate.cancelled": "残疾人证已注销",
    "certificate.moved_out": "残疾人证已迁出",
    "certificate_current": "残疾人证需要更新",
    "certificate.expired": "残疾人证已过期，请及时换证",
    "certificate.frozen": "残疾人证已冻结，请联系残联",
    "certificate.reassessed": "残疾人证信息已变更",
    "severity": "残疾人证信息已变更",
    "economic_status": "家庭经济状况已不在补贴范围内",
    "low_income.exited": "家庭经济状况已不在补贴范围内",
    "resident": "户籍已迁出发放地区",
    "moved_away": "户籍已迁出发放地区",
    "person.moved": "户籍已迁出发放地区",
    "withdrawn": "本人撤回申请",
    "application.withdrawn": "本人撤回申请",
    "not_in_tekun": "已享受不能同时领取的其他待遇",
    "no_excluding_benefit": "已享受不能同时领取的其他待遇",
    "one_of_its_class": "已享受同类的其他补贴",
    "benefit.started": "已享受不能同时领取的其他待遇",
    "certificate.renewed": "残疾人证信息已变更",
    "error": "计发有误",
    "fraud": "经核查不符合领取条件",
    "late_report": "有关变化报告较晚",
}

DEATHS = ("alive", "person.died", "person.declared_dead")
"""Causes after which nothing goes to the person's phone: the family is told by letter."""

ACCOUNT_PROBLEMS: dict[ReturnCode, tuple[str, str]] = {
    "not_found": ("账户不存在", "请携带社保卡到乡镇（街道）核对账户。"),
    "name_mismatch": ("账户户名与登记不一致", "请携带身份证和社保卡到乡镇（街道）核对。"),
    "closed": ("账户已销户", "请到银行重新开通社保卡金融功能，并告知乡镇（街道）。"),
    "dormant": ("账户长期未使用", "请到银行恢复账户使用，随后将重新发放。"),
    "not_activated": ("社保卡金融功能未激活", "请到银行激活，随后将重新发放。"),
    "lost": ("社保卡已挂失", "请到银行补办，随后将重新发放。"),
    "credit_blocked": ("账户暂停收款", "请到银行办理解除，随后将重新发放。"),
    "id_expired": ("银行登记的证件已过期", "请到银行更新证件，随后将重新发放。"),
    "limit_exceeded": ("账户超过收款限额", "请到银行调整限额，随后将重新发放。"),
    "fraud_control": ("账户受限", "请到银行咨询处理，随后将重新发放。"),
    "holder_dead": ("账户已停用", "请联系户籍地乡镇（街道）。"),
    "wrong_bank": ("登记的开户银行有误", "请携带社保卡到乡镇（街道）核对账户。"),
}
UNKNOWN_ACCOUNT_PROBLEM = ("银行退回", "请联系户籍地乡镇（街道）。")
