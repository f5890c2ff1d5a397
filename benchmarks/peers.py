"""The same rules in the words of others: OpenFisca-core and plain Python."""

from __future__ import annotations

from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from libs.common.vocabulary import SUBSIDIES
from services.eligibility.days import Days
from services.eligibility.policy.eras import CUSTODY_BIT

_SERVING = CUSTODY_BIT["serving"] | CUSTODY_BIT["detention_serving"]
_FACTS = (
    "alive",
    "missing",
    "custody",
    "income",
    "benefits",
    "residence",
    "status",
    "level",
    "disability",
    "care_need",
)


def _inputs(days: Days) -> dict[str, Any]:
    """The facts, and of the policy what is in force for each row."""
    given = {name: getattr(days, name) for name in _FACTS}
    given["governed"] = days.eras.governed[days.era]
    given["presumed_levels"] = days.eras.presumed_levels[days.era]
    for subsidy in SUBSIDIES:
        eras = days.eras.subsidy[subsidy]
        given[f"{subsidy}_amount"] = eras.amount_fen[days.era, days.level]
        for name in ("income", "disability", "excluding_income", "excluding_benefits", "same_class"):
            given[f"{subsidy}_{name}"] = getattr(eras, name)[days.era]
    return given


def python_pays(days: Days, rows: int) -> tuple[list[int], list[int]]:
    """The first rows one by one; laying them out as dictionaries is not part of the rules, but little beside them."""
    columns = {name: column[:rows].tolist() for name, column in _inputs(days).items()}
    persons = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return [_python_living(person) for person in persons], [_python_care(person) for person in persons]


def _python_anyone(person: dict[str, Any]) -> bool:
    return (
        person["alive"]
        and not person["missing"]
        and not person["custody"] & _SERVING
        and person["residence"] >= 0
        and person["governed"]
        and person["status"] == 0
    )


def _python_living(person: dict[str, Any]) -> int:
    pays = (
        _python_anyone(person)
        and person["income"] & person["living_income"]
        and not person["income"] & person["living_excluding_income"]
        and not person["benefits"] & person["living_excluding_benefits"]
        and not person["benefits"] & person["living_same_class"]
    )
    return person["living_amount"] if pays else 0


def _python_care(person: dict[str, Any]) -> int:
    presumed = person["presumed_levels"] >> person["level"] & 1
    pays = (
        _python_anyone(person)
        and person["disability"] & person["care_disability"]
        and person["care_amount"] > 0
        and (person["care_need"] == 1 or (person["care_need"] == -1 and presumed))
        and not person["income"] & person["care_excluding_income"]
        and not person["benefits"] & person["care_excluding_benefits"]
        and not person["benefits"] & person["care_same_class"]
    )
    return person["care_amount"] if pays else 0


def openfisca_pays(days: Days) -> list[Any] | None:
    """A simulation of all rows; None where OpenFisca is not installed."""
    built = _openfisca()
    if built is None:
        return None
    system, simulations = built
    given = _inputs(days)
    simulation = simulations.SimulationBuilder().build_default_simulation(system, count=len(days.era))
    for name, column in given.items():
        kept = column if column.dtype == np.bool_ else column.astype(np.int32)
        simulation.set_input(name, "2026-03", kept)
    return [simulation.calculate(f"{subsidy}_pays", "2026-03") for subsidy in SUBSIDIES]


@lru_cache(maxsize=1)
def _openfisca() -> tuple[Any, ModuleType] | None:
    try:
        from openfisca_core import entities, periods, simulations, taxbenefitsystems, variables
    except ImportError:
        return None
    person = entities.build_entity("person", "persons", "", is_person=True)
    system = taxbenefitsystems.TaxBenefitSystem([person])

    def variable(name: str, kind: type, formula: Any = None) -> None:
        body: dict[str, Any] = {
            "value_type": kind,
            "entity": person,
            "definition_period": periods.DateUnit.MONTH,
            "label": name,
        }
        if formula is not None:
            body["formula"] = formula
        system.add_variable(type(name, (variables.Variable,), body))

    flags = ("alive", "missing", "governed")
    policy = ("income", "disability", "excluding_income", "excluding_benefits", "same_class", "amount")
    for name in (*_FACTS, "governed", "presumed_levels", *(f"{s}_{p}" for s in SUBSIDIES for p in policy)):
        variable(name, bool if name in flags else int)

    variable("not_missing", bool, lambda p, t: ~p("missing", t))
    variable("not_in_prison", bool, lambda p, t: (p("custody", t) & _SERVING) == 0)
    variable("resident", bool, lambda p, t: (p("residence", t) >= 0) & p("governed", t))
    variable("certificate_held", bool, lambda p, t: (p("status", t) >= 0) & (p("status", t) <= 3))
    variable("certificate_current", bool, lambda p, t: (p("status", t) == 0) | ~p("certificate_held", t))
    variable("economic_status", bool, lambda p, t: (p("income", t) & p("living_income", t)) != 0)
    variable(
        "severity", bool, lambda p, t: ((p("disability", t) & p("care_disability", t)) != 0) & (p("care_amount", t) > 0)
    )
    variable(
        "long_term_care",
        bool,
        lambda p, t: (
            (p("care_need", t) == 1)
            | ((p("care_need", t) == -1) & (((p("presumed_levels", t) >> p("level", t)) & 1) == 1))
        ),
    )
    shared = ("alive", "not_missing", "not_in_prison", "resident", "certificate_held", "certificate_current")
    own = {"living": ("economic_status",), "care": ("severity", "long_term_care")}
    for subsidy in SUBSIDIES:
        for rule, fact, barred in _EXCLUSIONS:
            variable(f"{subsidy}_{rule}", bool, _no_bit_of(fact, f"{subsidy}_{barred}"))
        excluding = (f"{subsidy}_{rule}" for rule, _, _ in _EXCLUSIONS)
        variable(f"{subsidy}_pays", int, _amount_where(f"{subsidy}_amount", (*shared, *own[subsidy], *excluding)))
    return system, simulations


_EXCLUSIONS = (
    ("not_in_tekun", "income", "excluding_income"),
    ("no_excluding_benefit", "benefits", "excluding_benefits"),
    ("one_of_its_class", "benefits", "same_class"),
)


def _no_bit_of(fact: str, barred: str) -> Any:
    def formula(person: Any, period: Any) -> Any:
        return (person(fact, period) & person(barred, period)) == 0

    return formula


def _amount_where(amount: str, rules: tuple[str, ...]) -> Any:
    def formula(person: Any, period: Any) -> Any:
        met = person(rules[0], period)
        for rule in rules[1:]:
            met = met & person(rule, period)
        return np.where(met, person(amount, period), 0)

    return formula
