"""The SQL of comparisons, on small tables: for each kind of change who is found, and a look-alike who is not."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest

from libs.common.parameters import Parameters
from services.matching.comparison import leads_query, rules
from services.matching.engine import KNOWN_SCHEMA, ROSTER_SCHEMA, DuckDb, query
from services.matching.exclusions import exclusion_views
from services.matching.parameters import BROUGHT as brought
from services.matching.sources import SOURCES
from services.matching.stored import schema_of

AS_OF = date(2026, 6, 30)
BROUGHT = Parameters(brought)


def dropping(kind: str, layer: str, since: date) -> Parameters:
    """The policy where a layer has taken a benefit off the lists that it excludes."""
    kept = [listed for listed in BROUGHT.in_force("care.same_class_benefits", "", since).value if listed != kind]
    return Parameters(brought, {layer: {"care.same_class_benefits": [(since, kept)]}})


def month(text: str) -> int:
    year, of_year = text.split("-")
    return int(year) * 12 + int(of_year) - 1


def on_roster(subsidy: str = "living", since: str = "2025-01", to: str | None = None) -> Any:
    months = {"from_month": month(since), "to_month": to and month(to)}
    row = {"person_id": "p1", "subsidy": subsidy, "area": "530102001", **months}
    return pa.Table.from_pylist([row], ROSTER_SCHEMA)


def feed(source: str, *rows: dict[str, Any]) -> pa.Table:
    told = [{"person_id": "p1", "feed_id": "f1", "as_of": AS_OF, **row} for row in rows]
    return pa.Table.from_pylist(told, schema_of(SOURCES[source]))


def found(
    source: str, *rows: dict[str, Any], roster: Any = None, policy: Parameters = BROUGHT
) -> list[tuple[str, date]]:
    texts = rules(policy, ["530102"])
    views = {
        "roster": on_roster() if roster is None else roster,
        source: feed(source, *rows),
        **exclusion_views(texts),
    }
    ((_, leads),) = DuckDb().tables({"leads": leads_query(texts, [source])}, views, as_of=AS_OF)
    return [(row["kind"], row["alleged_on"]) for row in leads.to_pylist()]


DEATH = {"occurred_on": date(2026, 3, 5)}


@pytest.mark.parametrize("source", ["deaths", "cremations"])
def test_a_death_is_found_where_a_later_month_is_payable(source: str) -> None:
    assert found(source, DEATH) == [("person.died", date(2026, 3, 5))]
    assert found(source, DEATH, roster=on_roster(to="2026-04")) == [("person.died", date(2026, 3, 5))]


@pytest.mark.parametrize("source", ["deaths", "cremations"])
def test_a_death_that_costs_no_month_is_not_found_nor_that_of_somebody_else(source: str) -> None:
    assert found(source, DEATH, roster=on_roster(to="2026-03")) == []
    assert found(source, {**DEATH, "person_id": "p2"}) == []


def test_a_death_is_found_once_though_both_subsidies_are_paid() -> None:
    both = pa.concat_tables([on_roster("living"), on_roster("care")])
    assert len(found("deaths", DEATH, roster=both)) == 1


@pytest.mark.parametrize("kind", ["serving", "detention_serving"])
def test_who_serves_in_prison_is_found(kind: str) -> None:
    assert found("prisons", {"kind": kind, "from_on": date(2026, 1, 20)}) == [("person.imprisoned", date(2026, 1, 20))]


@pytest.mark.parametrize("kind", ["detained", "probation", "parole", "outside"])
def test_who_is_held_before_trial_or_serves_outside_is_not(kind: str) -> None:
    assert found("prisons", {"kind": kind, "from_on": date(2026, 1, 20)}) == []


@pytest.mark.parametrize(("to", "count"), [(date(2026, 2, 27), 0), (date(2026, 2, 28), 1), (date(2026, 3, 5), 1)])
def test_a_sentence_counts_if_a_whole_month_lies_in_it(to: date, count: int) -> None:
    assert len(found("prisons", {"kind": "serving", "from_on": date(2026, 1, 20), "to_on": to})) == count


def test_a_sentence_served_before_the_first_payable_month_is_not_found() -> None:
    row = {"kind": "serving", "from_on": date(2024, 1, 20), "to_on": date(2024, 12, 31)}
    assert found("prisons", row) == []


def test_a_move_to_another_county_is_found_and_one_within_is_not() -> None:
    moved = {"event": "moved", "occurred_on": date(2026, 4, 2)}
    assert found("population", {**moved, "area": "530302001"}) == [("person.moved", date(2026, 4, 2))]
    assert found("population", {**moved, "area": "530102009"}) == []
    assert found("population", {**moved, "area": None}) == [("person.moved", date(2026, 4, 2))], "who knows where to"


@pytest.mark.parametrize(
    ("event", "kind"),
    [("cancelled", "person.died"), ("missing", "person.missing"), ("declared_dead", "person.declared_dead")],
)
def test_what_the_population_register_tells_is_found_by_its_kind(event: str, kind: str) -> None:
    assert found("population", {"event": event, "occurred_on": date(2026, 4, 2)}) == [(kind, date(2026, 4, 2))]


def test_who_reappeared_is_no_lead() -> None:
    assert found("population", {"event": "reappeared", "occurred_on": date(2026, 4, 2)}) == []


def test_a_change_on_the_first_of_a_month_already_costs_that_month() -> None:
    declared = {"event": "declared_missing", "occurred_on": date(2026, 4, 1)}
    assert len(found("court_declarations", declared, roster=on_roster(to="2026-04"))) == 1
    declared["occurred_on"] = date(2026, 4, 2)
    assert found("court_declarations", declared, roster=on_roster(to="2026-04")) == []


def test_leaving_dibao_is_found_for_living_and_not_for_care() -> None:
    left = {"category": "dibao", "from_on": date(2024, 1, 1), "to_on": date(2026, 4, 10)}
    assert found("low_income", left) == [("low_income.exited", date(2026, 4, 11))]
    assert found("low_income", left, roster=on_roster("care")) == []


def test_a_last_paid_month_means_its_last_day() -> None:
    left = {"category": "dibao", "last_paid_on": date(2026, 4, 30)}
    assert found("low_income", left) == [("low_income.exited", date(2026, 5, 1))]


def test_who_only_changed_the_category_has_not_left() -> None:
    left = {"category": "dibao", "to_on": date(2026, 4, 10)}
    entered = {"category": "borderline", "from_on": date(2026, 4, 11)}
    assert found("low_income", left, entered) == []


@pytest.mark.parametrize("status", ["moved_out", "frozen", "cancelled", "expired"])
def test_a_certificate_that_lapsed_is_found_by_its_status(status: str) -> None:
    row = {"status": status, "changed_on": date(2026, 4, 10)}
    assert found("certificates", row) == [(f"certificate.{status}", date(2026, 4, 10))]


def test_a_certificate_past_its_last_day_has_expired_though_its_status_says_valid() -> None:
    row = {"status": "valid", "category": "vision", "level": 1, "expires_on": date(2026, 3, 15)}
    assert found("certificates", row) == [("certificate.expired", date(2026, 3, 16))]
    assert found("certificates", {**row, "expires_on": AS_OF}) == []


def test_only_the_latest_row_of_a_certificate_counts() -> None:
    frozen = {"status": "frozen", "changed_on": date(2026, 4, 10), "as_of": date(2026, 4, 30)}
    again = {"status": "valid", "changed_on": date(2026, 5, 10), "expires_on": date(2030, 1, 1)}
    assert found("certificates", frozen, again) == []


def test_a_benefit_of_the_same_class_is_found_and_one_that_stacks_is_not() -> None:
    paid = {"from_on": date(2026, 2, 1)}
    assert found("benefits", {**paid, "kind": "elderly_care"}, roster=on_roster("care")) == [
        ("benefit.started", date(2026, 2, 1))
    ]
    assert found("benefits", {**paid, "kind": "elderly_care"}, roster=on_roster("living")) == []
    for kind in ("old_age", "elderly_service", "unattended_child_part"):
        assert found("benefits", {**paid, "kind": kind}) == []


@pytest.mark.parametrize(
    ("layer", "begins", "count"),
    [
        ("5301", date(2026, 2, 1), 0),
        ("5303", date(2026, 2, 1), 1),
        ("5301", date(2025, 12, 31), 1),
    ],
    ids=["dropped here", "dropped elsewhere", "begun in a month that was still lost"],
)
def test_a_benefit_that_a_county_no_longer_excludes_is_no_lead_from_then_on(
    layer: str, begins: date, count: int
) -> None:
    row = {"kind": "elderly_care", "from_on": begins}
    policy = dropping("elderly_care", layer, date(2026, 1, 1))
    assert len(found("benefits", row, roster=on_roster("care"), policy=policy)) == count
    assert len(asserted("benefits", {**row, "amount_fen": 1}, roster=on_roster("care"), policy=policy)) == 1 - count


def test_a_benefit_of_old_is_no_lead_where_the_first_month_paid_lies_after_the_policy_dropped_it() -> None:
    policy = dropping("elderly_care", "530102", date(2026, 1, 1))
    row = {"kind": "elderly_care", "from_on": date(2020, 1, 1)}
    assert found("benefits", row, roster=on_roster("care", since="2026-01"), policy=policy) == []
    assert len(found("benefits", row, roster=on_roster("care", since="2025-12"), policy=policy)) == 1


def test_a_benefit_that_ended_before_our_first_month_is_not_found() -> None:
    ended = {"kind": "elderly_care", "from_on": date(2020, 1, 1), "to_on": date(2024, 12, 31)}
    assert found("benefits", ended, roster=on_roster("care")) == []


# --- what an authority's feed makes known ---------------------------------------------------------------------------


def known(*facts: dict[str, Any]) -> pa.Table:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return pa.Table.from_pylist([{"person_id": "p1", "known_at": at, **fact} for fact in facts], KNOWN_SCHEMA)


def asserted(
    source: str, *rows: dict[str, Any], facts: Any = (), roster: Any = None, policy: Parameters = BROUGHT
) -> list[tuple[str, date]]:
    views = {
        "known": known(*facts),
        "feed": feed(source, *rows),
        "everybody": roster or ROSTER_SCHEMA.empty_table(),
        **exclusion_views(rules(policy, ["530102"])),
    }
    return sorted((row["kind"], row["occurred_on"]) for row in query(f"{source}_facts", views, as_of=AS_OF).to_pylist())


CARD = {"category": "physical", "level": 2, "expires_on": date(2030, 4, 30)}
VALID = {**CARD, "status": "valid", "issued_on": date(2020, 5, 1), "changed_on": date(2020, 5, 1)}
ISSUED = {**CARD, "kind": "certificate.issued", "occurred_on": date(2020, 5, 1)}
FROZEN = {"kind": "certificate.frozen", "occurred_on": date(2026, 3, 1)}


@pytest.mark.parametrize(
    ("row", "facts", "expected"),
    [
        (VALID, [], [("certificate.issued", date(2020, 5, 1))]),
        (VALID, [ISSUED], []),
        ({**VALID, "status": "frozen", "changed_on": date(2026, 4, 1)}, [], [("certificate.frozen", date(2026, 4, 1))]),
        ({**VALID, "status": "frozen", "changed_on": date(2026, 4, 1)}, [ISSUED, FROZEN], []),
        ({**VALID, "changed_on": date(2026, 5, 2)}, [ISSUED, FROZEN], [("certificate.unfrozen", date(2026, 5, 2))]),
        (
            {**VALID, "level": 1, "changed_on": date(2026, 5, 2)},
            [ISSUED],
            [("certificate.reassessed", date(2026, 5, 2))],
        ),
        ({**VALID, "level": 3}, [ISSUED], [("certificate.reassessed", AS_OF)]),
        ({**VALID, "level": 3, "changed_on": None}, [ISSUED], [("certificate.reassessed", AS_OF)]),
        (
            {**VALID, "level": 3, "changed_on": None, "issued_on": date(2026, 5, 2)},
            [ISSUED],
            [("certificate.reassessed", date(2026, 5, 2))],
        ),
        (
            {**VALID, "issued_on": date(2026, 5, 2), "expires_on": date(2036, 5, 1)},
            [ISSUED],
            [("certificate.renewed", date(2026, 5, 2))],
        ),
        (
            {**VALID, "status": "expired", "changed_on": None, "expires_on": date(2026, 3, 15)},
            [ISSUED],
            [("certificate.expired", date(2026, 3, 16))],
        ),
        ({**VALID, "status": "in_transit", "changed_on": AS_OF}, [ISSUED], [("certificate.moved_out", AS_OF)]),
        ({**VALID, "as_of": date(2026, 2, 1)}, [ISSUED, FROZEN], []),
    ],
)
def test_the_federation_s_feed_makes_known_what_was_not(row: Any, facts: Any, expected: Any) -> None:
    assert asserted("certificates", row, facts=facts) == expected


DIBAO = {"category": "dibao", "from_on": date(2024, 1, 1)}
ENTERED = {"kind": "low_income.entered", "occurred_on": date(2024, 1, 1), "category": "dibao"}
EXITED = {"kind": "low_income.exited", "occurred_on": date(2026, 4, 11), "category": "dibao"}


@pytest.mark.parametrize(
    ("row", "facts", "expected"),
    [
        (DIBAO, [], [("low_income.entered", date(2024, 1, 1))]),
        (DIBAO, [ENTERED], []),
        ({**DIBAO, "to_on": date(2026, 4, 10)}, [ENTERED], [("low_income.exited", date(2026, 4, 11))]),
        ({**DIBAO, "to_on": date(2026, 4, 10)}, [ENTERED, EXITED], []),
        (
            {**DIBAO, "to_on": date(2026, 4, 10)},
            [],
            [("low_income.entered", date(2024, 1, 1)), ("low_income.exited", date(2026, 4, 11))],
        ),
        (
            {"category": "dibao", "last_paid_on": date(2026, 4, 30)},
            [ENTERED],
            [("low_income.exited", date(2026, 5, 1))],
        ),
        (DIBAO, [ENTERED, EXITED], []),
        ({**DIBAO, "from_on": date(2026, 6, 1)}, [ENTERED, EXITED], [("low_income.entered", date(2026, 6, 1))]),
        (
            {"category": "tekun", "from_on": date(2026, 5, 1)},
            [ENTERED],
            [("low_income.entered", date(2026, 5, 1))],
        ),
        ({**DIBAO, "grace": True}, [ENTERED], []),
    ],
)
def test_civil_affairs_feed_makes_known_what_was_not(row: Any, facts: Any, expected: Any) -> None:
    assert asserted("low_income", row, facts=facts) == expected


ELDERLY = {"kind": "elderly_care", "from_on": date(2026, 2, 1), "amount_fen": 5000}


def test_a_benefit_is_a_fact_unless_it_turns_up_beside_ours() -> None:
    assert asserted("benefits", ELDERLY) == [("benefit.started", date(2026, 2, 1))]
    assert asserted("benefits", ELDERLY, roster=on_roster("living")) == [("benefit.started", date(2026, 2, 1))]
    assert asserted("benefits", ELDERLY, roster=on_roster("care")) == []


def test_the_end_of_a_known_benefit_is_a_fact() -> None:
    fact = {"kind": "benefit.started", "benefit": "elderly_care", "occurred_on": date(2026, 2, 1)}
    ended = {**ELDERLY, "to_on": date(2026, 5, 31)}
    assert asserted("benefits", ended, facts=[fact]) == [("benefit.ended", date(2026, 6, 1))]
    assert asserted("benefits", ELDERLY, facts=[fact]) == []
