"""Policy made public (notice 1.1): what holds where and since when, and what changed, in words for anybody."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from html import escape
from typing import Any

from libs.common.areas import full_name_of
from libs.common.money import yuan_text
from libs.common.vocabulary import BENEFIT_NAMES, CATEGORY_NAMES, INCOME_NAMES
from services.eligibility.policy.names import NAMES, Value
from services.eligibility.policy.parameters import Parameter, PolicySet, by_level

_MATERIALS = (
    "残疾人两项补贴申请表和政策告知承诺书",
    "居民身份证或户口簿",
    "残疾人证",
    "本人社会保障卡；本人无法办理的，法定监护人的社会保障卡和监护关系证明",
    "申请生活补贴的，由民政部门核对低保等经济状况，不需自行提供证明",
)

_CHANNELS = "乡镇（街道）窗口、全程网办、跨省通办（可在全国任一受理地申请）、一件事一次办"


def history(policy: PolicySet, area: str, name: str | None = None) -> list[dict[str, Any]]:
    """Every value that a layer above or of `area` was ever given, the latest published first. `replaced` ones were
    given anew for the same day."""
    chain = policy.chain(area)
    items = [
        {
            "name": parameter.name,
            "title": NAMES[parameter.name].title,
            "unit": parameter.unit,
            "layer": layer.area or "nation",
            "layer_title": layer.title,
            "since": parameter.since,
            "until": policy.until(parameter),
            "value": parameter.value,
            "source": parameter.source,
            "clause": parameter.clause,
            "confidence": parameter.confidence,
            "sample": parameter.sample,
            "reason": parameter.reason,
            "published_on": layer.published_on,
            "policy_id": layer.policy_id or None,
            "replaced": not policy.stands(parameter),
        }
        for layer in policy.layers
        if layer.area in chain
        for parameter in layer.parameters
        if parameter.name in NAMES and name in (None, parameter.name)
    ]
    return sorted(items, key=lambda item: (item["published_on"] or date.min, item["since"], item["name"]), reverse=True)


def page(policy: PolicySet, area: str, on: date) -> str:
    """The public page of an area on a day, as HTML that stands by itself."""
    held = {parameter.name: parameter for parameter in policy.in_force(area, on)}
    place = full_name_of(area, on)
    title = f"{place}残疾人两项补贴政策"
    if "living.amount_fen" not in held:
        body = "<p>该地区当日没有公布的补贴标准。</p>"
    else:
        changes = [item for item in history(policy, area) if item["since"] <= on][:50]
        body = "".join(
            (
                _section("困难残疾人生活补贴", _rows(held, _LIVING)),
                _section("重度残疾人护理补贴", _rows(held, _CARE)),
                _section("申请材料", _list(_MATERIALS)),
                _section("办理流程", _process(held)),
                _section("变更记录", _changes(changes)),
            )
        )
    return _PAGE.format(
        title=escape(title),
        on=on.isoformat(),
        area=escape(area),
        version=policy.version(area),
        body=body,
    )


def in_words(name: str, value: Value) -> str:
    """A parameter's value as a person reads it."""
    return _WORDS.get(name, _plain)(value)


def _plain(value: Value) -> str:
    return "是" if value is True else "否" if value is False else str(value)


def _standard(value: Value) -> str:
    amounts = by_level(value)
    if len(set(amounts.values())) == 1 and len(amounts) == 4:
        return f"每人每月 {yuan_text(next(iter(amounts.values())))} 元"
    return "；".join(f"{level} 级每人每月 {yuan_text(fen)} 元" for level, fen in sorted(amounts.items()))


def _named(names: Mapping[str, str]) -> Callable[[Value], str]:
    return lambda value: "、".join(names.get(word, word) for word in value) or "无"


def _levels(value: Value) -> str:
    return "、".join(f"{level} 级" for level in value) or "无"


def _extended(value: Value) -> str:
    words = (f"{CATEGORY_NAMES[entry['category']]}残疾 {_levels(entry['levels'])}" for entry in value)
    return "；".join(words) or "无"


