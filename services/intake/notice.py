"""The policy of an area in plain words, and what an applicant commits to (政策告知承诺书, notice 1.2). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from libs.common.money import yuan_text
from libs.common.vocabulary import BENEFIT_NAMES, CATEGORY_NAMES, INCOME_NAMES


@dataclass(frozen=True, slots=True)
class Line:
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Notice:
    """What holds in an area; `version` is the policy's, which a signed commitment names."""

    area: str
    version: str
    lines: tuple[Line, ...]
    commitments: tuple[str, ...]


def says(name: str) -> bool:
    """Whether the notice has words for this parameter."""
    return name in _WORDS


def notice(area: str, version: str, parameters: Sequence[Mapping[str, Any]]) -> Notice | None:
    """The notice of `area` by its parameters in force (`name`, `value`); None while no amounts hold."""
    held = {parameter["name"]: parameter["value"] for parameter in parameters if parameter["name"] in _WORDS}
    if not {"living.amount_fen", "care.amount_fen"} & set(held):
        return None
    lines = [Line(title, words(held[name])) for name, (title, words) in _WORDS.items() if name in held]
    return Notice(area, version, (*lines, *_EVERYWHERE), _COMMITMENTS)


def _standard(value: Any) -> str:
    if not isinstance(value, Mapping):
        return f"每人每月{yuan_text(value)}元"
    return "；".join(f"{level}级每人每月{yuan_text(fen)}元" for level, fen in sorted(value.items()))


def _named(names: Mapping[str, str]) -> Callable[[Iterable[str]], str]:
    return lambda words: "、".join(names.get(word, word) for word in words) or "无"


def _levels(levels: Iterable[Any]) -> str:
    return "、".join(f"{level}级" for level in levels) or "无"


def _extended(entries: Iterable[Mapping[str, Any]]) -> str:
    return "；".join(f"{CATEGORY_NAMES[entry['category']]}残疾{_levels(entry['levels'])}" for entry in entries) or "无"


_WORDS: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "living.categories": ("困难残疾人生活补贴：发给哪些家庭的残疾人", _named(INCOME_NAMES)),
    "living.amount_fen": ("困难残疾人生活补贴：标准", _standard),
    "living.excluding_income": ("困难残疾人生活补贴：已享受这些保障的不再享受", _named(INCOME_NAMES)),
    "living.excluding_benefits": ("困难残疾人生活补贴：已领取这些待遇的不再享受", _named(BENEFIT_NAMES)),
    "living.same_class_benefits": ("困难残疾人生活补贴：与这些补贴只能择高领取一类", _named(BENEFIT_NAMES)),
    "care.levels": ("重度残疾人护理补贴：残疾等级", _levels),
    "care.extended": ("重度残疾人护理补贴：扩大的范围", _extended),
    "care.amount_fen": ("重度残疾人护理补贴：标准", _standard),
    "care.excluding_income": ("重度残疾人护理补贴：已享受这些保障的不再享受", _named(INCOME_NAMES)),
    "care.excluding_benefits": ("重度残疾人护理补贴：已领取这些待遇的不再享受", _named(BENEFIT_NAMES)),
    "care.same_class_benefits": ("重度残疾人护理补贴：与这些补贴只能择高领取一类", _named(BENEFIT_NAMES)),
}

_EVERYWHERE = (
    Line("自愿申请", "补贴由本人或其监护人、家属、村（社区）等代为申请，不强制，放弃后也可以再次申请。"),
    Line("从何时起发", "符合条件的，自递交申请的当月起计发，不因审核时间推迟。"),
    Line("不受影响的待遇", "养老服务补贴、高龄津贴可以同时领取；两项补贴不计入低保家庭收入。"),
    Line(
        "何时停发",
        "退出低保等保障范围，残疾人证迁出、过期、冻结、注销，户籍迁移，在监服刑，被宣告失踪、死亡或者去世的，自次月起停发。",
    ),
    Line("如何发放", "每月打入本人社会保障卡；不能辨别自身行为且无法办理本人卡的，打入法定监护人的社会保障卡。"),
    Line("有异议怎么办", "可向受理的乡镇（街道）提出复核申请，由另外的工作人员办理并书面答复。"),
)

_COMMITMENTS = (
    "所填信息和所交材料真实、完整，没有虚报、隐瞒或者伪造。",
    "同意民政、残联等部门为审核和每月比对查询与补贴有关的信息。",
    "家庭经济状况、残疾人证、户籍、监护人或者其他待遇发生变化的，及时告知户籍地乡镇（街道）。",
    "多领的补贴按规定退回。",
)
