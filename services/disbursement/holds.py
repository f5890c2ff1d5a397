"""What an open finding holds (domain: Findings)."""

from __future__ import annotations

from libs.common.vocabulary import SUBSIDIES, Subsidy

_OF_LIVING_ONLY = frozenset({"low_income.exited"})


def held_subsidies(kind: str) -> tuple[Subsidy, ...]:
    """The subsidies that a finding alleging an event of `kind` holds.

    Leaving dibao touches the living subsidy alone; everything else may touch both: what exactly, the fact will tell.
    """
    return ("living",) if kind.removesuffix(".v1") in _OF_LIVING_ONLY else SUBSIDIES
