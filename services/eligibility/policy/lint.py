"""What is wrong with a proposed policy layer, before it can touch anyone (notice 2.1, 8.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
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

_FOREVER = date.max


@dataclass(frozen=True, slots=True)
class Problem:
    """`path` and `line` (from 1, 0 if unknown) say where, `clause` which clause it breaks."""

    path: str
    line: int
    message: str
    clause: str


def check_layer(text: str, policy: PolicySet) -> list[Problem]:
    """Every problem of a layer's YAML beside the layers in force; none if it may be approved."""
    try:
        layer = read_layer(text)
    except BadLayer as error:
        return [Problem("", 0, str(error), "")]
    lines = _lines_of(text)
    found: list[Problem] = []
    seen: dict[tuple[str, date], str] = {}
    for path, parameter in _placed(layer):
        problems = [*_of_value(parameter, policy)]
        first = seen.setdefault((parameter.name, parameter.since), path)
        if first != path:
            problems.append((f"overlaps: the same name and day as {first}", ""))
        held = policy.own(parameter.name, layer.area, parameter.since) if parameter.name in NAMES else None
        if held is not None and held.since == parameter.since and not held.sample and held.value != parameter.value:
            problems.append((f"overlaps: {held.source} gives {held.value} from that day on", ""))
        found += [Problem(path, lines.get(path, 0), message, clause) for message, clause in problems]
    if found:
        return found
    after = policy.with_layers([layer])
    for path, parameter in _placed(layer):
        found += [Problem(path, lines.get(path, 0), m, c) for m, c in _beside_others(parameter, layer, policy, after)]
    return found


def conflicts(policy: PolicySet) -> list[tuple[str, Problem]]:
    """What stored layers contain that could not be approved today, each with its layer's area."""
    found = []
    for layer in policy.layers:
        for path, parameter in _placed(layer):
            problems = [*_of_value(parameter, policy), *_beside_others(parameter, layer, policy, policy)]
            found += [(layer.area, Problem(path, 0, message, clause)) for message, clause in problems]
    return found


def _of_value(parameter: Parameter, policy: PolicySet) -> Iterator[tuple[str, str]]:
    """What is wrong with a value taken by itself."""
    name = NAMES.get(parameter.name)
    if name is None:
        yield f"unknown name {parameter.name}", "notice 2.1"
        return
    wrong = name.problem(parameter.value)
    if wrong:
        yield wrong, ""
    if not parameter.source:
        yield "source is missing", "notice 8.1"
    if parameter.confidence not in get_args(Confidence):
        yield f"confidence must be one of {', '.join(get_args(Confidence))}", ""
    for document in policy.documents:
        if document.repealed_by and document.number in parameter.source:
            yield f"{document.number} is repealed by {document.repealed_by}", "notice 8.1"


def _beside_others(
    parameter: Parameter, layer: PolicyLayer, policy: PolicySet, after: PolicySet
) -> Iterator[tuple[str, str]]:
    """What contradicts the layers above on any day on which the value would hold."""
    name = NAMES[parameter.name]
    uppers = [area for area in policy.chain(layer.area) if len(area) < len(layer.area)]
    if layer.area == NATION or not uppers:
        return
    until = _until(parameter, after)
    days = {parameter.since, *(d for d in policy.changes(tuple(uppers)) if parameter.since < d < until)}
    for on in sorted(days):
        upper = policy.value(parameter.name, uppers[-1], on)
        if upper is None:
            continue
        contradiction = _contradiction(name, upper, parameter.value)
        if contradiction:
            yield f"{contradiction}, on {on}", "notice 2.1"
            return


def _contradiction(name: ParameterName, upper: Value, lower: Value) -> str | None:
    if name.latitude == "raise":
        own = by_level(lower)
        short = [level for level, fen in by_level(upper).items() if own.get(level, fen) < fen]
        return f"{lower} is below the upper layer's {upper}" if short else None
    if name.latitude == "widen":
        missing = [entry for entry in upper if entry not in lower]
        return f"leaves out {missing}, which the upper layer has in scope" if missing else None
    if name.latitude == "narrow":
        added = [entry for entry in lower if entry not in upper]
        return f"adds the exclusion {added}, which the upper layer does not have" if added else None
    if name.latitude == "fixed":
        return f"{name.name} is fixed by the upper layer" if lower != upper else None
    return None


def _until(parameter: Parameter, policy: PolicySet) -> date:
    """The first day on which a later value of the same layer replaces this one."""
    later = [
        p.since
        for layer in policy.layers
        if layer.area == parameter.layer
        for p in layer.parameters
        if p.name == parameter.name and p.since > parameter.since
    ]
    return min(later, default=_FOREVER - timedelta(days=1))


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
        if key != "parameters":
            continue
        for name, values in _pairs(names):
            if isinstance(values, yaml.SequenceNode):
                for position, value in enumerate(values.value):
                    found[f"parameters.{name}[{position}]"] = value.start_mark.line + 1
    return found


def _pairs(node: yaml.Node | None) -> list[tuple[str, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        return []
    return [(str(key.value), value) for key, value in node.value]
