"""Generated malformed applications: each is refused with the path of what is wrong, none crashes."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.integration.intake import Office
from tests.unit.intake.samples import guardian, guardian_account, id_number

AT_LEAST = 500

_TEXTS = st.text(st.characters(), max_size=40) | st.sampled_from(
    ["2026-02-30", "0000-00-00", "530102", "\ud800", "\x00"]
)
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS
_JSON = st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything in a JSON value."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield (*path, key)
            yield from places(value[key], (*path, key))


def inside(value: Any, path: tuple[Any, ...]) -> Any:
    """What lies at a path, or None where an earlier change has taken the way there."""
    for key in path:
        try:
            value = value[key]
        except (LookupError, TypeError):
            return None
    return value


def generated(whole: dict[str, Any], count: int) -> list[Any]:
    """So many different bodies, each with one or two places of `whole` gone or odd, or odd as a whole; always the
    same ones."""
    found: dict[str, Any] = {}
    every = list(places(whole))

    @settings(
        max_examples=3 * count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.lists(st.tuples(st.sampled_from(every), st.booleans(), _JSON), min_size=1, max_size=2), st.integers(0, 30)
    )
    def draw(changes: list[tuple[tuple[Any, ...], bool, Any]], kind: int) -> None:
        body: Any = changes[0][2] if kind == 0 else copy.deepcopy(whole)
        for path, remove, odd in changes if kind else ():
            inner = inside(body, path[:-1])
            if isinstance(inner, dict) and remove:
                inner.pop(path[-1], None)
            elif isinstance(inner, dict):
                inner[path[-1]] = odd
        found.setdefault(json.dumps(body), body)

    draw()
    return list(found.values())


async def test_500_malformed_applications_are_refused_with_paths_and_none_crashes(office: Office) -> None:
    whole = office.declaration(
        category="mental",
        guardian=guardian(),
        account=guardian_account(),
        agent={"relation": "父亲", "name": "甲", "id_number": id_number(), "phone": "13888881234"},
        choices=[{"kind": "elderly_care", "keep": "ours", "signed_on": "2026-03-02"}],
        incapacity={"basis": "court", "found_on": "2026-01-02", "document_no": "1"},
        matters=[{"kind": "低保申请", "reference_no": "1", "detail": "d"}],
    )
    bodies = generated(whole, AT_LEAST)
    headers = office.token("partner") | {"content-type": "application/json"}
    answers: Counter[int] = Counter()
    for body in bodies:
        answer = await office.running.http.post("/v1/applications", content=json.dumps(body), headers=headers)
        answers[answer.status_code] += 1
        assert answer.status_code < 500, body
        if answer.status_code == 422:
            assert answer.json()["errors"], body
            assert all(error["path"] and error["message"] for error in answer.json()["errors"]), body
    assert answers[422] >= AT_LEAST, answers
    assert answers.keys() <= {201, 400, 403, 409, 422}

    lines = b"\n".join(json.dumps(body).encode() for body in bodies)
    bulk = await office.running.http.post("/v1/applications/bulk", content=lines, headers=headers)
    assert bulk.status_code == 200
    statuses = Counter(result["status"] for result in bulk.json()["results"])
    assert statuses[422] >= AT_LEAST
    assert statuses.keys() <= {201, 400, 403, 409, 422}
