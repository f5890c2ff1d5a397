"""Policy as columns: for each chain of layers, the eras within which nothing changes, and per era what rules compare.

Sets of words become bit masks and amounts become tables by level, so that a rule is one comparison over all rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from libs.common.vocabulary import CATEGORIES, SUBSIDIES, BenefitKind, CustodyKind, IncomeCategory, Subsidy
from services.eligibility.policy.names import Value
from services.eligibility.policy.parameters import PolicySet, by_level

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

INCOME_BIT = {word: 1 << bit for bit, word in enumerate(get_args(IncomeCategory))}
BENEFIT_BIT = {word: 1 << bit for bit, word in enumerate(get_args(BenefitKind))}
DISABILITY_BIT = {(c, level): 1 << (4 * i + level - 1) for i, c in enumerate(CATEGORIES) for level in (1, 2, 3, 4)}

LEVEL_BIT = {level: 1 << level for level in (1, 2, 3, 4)}
CUSTODY_BIT = {word: 1 << bit for bit, word in enumerate(get_args(CustodyKind))}

JUDGED_BY = frozenset(
    {
        *(
            f"{subsidy}.{part}"
            for subsidy in SUBSIDIES
            for part in (
                "amount_fen", "categories", "levels", "extended",
                "excluding_income", "excluding_benefits", "same_class_benefits",
            )
        ),
        "long_term_care.presumed_levels",
        "certificate.expired_gap_arrears_months",
        "certificate.frozen_gap_arrears_months",
        "spell.max_pause_months",
        "application.max_wait_months",
        "move.continuity",
    }
)  # fmt: skip
"""The names whose values decide who is entitled to what. Eras hold no others: a layer without them changes nothing."""

_EPOCH = date(1970, 1, 1).toordinal()
_BEFORE_ALL = date.min.toordinal() - _EPOCH


def day_number(day: date) -> int:
    """Days since 1970-01-01, as NumPy counts them."""
    return day.toordinal() - _EPOCH


def date_of(number: int) -> date:
    """The inverse of `day_number`."""
    return date.fromordinal(number + _EPOCH)


@dataclass(frozen=True, slots=True)
class SubsidyEras:
    """Per era, for one subsidy. `amount_fen` is by level (index 0 unused), -1 where no standard is set."""

    amount_fen: Ints
    income: Ints
    disability: Ints
    excluding_income: Ints
    excluding_benefits: Ints
    same_class: Ints


@dataclass(frozen=True, slots=True)
class Eras:
    """A compiled PolicySet. Era numbers are positions in every column; `chains` maps a chain to its first era."""

    policy: PolicySet
    subsidy: dict[Subsidy, SubsidyEras]
    governed: Bools
    presumed_levels: Ints
    expired_gap_months: Ints
    frozen_gap_months: Ints
    max_pause_months: Ints
    max_wait_months: Ints
    moves_continue: Bools
    starts: dict[tuple[str, ...], Ints]
    offset: dict[tuple[str, ...], int]

    def of(self, chain: tuple[str, ...], number: Ints) -> Ints:
        """The era of each day for one chain."""
        return self.offset[chain] + np.searchsorted(self.starts[chain], number, side="right") - 1


@lru_cache(maxsize=8)
def compile_eras(policy: PolicySet) -> Eras:
    """The columns of a policy; cached, for a PolicySet never changes."""
    starts: dict[tuple[str, ...], Ints] = {}
    offset: dict[tuple[str, ...], int] = {}
    eras: list[dict[str, Value]] = []
    for chain in {policy.chain(area) for area in policy.areas | {""}}:
        changes = policy.changes(chain)
        starts[chain] = np.array([_BEFORE_ALL, *map(day_number, changes)], dtype=np.int64)
        offset[chain] = len(eras)
        eras += [{}, *(_judged_by(policy.values(chain, on)) for on in changes)]

    def column(name: str, default: int) -> Ints:
        return np.array([era.get(name, default) for era in eras], dtype=np.int64)

    subsidies = {subsidy: _subsidy_eras(subsidy, eras) for subsidy in SUBSIDIES}
    return Eras(
        policy=policy,
        subsidy=subsidies,
        governed=np.logical_and.reduce([(s.amount_fen > 0).any(axis=1) for s in subsidies.values()]),
        presumed_levels=np.array(
            [_bits(LEVEL_BIT, era.get("long_term_care.presumed_levels")) for era in eras], dtype=np.int64
        ),
        expired_gap_months=column("certificate.expired_gap_arrears_months", 0),
        frozen_gap_months=column("certificate.frozen_gap_arrears_months", 0),
        max_pause_months=column("spell.max_pause_months", 12),
        max_wait_months=column("application.max_wait_months", 6),
        moves_continue=np.array([era.get("move.continuity") == "automatic" for era in eras]),
        starts=starts,
        offset=offset,
    )


def _judged_by(values: Mapping[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in values.items() if name in JUDGED_BY}


def _bits(bit_of: dict[Any, int], words: list[Any] | None) -> int:
    return sum(bit_of[word] for word in set(words or ()))


def _subsidy_eras(subsidy: Subsidy, eras: list[dict[str, Value]]) -> SubsidyEras:
    amount_fen = np.full((len(eras), 5), -1, dtype=np.int64)
    disability = []
    for number, era in enumerate(eras):
        standard = era.get(f"{subsidy}.amount_fen")
        amounts = {} if standard is None else by_level(standard)
        for level, amount in amounts.items():
            amount_fen[number, level] = amount
        scope = {pair for pair in DISABILITY_BIT if pair[1] in (era.get(f"{subsidy}.levels") or ())}
        if subsidy == "living":
            scope = set(DISABILITY_BIT)  # any certificate: the economic status decides
        for extension in era.get(f"{subsidy}.extended") or ():
            scope |= {(extension["category"], level) for level in extension["levels"]}
        disability.append(sum(DISABILITY_BIT[pair] for pair in scope))

    def masks(bit_of: dict[Any, int], name: str) -> Ints:
        return np.array([_bits(bit_of, era.get(f"{subsidy}.{name}")) for era in eras], dtype=np.int64)

    return SubsidyEras(
        amount_fen=amount_fen,
        income=masks(INCOME_BIT, "categories"),
        disability=np.array(disability, dtype=np.int64),
        excluding_income=masks(INCOME_BIT, "excluding_income"),
        excluding_benefits=masks(BENEFIT_BIT, "excluding_benefits"),
        same_class=masks(BENEFIT_BIT, "same_class_benefits"),
    )
