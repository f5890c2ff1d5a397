"""Facts and schedules as Arrow record batches: one row per person, with a list for each kind of fact; and one row per
entitlement. Words of facts are positions in their vocabulary, open ends are null.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from libs.common.vocabulary import CATEGORIES, SUBSIDIES, Subsidy
from services.eligibility.columns import (
    LAST_DAY,
    LAST_MONTH,
    NEVER,
    Applications,
    Certificates,
    FactColumns,
    Marks,
    Spans,
    first_days_of,
    keys,
    months_of,
)
from services.eligibility.determination import Determination
from services.eligibility.policy.eras import Ints
from services.eligibility.policy.parameters import PolicySet
from services.eligibility.schedules import CAUSES

_COUNTY_DIGITS = 6
_WORD, _DAY = pa.int8(), pa.date32()
_INTERVAL = [("from", _DAY), ("to", _DAY)]


def _listed(*fields: tuple[str, pa.DataType]) -> pa.DataType:
    return pa.list_(pa.struct(list(fields)))


FACTS = pa.schema(
    [
        ("person_id", pa.string()),
        (
            "applications",
            _listed(("subsidy", _WORD), ("applied_on", _DAY), ("decided_on", _DAY), ("withdrawn_on", _DAY)),
        ),
        (
            "certificates",
            _listed(("status", _WORD), ("category", _WORD), ("level", _WORD), ("disability", pa.int32()), *_INTERVAL),
        ),
        ("low_income", _listed(("category", _WORD), *_INTERVAL)),
        ("residences", _listed(("area", pa.string()), *_INTERVAL)),
        ("transfers", _listed(("area", pa.string()), ("accepted_on", _DAY))),
        ("benefits", _listed(("kind", _WORD), *_INTERVAL)),
        ("custody", _listed(("kind", _WORD), *_INTERVAL)),
        ("life", _listed(("event", _WORD), ("on", _DAY))),
        ("care_needs", _listed(("needed", _WORD), *_INTERVAL)),
    ]
)
"""`disability` has one bit for each category and level on the certificate, components included."""

SCHEDULES = pa.schema(
    [
        ("person_id", pa.string()),
        ("subsidy", pa.string()),
        ("from_month", pa.int32()),
        ("to_month", pa.int32()),
        ("amount_fen", pa.int64()),
        ("area", pa.string()),
        ("level", pa.int8()),
        ("category", pa.string()),
        ("policy_version", pa.string()),
        ("cause", pa.string()),
        ("stopped_because", pa.string()),
    ]
)
"""Months are written YYYYMM, both included; `to_month` null is for ever. Only a person's last has `stopped_because`."""


def read_facts(batch: pa.RecordBatch) -> FactColumns:
    """The facts of a batch as columns, whatever order its lists are in."""
    applications = _List(batch, "applications")
    applied_on = applications.days("applied_on", NEVER)
    month_end = first_days_of(months_of(applied_on) + 1) - 1
    decided_on = applications.days("decided_on", NEVER)
    certificates = _List(batch, "certificates")
    in_order = certificates.order("from")
    residences, transfers, life = (_List(batch, name) for name in ("residences", "transfers", "life"))
    area = pa.concat_arrays([residences.field["area"], transfers.field["area"]]).dictionary_encode()
    codes, lived_in = area.indices.to_numpy().astype(np.int64), len(residences.person)
    return FactColumns(
        persons=batch.num_rows,
        areas=area.dictionary.to_pylist(),
        applications=Applications(
            applications.person,
            applications.words("subsidy"),
            applied_on,
            np.where(decided_on == NEVER, month_end, decided_on),
            applications.days("withdrawn_on", NEVER),
        ).where(applications.order("applied_on")),
        certificates=Certificates(
            certificates.spans(certificates.words("status")),
            *(certificates.words(name)[in_order] for name in ("category", "level", "disability")),
        ),
        low_income=_spans(batch, "low_income", "category"),
        residences=residences.spans(codes[:lived_in]),
        transfers=Marks(transfers.person, transfers.days("accepted_on"), codes[lived_in:]),
        benefits=_spans(batch, "benefits", "kind"),
        custody=_spans(batch, "custody", "kind"),
        life=Marks(life.person, life.days("on"), life.words("event")),
        care_needs=_spans(batch, "care_needs", "needed"),
    )


