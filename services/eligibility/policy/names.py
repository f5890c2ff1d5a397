"""The names that a policy layer may give a value to: what each means, its unit, what a lower layer may do with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from libs.common.vocabulary import BenefitKind, Category, IncomeCategory

Latitude = Literal["raise", "widen", "narrow", "set", "fixed"]
"""What a lower layer may do: raise an amount, add to a scope, take from a list of exclusions, set it, nothing."""

Value = Any
"""A parameter's value as YAML and JSON write it: int, bool, str, list or a mapping of level to fen."""


@dataclass(frozen=True, slots=True)
class ParameterName:
    """One thing that policy decides. `problem` says what is wrong with a value, or None."""

    name: str
    title: str
    unit: str
    latitude: Latitude
    problem: Callable[[Value], str | None]


def _count(least: int, most: int) -> Callable[[Value], str | None]:
    def problem(value: Value) -> str | None:
        fits = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        return None if fits else f"应为 {least} 至 {most} 的整数 (must be a whole number from {least} to {most})"

    return problem


def _only(word: bool | str) -> Callable[[Value], str | None]:
    """Of what follows from the facts or the texts, and is named so that everybody sees how it is: nothing reads it."""
    told = str(word).lower()
    return lambda value: (
        None if value == word else f"只能是 {told}, 名称中写明了原因 (can only be that: its title says why)"
    )


def _one_of(*words: str) -> Callable[[Value], str | None]:
    return lambda value: None if value in words else f"应为 {'、'.join(words)} 之一 (must be one of them)"


def _words(known: tuple[Any, ...]) -> Callable[[Value], str | None]:
    def problem(value: Value) -> str | None:
        if not isinstance(value, list):
            return "应为列表 (must be a list)"
        unknown = [entry for entry in value if isinstance(entry, bool) or entry not in known]
        return f"不认识 {'、'.join(map(str, unknown))} (unknown)" if unknown else None

    return problem


_amount = _count(1, 10_000_000)
_levels = _words((1, 2, 3, 4))


def _amount_by_level(value: Value) -> str | None:
    if not isinstance(value, dict) or not value:
        return _amount(value)
    wrong = _levels(list(value)) or next(filter(None, map(_amount, value.values())), None)
    return f"应为金额（分）, 或按等级的金额: {wrong} (must be fen, or fen by level)" if wrong else None


def _extensions(value: Value) -> str | None:
    if not isinstance(value, list) or not all(isinstance(e, dict) and set(e) == {"category", "levels"} for e in value):
        return "应为 {category, levels} 的列表 (must be a list of them)"
    for entry in value:
        wrong = _words(get_args(Category))([entry["category"]]) or _levels(entry["levels"])
        if wrong:
            return wrong
    return None


def _lines(value: Value) -> str | None:
    fits = isinstance(value, list) and value and all(isinstance(line, str) and line.strip() for line in value)
    return None if fits else "应为逐行文字的列表 (must be a list of lines of text)"


def _ages(value: Value) -> str | None:
    fits = isinstance(value, list) and all(_count(1, 120)(age) is None for age in value)
    return None if fits else "应为 1 至 120 岁的列表 (must be a list of ages from 1 to 120)"


def _steps(value: Value) -> str | None:
    if not isinstance(value, list) or not value or not all(isinstance(step, dict) for step in value):
        return "应为 {step, who?, deadline?} 的列表 (must be a list of them)"
    for step in value:
        unknown = set(step) - {"step", "who", "deadline"}
        if unknown or not all(isinstance(text, str) and text.strip() for text in (step.get("step"), *step.values())):
            return "应为 {step, who?, deadline?} 的列表 (must be a list of them)"
        if step.get("deadline", _DEADLINES[0]) not in _DEADLINES:
            return f"deadline 应为 {'、'.join(_DEADLINES)} 之一 (must be one of them)"
    return None


_DEADLINES = ("review.township_days", "review.cdpf_days", "review.civil_affairs_days", "application.completion_days")
_incomes = _words(get_args(IncomeCategory))
_benefits = _words(get_args(BenefitKind))
_months = _count(0, 60)
_days = _count(0, 366)

