"""Policy made public (notice 1.1): what holds where and since when, and what changed, in words for anybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from libs.common.money import yuan_text
from libs.common.vocabulary import BENEFIT_NAMES, CATEGORY_NAMES, INCOME_NAMES
from services.eligibility.policy.names import NAMES, Value
from services.eligibility.policy.parameters import PolicySet, by_level


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
            "words": in_words(parameter.name, parameter.value),
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


def in_words(name: str, value: Value) -> str:
    """A parameter's value as a person reads it."""
    return "；".join(lines_of(name, value))


def lines_of(name: str, value: Value) -> list[str]:
    """The same, a line for each entry of a list that is read line by line."""
    if name in _LISTS:
        return [_LISTS[name](entry) for entry in value]
    return [_WORDS[name](value) if name in _WORDS else _counted(NAMES[name].unit, value)]


def _counted(unit: str, value: Value) -> str:
    if isinstance(value, bool):
        return "是" if value else "否"
    return f"{value} {_UNITS[unit]}" if unit in _UNITS else _CHOICES.get(value, str(value))


def _step(step: Mapping[str, str]) -> str:
    return f"{step['who']}：{step['step']}" if "who" in step else step["step"]


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
    "forecast.ages": lambda value: "、".join(f"{age} 岁" for age in value) or "无",
}

_LISTS: Mapping[str, Callable[[Any], str]] = {
    "guide.applicants": str,
    "guide.channels": str,
    "guide.materials": str,
    "guide.process": _step,
    "guide.contact": str,
}
_UNITS = {"working days": "个工作日", "days": "天", "months": "个月", "years": "年"}
_CHOICES: Mapping[Any, str] = {
    "acceptance": "迁入地接收后延续",
    "automatic": "自动延续",
    "last_day": "当月最后一日",
    "decided_on_facts": "按事实审定，应发月份发给继承人",
}
