"""Policy numbers as dated, area-scoped data with a source each (notice 2.1, 8.1).

A layer belongs to the nation or to an area and gives values to names, each from a day on. `PolicySet` is an immutable
value: the shipped YAML plus whatever layers were approved since. Layers combine by the name's latitude: an amount is
the highest of the chain, a scope the union, a list of exclusions the intersection, a free choice the lowest layer's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml

from services.eligibility.policy.names import NAMES, Latitude, Value

NATION = ""
_FOLDER = Path(__file__).parent / "parameters"

JUDGEMENT = 1
"""Raised by whoever changes how anybody is judged, in the rules or anywhere on the way to a schedule: everybody is then
judged anew as the release starts."""

Confidence = Literal["V", "K", "U"]


class BadLayer(ValueError):
    """A layer's YAML does not have the shape of a layer. `path` and `line` (from 1, 0 if unknown) say where."""

    def __init__(self, message: str, path: str = "", line: int = 0) -> None:
        super().__init__(message)
        self.path = path
        self.line = line


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value of one name, in force at its layer from `since` until a later one of the same name and layer.

    `layer` is the area that decided it, empty for the nation. `confidence`: V text found, K general knowledge,
    U uncertain. `sample` marks values that stand in until the area enters its own. `reason` says why a value begins
    before it was decided.
    """

    name: str
    value: Value
    layer: str
    since: date
    source: str
    clause: str
    confidence: Confidence
    sample: bool = False
    reason: str = ""
    given_unit: str = ""
    as_it_stands: bool = False
    """Tried by a simulation: it counts whatever the layers above say."""

    @property
    def unit(self) -> str:
        return NAMES[self.name].unit


@dataclass(frozen=True, slots=True)
class PolicyLayer:
    """What one document gives to one area. Where it names a name and a day that an older layer of the same area also
    names, it replaces that value. `existing`: local rules found in force, taken in to be corrected. `published_on` is
    unknown (None) for layers that came with the program without it."""

    area: str
    title: str
    parameters: tuple[Parameter, ...]
    existing: bool = False
    published_on: date | None = None
    policy_id: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A document that parameters rest on. `repealed_by` is empty while it is in force (notice 8.1)."""

    number: str
    title: str
    rank: str
    repealed_by: str = ""