NAMES: dict[str, ParameterName] = {
    entry.name: entry
    for entry in (
        ParameterName("living.amount_fen", "困难残疾人生活补贴标准", "fen a month", "raise", _amount_by_level),
        ParameterName("living.categories", "生活补贴的经济状况范围", "economic status", "widen", _incomes),
        ParameterName("living.excluding_income", "不享受生活补贴的救助供养", "economic status", "narrow", _incomes),
        ParameterName("living.excluding_benefits", "不享受生活补贴的其他待遇", "benefit", "narrow", _benefits),
        ParameterName("living.same_class_benefits", "与生活补贴同类、只享其一的待遇", "benefit", "narrow", _benefits),
        ParameterName("care.amount_fen", "重度残疾人护理补贴标准", "fen a month, by level", "raise", _amount_by_level),
        ParameterName("care.levels", "护理补贴的残疾等级范围", "level", "widen", _levels),
        ParameterName("care.extended", "护理补贴扩大到的类别和等级", "category and level", "widen", _extensions),
        ParameterName("care.excluding_income", "不享受护理补贴的救助供养", "economic status", "narrow", _incomes),
        ParameterName("care.excluding_benefits", "不享受护理补贴的其他待遇", "benefit", "narrow", _benefits),
        ParameterName("care.same_class_benefits", "与护理补贴同类、只享其一的待遇", "benefit", "narrow", _benefits),
        ParameterName("long_term_care.presumed_levels", "推定需要长期照护的等级", "level", "widen", _levels),
        ParameterName(
            "low_income.grace_counts",
            "渐退期内仍视为低保（固定：正式退出前仍是低保家庭）",
            "yes or no",
            "fixed",
            _only(True),
        ),
        ParameterName(
            "low_income.last_paid_month_ends",
            "只给末次发放月份的退出日（固定：一日符合即发当月，取当月任何一日，应发月份都相同）",
            "day",
            "fixed",
            _only("last_day"),
        ),
        ParameterName("certificate.expired_gap_arrears_months", "过期换证的补发上限", "months", "set", _count(0, 3)),
        ParameterName("certificate.frozen_gap_arrears_months", "冻结期间的补发上限", "months", "set", _count(0, 3)),
        ParameterName("spell.max_pause_months", "暂停的最长月数", "months", "set", _count(1, 60)),
        ParameterName("application.max_wait_months", "申请等待其他待遇终止的最长月数", "months", "set", _count(1, 60)),
        ParameterName("application.completion_days", "补正期限", "working days", "set", _days),
        ParameterName(
            "application.after_death",
            "批准前死亡的处理（固定：按事实审定，应发月份由继承人领取）",
            "rule",
            "fixed",
            _only("decided_on_facts"),
        ),
        ParameterName("move.continuity", "省内迁移的接续方式", "rule", "set", _one_of("acceptance", "automatic")),
        ParameterName("review.township_days", "乡镇（街道）初审期限", "working days", "set", _days),
        ParameterName("review.cdpf_days", "残联审核期限", "working days", "set", _days),
        ParameterName("review.civil_affairs_days", "民政审定期限", "working days", "set", _days),
        ParameterName("cross_province.forward_days", "跨省通办受理地转办期限", "working days", "set", _days),
        ParameterName("cross_province.decide_days", "跨省通办户籍地办理期限", "working days", "set", _days),
        ParameterName("cross_province.tell_days", "跨省通办受理地告知期限", "working days", "set", _days),
        ParameterName("transfer.answer_days", "迁入地答复期限", "working days", "set", _days),
        ParameterName("objection.answer_days", "复核申请答复期限", "working days", "set", _days),
        ParameterName("case.resolution_days", "对账差异处理期限", "days", "set", _days),
        ParameterName("register.answer_days", "监护、社保卡、机构数据核实期限", "working days", "set", _days),
        ParameterName("archive.completion_days", "档案补全期限", "working days", "set", _days),
        ParameterName("archive.check_months", "档案抽查间隔", "months", "set", _months),
        ParameterName("archive.retention_years", "档案保存年限", "years", "raise", _count(1, 200)),
        ParameterName("public_list.days", "公示天数", "days", "set", _days),
        ParameterName("hotline.number", "咨询投诉电话", "telephone", "set", _count(100, 10**14)),
        ParameterName("quiet.from", "短信免打扰开始", "hour of the day", "set", _count(0, 23)),
        ParameterName("quiet.until", "短信免打扰结束", "hour of the day", "set", _count(0, 23)),
        ParameterName("sms.unsent", "短信未能发出改送书面通知的天数", "days", "set", _count(1, 366)),
        ParameterName("sms.unconfirmed", "短信无送达回执改送书面通知的天数", "days", "set", _count(1, 366)),
        ParameterName("expiry.first", "残疾人证到期首次提醒的提前期", "months", "set", _months),
        ParameterName("expiry.last", "残疾人证到期末次提醒的提前期", "months", "set", _months),
        ParameterName("phone.remembered", "原联系电话保留的天数", "days", "set", _days),
        ParameterName("finding.verification_days", "核查期限", "working days", "set", _days),
        ParameterName("feed.shrunken_percent", "全量数据减少多少须经人核实（比例）", "percent", "set", _count(1, 100)),
        ParameterName("feed.shrunken_rows", "全量数据减少多少须经人核实（至少行数）", "rows", "set", _count(1, 10**6)),
        ParameterName("outreach.deadline_months", "主动提醒告知的期限", "months", "fixed", _months),
        ParameterName("outreach.waiver_days", "提醒告知后视为自愿放弃的天数", "days", "set", _days),
        ParameterName("outreach.lookback_months", "主动服务回看多久的新纳入、新办证", "months", "set", _months),
        ParameterName("outreach.task_days", "电话、入户核实期限", "working days", "set", _days),
        ParameterName("proof_of_life.interval_months", "生存验证间隔", "months", "set", _months),
        ParameterName("proof_of_life.high_risk_interval_months", "高风险对象生存验证间隔", "months", "set", _months),
        ParameterName("proof_of_life.high_risk_age", "高风险对象年龄", "years", "set", _count(1, 150)),
        ParameterName("proof_of_life.notice_days", "生存验证提前列入名单的天数", "days", "set", _days),
        ParameterName("proof_of_life.repeat_days", "未见到本人再次验证的期限", "working days", "set", _days),
        ParameterName("correction.deadline_days", "与上级规定不一致的纠正期限", "days", "set", _days),
        ParameterName("comparison.prefecture_gap_months", "州市复核与省级复核的间隔", "months", "raise", _months),
        ParameterName("forecast.ages", "预算测算关注的年龄", "years of age", "set", _ages),
        ParameterName("guide.applicants", "可以提出申请的人", "text", "set", _lines),
        ParameterName("guide.channels", "申请渠道", "text", "set", _lines),
        ParameterName("guide.materials", "申请材料", "text", "set", _lines),
        ParameterName("guide.process", "办理流程", "steps", "set", _steps),
        ParameterName("guide.contact", "咨询和监督电话", "text", "set", _lines),
    )
}
