"""The policy of an area as a page for anybody: what is paid, to whom, and how to apply (notice 1.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from html import escape
from typing import Any

from libs.common.areas import full_name_of
from libs.common.money import yuan_text
from services.eligibility.policy.names import NAMES
from services.eligibility.policy.parameters import Parameter, PolicySet, by_level
from services.eligibility.publication import history, in_words, lines_of

_LIVING = tuple(name for name in NAMES if name.startswith("living."))
_CARE = (*(name for name in NAMES if name.startswith("care.")), "long_term_care.presumed_levels")
_GUIDE = tuple(name for name in NAMES if name.startswith("guide."))
_PUBLISHED = (
    "living.",
    "care.",
    "long_term_care.",
    "guide.",
    "review.",
    "spell.",
    "application.",
    "move.",
    "certificate.",
)
"""What a person may ask about; the offices' own deadlines are in the API."""
_MOST_CHANGES = 50


def page(policy: PolicySet, area: str, on: date) -> str:
    """The public page of an area on a day, as HTML that stands by itself."""
    held = {parameter.name: parameter for parameter in policy.in_force(area, on)}
    changes = [i for i in history(policy, area) if i["since"] <= on and i["name"].startswith(_PUBLISHED)]
    if not {"living.amount_fen", "care.amount_fen"} <= set(held):
        body = "<p>该地区当日没有公布的补贴标准。</p>"
    else:
        published = {(item["name"], item["layer"], item["since"]): item["published_on"] for item in reversed(changes)}
        body = "".join(
            (
                _in_short(held),
                *(_section(NAMES[name].title, _guide(name, held, published)) for name in _GUIDE if name in held),
                _section("困难残疾人生活补贴的规定", _rows(held, _LIVING, published)),
                _section("重度残疾人护理补贴的规定", _rows(held, _CARE, published)),
                _section("变更记录", _changes(changes[:_MOST_CHANGES], on)),
            )
        )
    place = full_name_of(area, on)
    return _PAGE.format(
        title=escape(f"{place}残疾人两项补贴政策和办事指南"),
        on=on.isoformat(),
        area=escape(area),
        version=policy.version(area),
        body=body,
    )


_Published = Mapping[tuple[str, str, date], date | None]


def _in_short(held: Mapping[str, Parameter]) -> str:
    """The two subsidies at a glance."""
    living, care = by_level(held["living.amount_fen"].value), by_level(held["care.amount_fen"].value)
    who = in_words("living.categories", held["living.categories"].value)
    levels = "、".join(f"{level} 级 {yuan_text(fen)} 元" for level, fen in sorted(care.items()))
    sums = sorted(set(living.values()))
    living_text = " 至 ".join(f"{yuan_text(fen)} 元" for fen in (sums if len(sums) == 1 else (sums[0], sums[-1])))
    cards = (
        ("困难残疾人生活补贴", f"每月 {living_text}", f"发给{who}中的持证残疾人"),
        ("重度残疾人护理补贴", f"每月 {levels}", "发给需要长期照护的重度残疾人"),
    )
    shown = "".join(
        f"<div class='card'><h2>{escape(name)}</h2><p class='sum'>{escape(fen)}</p><p>{escape(to)}</p></div>"
        for name, fen, to in cards
    )
    return f"<div class='cards'>{shown}</div><p>两项补贴可以同时申请。自愿申请，自递交申请当月计发。</p>"


def _guide(name: str, held: Mapping[str, Parameter], published: _Published) -> str:
    parameter = held[name]
    lines = lines_of(name, parameter.value)
    if name == "guide.process":
        lines = [_with_deadline(line, step, held) for line, step in zip(lines, parameter.value, strict=True)]
    tag = "ol" if name == "guide.process" else "ul"
    listed = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return (
        f"<{tag}>{listed}</{tag}><p class='basis'>{escape(f'{_since(parameter, published)}；{_basis(parameter)}')}</p>"
    )


def _with_deadline(line: str, step: Mapping[str, str], held: Mapping[str, Parameter]) -> str:
    deadline = held.get(step.get("deadline", ""))
    return line if deadline is None else f"{line}（{in_words(deadline.name, deadline.value)}内）"


def _rows(held: Mapping[str, Parameter], names: Iterable[str], published: _Published) -> str:
    lines = (
        (NAMES[name].title, in_words(name, held[name].value), _since(held[name], published), _basis(held[name]))
        for name in names
        if name in held
    )
    return _table(("事项", "规定", "执行日期", "依据"), lines)


def _since(parameter: Parameter, published: _Published) -> str:
    day = published.get((parameter.name, parameter.layer or "nation", parameter.since))
    return f"自 {parameter.since} 执行，{f'{day} 公布' if day else '公布日期未记录'}"


def _basis(parameter: Parameter) -> str:
    sample = "（样例数据，以当地公布为准）" if parameter.sample else ""
    return f"{parameter.source} {parameter.clause}{sample}"


def _changes(items: Iterable[Mapping[str, Any]], on: date) -> str:
    lines = (
        (
            str(item["published_on"] or "未记录"),
            str(item["since"]),
            item["title"],
            in_words(item["name"], item["value"]) + ("（已被替代）" if item["replaced"] else ""),
            "国家" if item["layer"] == "nation" else full_name_of(item["layer"], on),
            item["source"],
        )
        for item in items
    )
    return _table(("公布日期", "执行日期", "事项", "规定", "制定层级", "依据"), lines)


def _table(heads: Iterable[str], lines: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f"<th scope='col'>{word}</th>" for word in heads)
    body = "".join(
        f"<tr><th scope='row'>{escape(first)}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in rest)}</tr>"
        for first, *rest in lines
    )
    return f"<div class='wide' tabindex='0'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


_PAGE = """<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 16px/1.7 "Noto Sans CJK SC", "Microsoft YaHei", sans-serif; color: #1c2a31;
  background: #f4f6f7; margin: 0 }}
main, footer {{ max-width: 60rem; margin: 0 auto; padding: 1rem 1.25rem }}
h1 {{ font-size: 1.6rem; line-height: 1.3; margin: 1rem 0 .25rem }} h2 {{ font-size: 1.15rem; margin: 0 0 .5rem }}
section, .card {{ background: #fff; border: 1px solid #dde3e6; border-radius: 6px; padding: 1rem 1.25rem;
  margin: 1rem 0 }}
.cards {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 1rem }}
.card {{ margin: 1rem 0 0 }} .card p {{ margin: 0 }}
.sum {{ font-size: 1.3rem; font-weight: 600; color: #14506b }}
ul, ol {{ margin: 0; padding-left: 1.4rem }}
.basis, footer {{ color: #52626b; font-size: .9rem }} .basis {{ margin: .5rem 0 0 }}
.wide {{ overflow-x: auto }} table {{ border-collapse: collapse; width: 100%; min-width: 46rem; font-size: .95rem }}
th, td {{ border-bottom: 1px solid #dde3e6; padding: .45rem .6rem; text-align: left; vertical-align: top }}
thead th {{ color: #52626b; white-space: nowrap }} tbody th {{ font-weight: 500; min-width: 6rem }}
td {{ min-width: 6rem }}
</style></head>
<body><main><h1>{title}</h1><p>{on} 执行的规定</p>{body}</main>
<footer>地区代码 {area}，政策版本 {version}。任何人可查，不需登录。</footer></body></html>
"""