@dataclass(frozen=True, eq=False)
class PolicySet:
    """Every layer in force or to come. Pure: same layers, same answers, same versions. Hashed by identity."""

    layers: tuple[PolicyLayer, ...]
    documents: tuple[Document, ...] = field(default=())
    judgement: int = JUDGEMENT

    def with_layers(self, approved: Iterable[PolicyLayer]) -> PolicySet:
        """This set and the approved layers, in the order of their approval."""
        return replace(self, layers=(*self.layers, *approved))

    @cached_property
    def areas(self) -> frozenset[str]:
        """The areas that have a layer of their own."""
        return frozenset(layer.area for layer in self.layers)

    def chain(self, area: str) -> tuple[str, ...]:
        """The layers that speak to `area`, from the nation down."""
        return self._chain_of(area)

    def changes(self, chain: tuple[str, ...]) -> tuple[date, ...]:
        """The days on which something in the chain begins to hold, ascending."""
        return tuple(sorted({parameter.since for area in chain for parameter in self._of_layer.get(area, ())}))

    def in_force(self, area: str, on: date) -> tuple[Parameter, ...]:
        """Every parameter that decides in `area` on that day, by name. Where layers combine, the value is the combined
        one and the rest is that of the lowest layer that matters."""
        chain = self.chain(area)
        found = (self._combined(name, chain, on) for name in NAMES)
        return tuple(parameter for parameter in found if parameter is not None)

    def value(self, name: str, area: str, on: date) -> Value | None:
        """The value of one name, None where no layer gives one."""
        parameter = self._combined(name, self.chain(area), on)
        return None if parameter is None else parameter.value

    def values(self, chain: tuple[str, ...], on: date) -> dict[str, Value]:
        """Every value in force for a chain of layers."""
        found = {name: self._combined(name, chain, on) for name in NAMES}
        return {name: parameter.value for name, parameter in found.items() if parameter is not None}

    def own(self, name: str, area: str, on: date) -> Parameter | None:
        """The value that the layer of `area` itself gives, not those above it."""
        held = [p for p in self._of_layer.get(area, ()) if p.name == name and p.since <= on]
        return max(held, key=lambda p: p.since, default=None)

    def until(self, parameter: Parameter) -> date | None:
        """The last day of a value: the day before a later one of its layer begins, None while there is none."""
        later = [p.since for p in self._of_layer.get(parameter.layer, ()) if p.name == parameter.name]
        following = min((since for since in later if since > parameter.since), default=None)
        return None if following is None else following - timedelta(days=1)

    def stands(self, parameter: Parameter) -> bool:
        """Whether no later layer of the same area replaced the value."""
        return any(held is parameter for held in self._of_layer.get(parameter.layer, ()))

    def version(self, area: str = NATION) -> str:
        """A digest of the judgement and of every value, past and to come, that can decide in `area`: same content, same
        version."""
        return self._versions(self.chain(area))

    @cached_property
    def digest(self) -> str:
        """Of the versions of all areas."""
        versions = [self.version(area) for area in sorted(self.areas)]
        return hashlib.sha256(json.dumps(versions).encode()).hexdigest()

    def _versions(self, chain: tuple[str, ...]) -> str:
        if chain not in self._version_of_chain:
            content = [
                [p.name, p.layer, p.since.isoformat(), p.value, p.source]
                for area in chain
                for p in sorted(self._of_layer[area], key=lambda p: (p.name, p.since))
            ]
            text = json.dumps([self.judgement, content], ensure_ascii=False, sort_keys=True)
            self._version_of_chain[chain] = hashlib.sha256(text.encode()).hexdigest()[:12]
        return self._version_of_chain[chain]

    @cached_property
    def _chain_of(self) -> Callable[[str], tuple[str, ...]]:
        areas = self.areas

        @lru_cache(maxsize=4096)
        def chain(area: str) -> tuple[str, ...]:
            return tuple(area[:length] for length in range(len(area) + 1) if area[:length] in areas)

        return chain

    @cached_property
    def _version_of_chain(self) -> dict[tuple[str, ...], str]:
        return {}

    @cached_property
    def _of_layer(self) -> dict[str, tuple[Parameter, ...]]:
        held: dict[str, dict[tuple[str, date], Parameter]] = {}
        for layer in self.layers:
            values = held.setdefault(layer.area, {})
            values.update({(p.name, p.since): p for p in layer.parameters})
        return {area: tuple(values.values()) for area, values in held.items()}

    def _combined(self, name: str, chain: tuple[str, ...], on: date) -> Parameter | None:
        held = [p for area in chain if (p := self.own(name, area, on)) is not None]
        if not held:
            return None
        decides = held[0]
        for lower in held[1:]:
            if lower.as_it_stands:
                decides = lower
                continue
            value = _COMBINE[NAMES[name].latitude](decides.value, lower.value)
            if value != decides.value:
                decides = replace(lower, value=value)
        return decides


def by_level(amount: Value) -> dict[int, int]:
    """An amount as fen by level: a single amount holds for all four."""
    if isinstance(amount, dict):
        return {level: int(amount_fen) for level, amount_fen in amount.items()}
    fen = int(amount)
    return {1: fen, 2: fen, 3: fen, 4: fen}


def _highest(upper: Value, lower: Value) -> Value:
    if isinstance(upper, int) and isinstance(lower, int):
        return max(upper, lower)
    first, second = by_level(upper), by_level(lower)
    return {level: max(first.get(level, 0), second.get(level, 0)) for level in sorted({*first, *second})}


_COMBINE: dict[Latitude, Callable[[Value, Value], Value]] = {
    "raise": _highest,
    "widen": lambda upper, lower: [*upper, *(entry for entry in lower if entry not in upper)],
    "narrow": lambda upper, lower: [entry for entry in upper if entry in lower],
    "set": lambda upper, lower: lower,
    "fixed": lambda upper, lower: upper,
}


