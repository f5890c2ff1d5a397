"""Simulations on a real database: sums before and after, who gains or loses, and nothing stored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import date
from typing import Any

import pytest
from sqlalchemy import text

from libs.common.events.intake import CertificateClaim, LowIncomeClaim
from services.eligibility.handlers import simulations
from services.eligibility.main import build
from tests.conftest import Databases, Issuer, Running, running
from tests.integration.test_eligibility import Eligibility, approved, facts_of_application, submitted


@pytest.fixture
async def service(databases: Databases, make_settings: Callable[..., Any]) -> AsyncIterator[Running]:
    settings = make_settings(await databases.fresh("eligibility"))
    async with running(build(settings), settings) as started:
        yield started


def certificate(level: int, expires_on: date) -> CertificateClaim:
    return CertificateClaim(category="mental", level=level, issued_on=date(2020, 5, 1), expires_on=expires_on)


async def _county(service: Running) -> Eligibility:
    """Three recipients: two of level 1 (one in another county, whose certificate soon expires), one of level 2; and one
    of the borderline who holds no approved application."""
    eligibility = Eligibility(service.app.state.database)
    elsewhere = facts_of_application(certificate=certificate(1, date(2026, 8, 31)), residence_area="530103001")
    borderline = facts_of_application(low_income=LowIncomeClaim(category="borderline", from_=date(2024, 1, 1)))
    await eligibility.take(
        approved(person="p1-a"),
        approved(person="p1-b", facts=facts_of_application(certificate=certificate(2, date(2030, 4, 30)))),
        approved(person="p1-c", facts=elsewhere),
        approved(person="p1-d", facts=borderline, granted=("care",)),
        submitted(person="p1-e"),
    )
    return eligibility


async def _simulate(service: Running, issuer: Issuer, changes: Any, area: str = "5301") -> dict[str, Any]:
    headers = issuer.bearer("civil_affairs", area)
    body = {"area": area, "period": "2026-06", "changes": changes}
    asked = await service.http.post("/v1/simulations", json=body, headers=headers)
    assert asked.status_code == 202, asked.text
    path = f"/v1/simulations/{asked.json()['simulation_id']}"
    assert (await service.http.get(path, headers=headers)).json()["status"] == "running"
    while True:
        async with service.app.state.database.transaction() as tx:
            if not await simulations.simulate_chunk(tx):
                break
    answer: dict[str, Any] = (await service.http.get(path, headers=headers)).json()
    assert answer["status"] == "finished"
    return answer


async def test_a_month_that_nobody_means_is_refused(service: Running, issuer: Issuer) -> None:
    body = {"area": "53", "period": "9999-12", "changes": {"living.amount_fen": 12000}}
    answer = await service.http.post("/v1/simulations", json=body, headers=issuer.bearer("civil_affairs", "53"))
    assert answer.status_code == 422
    assert [error["path"] for error in answer.json()["errors"]] == ["period"]


async def test_a_raise_is_counted_by_county_level_and_category(service: Running, issuer: Issuer) -> None:
    await _county(service)
    answer = await _simulate(service, issuer, {"care.amount_fen": {"1": 15000, "2": 12000}})
    assert answer["before"] == {"persons": 4, "amount_fen": 3 * 10000 + 3 * 11000 + 10000}
    assert answer["after"] == {"persons": 4, "amount_fen": 3 * 10000 + 3 * 15000 + 12000}
    by_county = {(g["subsidy"], g["county"]): (g["fen_before"], g["fen_after"]) for g in answer["by_county"]}
    assert by_county["care", "530103"] == (11000, 15000)
    assert by_county["care", "530102"] == (32000, 42000)
    by_level = {(g["subsidy"], g["level"]): (g["persons_after"], g["fen_after"]) for g in answer["by_level"]}
    assert by_level["care", "2"] == (1, 12000)
    by_category = {(g["subsidy"], g["category"]): g["persons_before"] for g in answer["by_category"]}
    assert (by_category["care", "mental"], by_category["care", "physical"]) == (2, 2)
    assert (answer["gain"], answer["lose"]) == ({"living": 0, "care": 4}, {"living": 0, "care": 0})


async def test_the_forecast_knows_the_certificates_that_expire(service: Running, issuer: Issuer) -> None:
    await _county(service)
    answer = await _simulate(service, issuer, {"living.amount_fen": 12000}, "530103")
    months = {m["period"]: (m["fen_before"], m["fen_after"]) for m in answer["forecast"] if m["subsidy"] == "living"}
    assert len(months) == 12
    assert (months["2026-08"], months["2026-09"]) == ((10000, 12000), (0, 0))


async def test_the_forecast_counts_who_reaches_an_age_at_which_other_benefits_change(
    service: Running, issuer: Issuer
) -> None:
    eligibility = Eligibility(service.app.state.database)
    await eligibility.take(
        approved(person="p1-child", facts=facts_of_application(birth_year=2009)),
        approved(person="p1-elder", facts=facts_of_application(birth_year=1966)),
        approved(person="p1-other", facts=facts_of_application(birth_year=1970)),
        approved(person="p1-unknown"),
    )
    answer = await _simulate(service, issuer, {"living.amount_fen": 12000})
    reached = {
        (group["age"], group["year"]): (group["persons_before"], group["fen_before"], group["fen_after"])
        for group in answer["ages"]
        if group["subsidy"] == "living" and group["persons_before"]
    }
    assert reached == {("18", "2027"): (1, 10000, 12000), ("60", "2026"): (1, 10000, 12000)}


async def test_who_loses_is_named_to_those_who_may_see_it(service: Running, issuer: Issuer) -> None:
    await _county(service)
    answer = await _simulate(service, issuer, [{"name": "care.levels", "value": [1]}])
    assert answer["lose"] == {"living": 0, "care": 1}
    path = f"/v1/simulations/{answer['simulation_id']}"
    losing = await service.http.get(f"{path}/persons?effect=lose", headers=issuer.bearer("civil_affairs", "5301"))
    assert losing.json()["items"] == [{"person_id": "p1-b", "subsidy": "care", "before_fen": 10000, "after_fen": 0}]
    finance = await service.http.get(f"{path}/persons?effect=lose", headers=issuer.bearer("finance", "5301"))
    assert finance.status_code == 403
    assert (await service.http.get(path, headers=issuer.bearer("civil_affairs", "5303"))).status_code == 404


async def test_a_widened_scope_shows_who_could_apply(service: Running, issuer: Issuer) -> None:
    await _county(service)
    answer = await _simulate(service, issuer, {"living.categories": ["dibao", "borderline"]})
    potential = {group["subsidy"]: group for group in answer["potential"]}
    assert (potential["living"]["persons_before"], potential["living"]["persons_after"]) == (0, 1)
    assert answer["gain"] == {"living": 0, "care": 0}, "nobody is entitled without an application"


async def test_chunks_add_up_and_nothing_is_stored(
    service: Running, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    eligibility = await _county(service)
    changes = {"living.amount_fen": 12000}
    whole = await _simulate(service, issuer, changes)
    monkeypatch.setattr(simulations, "_CHUNK_PERSONS", 1)
    by_ones = await _simulate(service, issuer, changes)
    for name in ("before", "after", "by_county", "by_level", "by_category", "forecast", "potential", "gain", "lose"):
        assert by_ones[name] == whole[name], name
    assert await eligibility.months("living", "p1-a") == [("2026-03", "2030-04", 10000)]
    async with eligibility.database.transaction() as tx:
        assert (await tx.connection.execute(text("SELECT max(version) FROM entitlements"))).scalar_one() == 1


async def test_what_no_parameter_can_be_is_refused(service: Running, issuer: Issuer) -> None:
    headers = issuer.bearer("civil_affairs", "5301")
    body = {"area": "5301", "period": "2026-06", "changes": {"living.hukou_years": 3, "care.levels": [5]}}
    refused = await service.http.post("/v1/simulations", json=body, headers=headers)
    assert refused.status_code == 422
    assert [error["path"] for error in refused.json()["errors"]] == [
        "changes.living.hukou_years",
        "changes.care.levels",
    ]
    body = {"area": "5303", "period": "2026-06", "changes": {"care.levels": [1]}}
    assert (await service.http.post("/v1/simulations", json=body, headers=headers)).status_code == 403
