"""Which other benefit excludes which of ours (国发〔2015〕52号; notice 2), as each county's policy has it.

The SQL reads two views: `excluding`, the pairs that anybody's policy names, and `allowing`, from which month on a
county that dropped one pays the subsidy beside it for good. A comparison keeps both as texts among its rules, so that
it can be run again by the policy of its own day. Months are whole numbers here: a comparison's process, which reads
this, starts a quarter faster without what `Period` brings along.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import pyarrow as pa
import pyarrow.csv as pa_csv

from libs.common.parameters import Parameters
from libs.common.vocabulary import SUBSIDIES, Subsidy

EXCLUSION_SCHEMAS = {
    "excluding": pa.schema([("kind", pa.string()), ("subsidy", pa.string())]),
    "allowing": pa.schema(
        [("kind", pa.string()), ("subsidy", pa.string()), ("county", pa.string()), ("from_month", pa.int32())]
    ),
}

_LISTS = ("excluding_benefits", "same_class_benefits")
_ALWAYS = date(1900, 1, 1)


def exclusions(parameters: Parameters, counties: Iterable[str]) -> dict[str, str]:
    """Both views for these counties, as CSV."""
    pairs = [(kind, subsidy) for subsidy in SUBSIDIES for kind in sorted(_ever_excluding(parameters, subsidy))]
    allowing = [
        (kind, subsidy, county, month)
        for county in sorted(counties)
        for kind, subsidy in pairs
        if (month := allowed_from(parameters, kind, subsidy, county)) is not None
    ]
    return {
        name: _as_csv(EXCLUSION_SCHEMAS[name], rows) for name, rows in (("excluding", pairs), ("allowing", allowing))
    }


def exclusion_views(texts: Mapping[str, str]) -> dict[str, pa.Table]:
    """The views that these texts say."""
    return {
        name: pa_csv.read_csv(
            io.BytesIO(texts[name].encode()), convert_options=pa_csv.ConvertOptions(column_types=schema)
        )
        for name, schema in EXCLUSION_SCHEMAS.items()
    }


def allowed_from(parameters: Parameters, kind: str, subsidy: Subsidy, area: str) -> int | None:
    """The first month (`Period.index`) from which on `area` pays the subsidy beside that benefit; None where it does
    not."""
    dropped = [_dropped_on(parameters.over_time(f"{subsidy}.{name}", area), kind) for name in _LISTS]
    since = max((day for day in dropped if day is not None), default=_ALWAYS)
    if None in dropped:
        return None
    return since.year * 12 + since.month - (1 if since.day == 1 else 0)


def _dropped_on(history: Iterable[tuple[date, Sequence[str]]], kind: str) -> date | None:
    """The day from which on a list names the kind no more; None if it does."""
    since: date | None = _ALWAYS
    for day, listed in history:
        if kind in listed:
            since = None
        elif since is None:
            since = day
    return since


def _ever_excluding(parameters: Parameters, subsidy: Subsidy) -> set[str]:
    return {
        kind
        for name in _LISTS
        for layer in parameters.layers
        for _, listed in parameters.over_time(f"{subsidy}.{name}", layer)
        for kind in listed
    }


def _as_csv(schema: pa.Schema, rows: Iterable[tuple[object, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([schema.names, *rows])
    return text.getvalue()