_WORDS: Mapping[str, Callable[[Value], str]] = {
    "living.amount_fen": _standard,
    "living.categories": _named(INCOME_NAMES),
    "living.excluding_income": _named(INCOME_NAMES),
    "living.excluding_benefits": _named(BENEFIT_NAMES),
    "living.same_class_benefits": _named(BENEFIT_NAMES),
    "care.amount_fen": _standard,
    "care.levels": _levels,
    "care.extended": _extended,
    "care.excluding_income": _named(INCOME_NAMES),
    "care.excluding_benefits": _named(BENEFIT_NAMES),
    "care.same_class_benefits": _named(BENEFIT_NAMES),
    "long_term_care.presumed_levels": _levels,
}

_LIVING = tuple(name for name in NAMES if name.startswith("living."))
_CARE = (*(name for name in NAMES if name.startswith("care.")), "long_term_care.presumed_levels")
_REVIEWS = ("review.township_days", "review.cdpf_days", "review.civil_affairs_days")


def _rows(held: Mapping[str, Parameter], names: Iterable[str]) -> str:
    lines = "".join(
        f"<tr><th scope='row'>{escape(NAMES[name].title)}</th><td>{escape(in_words(name, held[name].value))}</td>"
        f"<td>{held[name].since}</td><td>{_basis(held[name])}</td></tr>"
        for name in names
        if name in held
    )
    head = "<tr><th scope='col'>事项</th><th scope='col'>规定</th><th scope='col'>自</th><th scope='col'>依据</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{lines}</tbody></table>"


def _basis(parameter: Parameter) -> str:
    sample = "（样例数据，以当地公布为准）" if parameter.sample else ""
    return escape(f"{parameter.source} {parameter.clause}{sample}")


def _process(held: Mapping[str, Parameter]) -> str:
    days = [held[name].value if name in held else "—" for name in _REVIEWS]
    steps = (
        f"申请：{_CHANNELS}。可由本人、法定监护人、法定赡养抚养扶养义务人、村（居）民委员会或其他委托人提出。",
        f"乡镇（街道）初审：{days[0]} 个工作日。",
        f"县级残联审核：{days[1]} 个工作日。",
        f"县级民政部门审定：{days[2]} 个工作日。审定合格的自递交申请当月计发。",
        "发放：按月通过惠民惠农财政补贴资金“一卡通”发放到社会保障卡，银行免费发送短信。",
        "坚持自愿申请；情况变化应及时报告，不再符合条件的次月停发。",
    )
    return _list(steps, ordered=True)


def _changes(items: Iterable[Mapping[str, Any]]) -> str:
    lines = "".join(
        f"<tr><td>{item['published_on'] or '未记录'}</td><td>{item['since']}</td><td>{escape(item['title'])}</td>"
        f"<td>{escape(in_words(item['name'], item['value']))}</td>"
        f"<td>{escape('国家' if item['layer'] == 'nation' else item['layer'])}</td>"
        f"<td>{escape(item['source'])}</td></tr>"
        for item in items
    )
    heads = ("公布日期", "自", "事项", "规定", "层级", "依据")
    head = "".join(f"<th scope='col'>{word}</th>" for word in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def _list(lines: Iterable[str], *, ordered: bool = False) -> str:
    tag = "ol" if ordered else "ul"
    return f"<{tag}>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</{tag}>"


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


_PAGE = """<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 16px/1.6 "Noto Sans CJK SC", "Microsoft YaHei", sans-serif; color: #1b1f24; background: #fff;
  max-width: 64rem; margin: 2rem auto; padding: 0 1rem }}
h1 {{ font-size: 1.7rem }} h2 {{ font-size: 1.25rem; margin-top: 2rem }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ border-bottom: 1px solid #c9d1d9; padding: .4rem .6rem; text-align: left; vertical-align: top }}
footer {{ margin-top: 3rem; color: #57606a; font-size: .9rem }}
</style></head>
<body><main><h1>{title}</h1><p>{on} 执行的规定</p>{body}</main>
<footer>地区代码 {area}，政策版本 {version}</footer></body></html>
"""
