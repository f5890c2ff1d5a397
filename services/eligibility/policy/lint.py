"""What is wrong with a proposed policy layer, before it can touch anyone (notice 2.1, 8.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import get_args

import yaml

from services.eligibility.policy.names import NAMES, ParameterName, Value
from services.eligibility.policy.parameters import (
    NATION,
    BadLayer,
    Confidence,
    Parameter,
    PolicyLayer,
    PolicySet,
    by_level,
    read_layer,
)

_CORRECTION = "notice 2.1"


@dataclass(frozen=True, slots=True)
class Problem:
    """`path` and `line` (from 1, 0 if unknown) say where, `clause` which clause it breaks, if any."""

    path: str
    line: int
    message: str
    clause: str


@dataclass(frozen=True, slots=True)
class PolicyConflict:
    """A stored value, known by its layer's area, name and first day, that could not be approved today."""

    area: str
    name: str
    since: date
    source: str
    message: str
    clause: str


def check_layer(text: str, policy: PolicySet, on: date) -> list[Problem]:
    """Every problem of a layer's YAML beside the layers in force, decided on a day; none if it may be approved.

    A layer of `existing` local rules may contradict those above it, or rest on what is repealed: it is stored to be
    corrected (notice 2.1, 8.1).
    """
    try:
        layer = read_layer(text)
    except BadLayer as error:
        line = error.line or (_lines_of(text).get(error.path, 0) if error.path else 0)
        return [Problem(error.path, line, str(error), "")]
    lines = _lines_of(text)
    found: list[Problem] = []
    seen: dict[tuple[str, date], str] = {}
    for path, parameter in _placed(layer):
        problems = [*_of_value(parameter), *_of_dates(parameter, policy, on)]
        if not layer.existing:
            problems += _of_documents(parameter, policy)
        first = seen.setdefault((parameter.name, parameter.since), path)
        if first != path:
            problems.append((f"与 {first} 同名同日 (overlaps: the same name and day)", _CORRECTION))
        found += [Problem(path, lines.get(path, 0), message, clause) for message, clause in problems]
    if found or layer.existing:
        return found
    after = policy.with_layers([layer])
    for path, parameter in _placed(layer):
        found += [Problem(path, lines.get(path, 0), m, c) for m, c in _beside_others(parameter, policy, after)]
    return found


def conflicts(policy: PolicySet, on: date) -> list[PolicyConflict]:
    """What stored layers hold, on that day or later, that could not be approved today."""
    found = []
    for layer in policy.layers:
        for parameter in layer.parameters:
            until = policy.until(parameter)
            if not policy.stands(parameter) or (until is not None and until < on):
                continue
            problems = [
                *_of_value(parameter),
                *_of_documents(parameter, policy),
                *_beside_others(parameter, policy, policy, after=on),
            ]
            found += [
                PolicyConflict(layer.area, parameter.name, parameter.since, parameter.source, message, clause)
                for message, clause in problems
            ]
    return found


def _of_value(parameter: Parameter) -> Iterator[tuple[str, str]]:
    """What is wrong with a value taken by itself."""
    name = NAMES.get(parameter.name)
    if name is None:
        yield f"没有 {parameter.name} 这一参数 (unknown name)", _CORRECTION
        return
    wrong = name.problem(parameter.value)
    if wrong:
        yield f"{parameter.name} {wrong}", ""
    if parameter.given_unit and parameter.given_unit != name.unit:
        yield f"{parameter.name} 的单位是 {name.unit}, 不是 {parameter.given_unit} (another unit)", ""
    if not parameter.source:
        yield "未写明文件依据 (source is missing)", "notice 8.1"
    if parameter.confidence not in get_args(Confidence):
        yield f"confidence 应为 {'、'.join(get_args(Confidence))} 之一 (must be one of them)", ""


def _of_documents(parameter: Parameter, policy: PolicySet) -> Iterator[tuple[str, str]]:
    """Whether the value rests on a document without force."""
    for document in policy.documents:
        if document.repealed_by and document.number in parameter.source:
            yield f"{document.number} 已被 {document.repealed_by} 废止 (is repealed)", "notice 8.1"


def _of_dates(parameter: Parameter, policy: PolicySet, on: date) -> Iterator[tuple[str, str]]:
    """What is wrong with the day on which a value begins."""
    if parameter.since < on and not parameter.reason and not parameter.sample:
        yield f"自 {parameter.since} 起, 早于审定之日, 追溯须写明理由 (a backdated value needs a reason)", "notice 1.1"
    held = policy.own(parameter.name, parameter.layer, parameter.since) if parameter.name in NAMES else None
    if held is not None and held.since == parameter.since and not held.sample and held.value != parameter.value:
        yield f"{held.source} 已定同日起为 {held.value} (overlaps)", _CORRECTION


def _beside_others(
    parameter: Parameter, policy: PolicySet, with_it: PolicySet, after: date = date.min
) -> Iterator[tuple[str, str]]:
    """What contradicts the layers above on any day, not before `after`, on which the value would hold."""
    name = NAMES.get(parameter.name)
    uppers = [area for area in policy.chain(parameter.layer) if len(area) < len(parameter.layer)]
    if name is None or parameter.layer == NATION or not uppers:
        return
    since, until = max(parameter.since, after), with_it.until(parameter) or date.max
    for on in sorted({since, *(day for day in policy.changes(tuple(uppers)) if since < day <= until)}):
        upper = policy.value(parameter.name, uppers[-1], on)
        if upper is None:
            continue
        contradiction = _contradiction(name, upper, parameter.value)
        if contradiction:
            yield f"{on}: {contradiction}", _CORRECTION
            return


def _contradiction(name: ParameterName, upper: Value, lower: Value) -> str | None:
    if name.latitude == "raise":
        own = by_level(lower)
        short = [level for level, fen in by_level(upper).items() if own.get(level, fen) < fen]
        return f"{lower} 低于上级的 {upper} (is below the upper layer's)" if short else None
    if name.latitude == "widen":
        missing = [entry for entry in upper if entry not in lower]
        return f"缺少上级已纳入的 {missing} (leaves out what the upper layer has in scope)" if missing else None
    if name.latitude == "narrow":
        added = [entry for entry in lower if entry not in upper]
        return f"新增了上级没有的排除项 {added} (adds an exclusion)" if added else None
    if name.latitude == "fixed":
        return f"{name.name} 由上级统一规定 (is fixed by the upper layer)" if lower != upper else None
    return None


def _placed(layer: PolicyLayer) -> Iterator[tuple[str, Parameter]]:
    count: dict[str, int] = {}
    for parameter in layer.parameters:
        position = count.get(parameter.name, 0)
        count[parameter.name] = position + 1
        yield f"parameters.{parameter.name}[{position}]", parameter


def _lines_of(text: str) -> dict[str, int]:
    """The line of each value, by its path."""
    found: dict[str, int] = {}
    for key, names in _pairs(yaml.compose(text, Loader=yaml.SafeLoader)):
        found[key] = names.start_mark.line + 1
        if key != "parameters":
            continue
        for name, values in _pairs(names):
            found[f"parameters.{name}"] = values.start_mark.line + 1
            found[f"parameters.{name}[0]"] = values.start_mark.line + 1
            if isinstance(values, yaml.SequenceNode):
                for position, value in enumerate(values.value):
                    found[f"parameters.{name}[{position}]"] = value.start_mark.line + 1
    return found


def _pairs(node: yaml.Node | None) -> list[tuple[str, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        return []
    return [(str(key.value), value) for key, value in node.value]