def write_facts(person_ids: Sequence[str] | pa.Array, facts: FactColumns) -> pa.RecordBatch:
    """The batch that `read_facts` reads."""
    areas = pa.array(facts.areas, pa.string())

    def listed(name: str, person: Ints, *columns: Any) -> pa.Array:
        struct = FACTS.field(name).type.value_type
        offsets = np.searchsorted(person, np.arange(facts.persons + 1)).astype(np.int32)
        children = [_as(column, field.type) for column, field in zip(columns, struct, strict=True)]
        return pa.ListArray.from_arrays(pa.array(offsets), pa.StructArray.from_arrays(children, fields=list(struct)))

    def intervals(name: str, spans: Spans, *values: Any) -> pa.Array:
        return listed(name, spans.person, *(values or (spans.value,)), spans.begin, spans.end)

    held, applied = facts.certificates, facts.applications
    columns = {
        "person_id": pa.array(person_ids, pa.string()),
        "applications": listed(
            "applications", applied.person, applied.subsidy, applied.applied_on, applied.decided_on,
            applied.withdrawn_on,
        ),
        "certificates": intervals(
            "certificates", held.spans, held.spans.value, held.category, held.level, held.disability
        ),
        "low_income": intervals("low_income", facts.low_income),
        "residences": intervals("residences", facts.residences, areas.take(pa.array(facts.residences.value))),
        "transfers": listed(
            "transfers", facts.transfers.person, areas.take(pa.array(facts.transfers.value)), facts.transfers.on
        ),
        "benefits": intervals("benefits", facts.benefits),
        "custody": intervals("custody", facts.custody),
        "life": listed("life", facts.life.person, facts.life.value, facts.life.on),
        "care_needs": intervals("care_needs", facts.care_needs),
    }  # fmt: skip
    return pa.RecordBatch.from_arrays([columns[name] for name in FACTS.names], schema=FACTS)


def judge_batch(batch: pa.RecordBatch, policy: PolicySet) -> list[pa.RecordBatch]:
    """The schedules of every person of a batch, subsidy by subsidy."""
    judged = Determination(read_facts(batch), policy)
    return [_schedules(batch.column("person_id"), judged, subsidy, policy) for subsidy in SUBSIDIES]


def _schedules(person_ids: pa.Array, judged: Determination, subsidy: Subsidy, policy: PolicySet) -> pa.RecordBatch:
    schedules, runs = judged.judged[subsidy].schedules, judged.judged[subsidy].months.runs
    first, to = schedules.first, runs.last[schedules.last]
    area = runs.area[first]
    areas = judged.days.areas
    reasons = sorted(schedules.reasons)
    stopped = np.searchsorted(reasons, schedules.stopped)
    return pa.RecordBatch.from_arrays(
        [
            person_ids.take(pa.array(schedules.person)),
            _words(np.zeros_like(first), [subsidy]),
            pa.array(_written(runs.first[first]), pa.int32()),
            pa.array(_written(to), pa.int32(), mask=to >= LAST_MONTH),
            pa.array(runs.amount_fen[first]),
            _words(area, [code[:_COUNTY_DIGITS] for code in areas]),
            pa.array(runs.level[first], pa.int8()),
            _words(runs.category[first], list(CATEGORIES)),
            _words(area, [policy.version(code) for code in areas]),
            _words(schedules.cause, list(CAUSES)),
            _words(stopped, [schedules.reasons[code] for code in reasons], mask=schedules.stopped < 0),
        ],
        schema=SCHEDULES,
    )


def _written(month: Ints) -> Ints:
    """Period.index as YYYYMM."""
    return month // 12 * 100 + month % 12 + 1


def _words(code: Ints, words: list[str], mask: Any = None) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(code, pa.int32(), mask=mask), pa.array(words, pa.string())).cast(
        pa.string()
    )


def _as(column: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(column, pa.Array):
        return column
    if kind == _DAY:
        return pa.array(column.astype(np.int32), pa.int32(), mask=column >= LAST_DAY).cast(kind)
    return pa.array(column, kind)


class _List:
    """One list column: the person of each entry, and the entries' fields."""

    def __init__(self, batch: pa.RecordBatch, name: str) -> None:
        column = batch.column(name)
        self.person: Ints = np.repeat(np.arange(len(column)), np.diff(column.offsets.to_numpy()))
        entries = column.flatten()
        self.field: dict[str, pa.Array] = dict(
            zip((field.name for field in entries.type), entries.flatten(), strict=True)
        )

    def days(self, name: str, if_null: int = LAST_DAY) -> Ints:
        """Day numbers."""
        numbers: Ints = self.field[name].cast(pa.int32()).fill_null(if_null).to_numpy().astype(np.int64)
        return numbers

    def words(self, name: str) -> Ints:
        codes: Ints = self.field[name].to_numpy().astype(np.int64)
        return codes

    def order(self, name: str) -> Any:
        """By person and day; entries of one day stay as listed."""
        key = keys(self.person, self.days(name))
        return slice(None) if np.all(key[1:] >= key[:-1]) else np.argsort(key, kind="stable")

    def spans(self, value: Ints) -> Spans:
        order = self.order("from")
        return Spans(self.person[order], self.days("from")[order], self.days("to")[order], value[order])


def _spans(batch: pa.RecordBatch, name: str, value: str) -> Spans:
    listed = _List(batch, name)
    return listed.spans(listed.words(value))