_HEAD = frozenset({"layer", "area", "title", "published", "existing", "parameters"})
_DEPTH_LIMIT = 20
"""A layer nests half as deeply."""
_OPENING = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_CLOSING = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
_ENTRY = frozenset({"since", "from", "value", "unit", "source", "clause", "confidence", "sample", "reason"})


def read_layer(text: str) -> PolicyLayer:
    """A layer from its YAML. BadLayer where it has not the shape of one; what it says is for `lint.py` to judge."""
    try:
        _refuse_aliases_and_depth(text)
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise BadLayer(
            f"不是 YAML (not YAML): {str(error).splitlines()[0]}", line=mark.line + 1 if mark else 0
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("parameters"), dict):
        raise BadLayer("应含 layer 和 parameters 两项 (a layer is a mapping with both)")
    if unknown := sorted(str(key) for key in content if key not in _HEAD):
        raise BadLayer(f"没有 {unknown[0]} 这一项, 可填 {'、'.join(sorted(_HEAD))} (unknown name)", unknown[0])
    named = content.get("layer", content.get("area", "?"))
    area = NATION if named == "nation" else str(named)
    if area != NATION and not (area.isdigit() and len(area) in (2, 4, 6, 9)):
        raise BadLayer(f"layer 应为 nation 或区划代码, 不是 {area!r} (must be nation or the code of an area)", "layer")
    return PolicyLayer(
        area=area,
        title=str(content.get("title") or ""),
        parameters=tuple(_parameters(area, content["parameters"])),
        existing=bool(content.get("existing", False)),
        published_on=_day(content.get("published")),
    )


def _refuse_aliases_and_depth(text: str) -> None:
    """Before anything is built of it: a few bytes of aliases stand for gigabytes, and what is nested deeply is read in
    a time that grows with the square of its depth."""
    depth = 0
    for token in yaml.scan(text):
        if isinstance(token, yaml.AliasToken):
            raise BadLayer("不接受别名 (*name), 请逐项写出 (aliases are not taken)")
        depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        if depth > _DEPTH_LIMIT:
            raise BadLayer("嵌套过深 (nested too deeply to be a layer)")


def _parameters(area: str, content: dict[str, Any]) -> Iterator[Parameter]:
    for name, given in content.items():
        values = [given] if isinstance(given, dict) else given
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            raise BadLayer(f"parameters.{name} 应为取值的列表 (must be a list of values)", f"parameters.{name}")
        for position, entry in enumerate(values):
            path = f"parameters.{name}[{position}]"
            since = _day(entry.get("since", entry.get("from")))
            if since is None or "value" not in entry:
                raise BadLayer(f"{path} 应有 since（日期）和 value (needs both)", path)
            if unknown := sorted(str(key) for key in entry if key not in _ENTRY):
                raise BadLayer(
                    f"{path} 没有 {unknown[0]} 这一项, 可填 {'、'.join(sorted(_ENTRY))} (unknown name)", path
                )
            yield Parameter(
                name=str(name),
                value=whole_keys(entry["value"]),
                layer=area,
                since=since,
                source=str(entry.get("source") or ""),
                clause=str(entry.get("clause") or ""),
                confidence=entry.get("confidence", "U"),
                sample=bool(entry.get("sample", False)),
                reason=str(entry.get("reason") or "").strip(),
                given_unit=str(entry.get("unit") or ""),
            )


def _day(value: Any) -> date | None:
    """YAML has dates; JSON, which is YAML too, has them as text."""
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return None
    return value if isinstance(value, date) and not isinstance(value, datetime) else None


def whole_keys(value: Value) -> Value:
    """Levels are numbers, also where JSON could only write them as text."""
    if not isinstance(value, dict):
        return value
    return {int(key) if isinstance(key, str) and key.isdigit() else key: entry for key, entry in value.items()}


@lru_cache(maxsize=1)
def shipped() -> PolicySet:
    """The layers that come with the program."""
    files = sorted(path for path in _FOLDER.rglob("*.yaml") if path.name != "documents.yaml")
    listed = yaml.safe_load((_FOLDER / "documents.yaml").read_text(encoding="utf-8"))["documents"]
    return PolicySet(
        layers=tuple(read_layer(path.read_text(encoding="utf-8")) for path in files),
        documents=tuple(Document(**entry) for entry in listed),
    )
