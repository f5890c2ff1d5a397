"""Does a case notice when a rule is wrong? Each rule is dropped, flipped, and made to pause or end instead.

`python -m tests.policy.mutations` writes what each mutation makes fail into docs/policy-mutations.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from libs.common.vocabulary import SUBSIDIES, Subsidy
from services.eligibility.determination import Determination
from services.eligibility.policy.rules import RULES, Rule
from tests.policy.cases import Case, decisions_of, read_cases

REPORT = Path(__file__).parents[2] / "docs" / "policy-mutations.md"


def _dropped(rule: Rule) -> tuple[Rule, ...]:
    return (replace(rule, judge=lambda days, subsidy: np.ones_like(rule.judge(days, subsidy))),)


def _flipped(rule: Rule) -> tuple[Rule, ...]:
    return (replace(rule, judge=lambda days, subsidy: ~rule.judge(days, subsidy)),)


def _pause_swapped(rule: Rule) -> tuple[Rule, ...]:
    """The mutant, and one that never fails in its old place: there is a rule of each kind always."""
    return replace(rule, pauses=not rule.pauses), *_dropped(rule)


MUTATIONS: dict[str, Callable[[Rule], tuple[Rule, ...]]] = {
    "dropped": _dropped,
    "flipped": _flipped,
    "pauses if it ended, ends if it paused": _pause_swapped,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one mutation of one rule of one subsidy made fail."""

    subsidy: Subsidy
    rule: str
    mutation: str
    failing: tuple[str, ...]


def outcomes() -> list[Outcome]:
    """Every mutation with the names of the cases that notice it; none is a rule that nothing tests."""
    cases = read_cases()
    assert not failing_cases(cases), "the cases must hold before anything is mutated"
    found = []
    for subsidy in SUBSIDIES:
        for position, rule in enumerate(RULES[subsidy]):
            for name, mutate in MUTATIONS.items():
                with _replaced(subsidy, position, mutate(rule)):
                    found.append(Outcome(subsidy, rule.name, name, tuple(failing_cases(cases))))
    return found


def failing_cases(cases: list[Case]) -> list[str]:
    """The names of the cases that do not come to what they expect."""
    failing = []
    for policy in {id(case.policy): case.policy for case in cases}.values():
        batch = [case for case in cases if case.policy is policy]
        judged = Determination([case.facts for case in batch], policy, since=min(case.period for case in batch))
        for position, case in enumerate(batch):
            decisions = decisions_of(case, judged, position)
            fen = {subsidy: decision.amount_fen for subsidy, decision in decisions.items()}
            failed = {(s, r.rule) for s, decision in decisions.items() for r in decision.reasons if r.outcome == "fail"}
            if fen != case.expect or not set(case.unmet.items()) <= failed:
                failing.append(case.name)
    return failing


def report(mutated: Sequence[Outcome]) -> str:
    """The outcomes as a page: how many cases notice, and the first of them."""
    lines = [
        "# What notices a wrong rule",
        "",
        "Each rule of each subsidy is mutated, and every policy case judged again. A test holds that no row has zero;",
        "`python -m tests.policy.mutations` writes this page. Fails: the cases whose amount or refusal is then wrong.",
        "",
        "| subsidy | rule | mutation | fails | for example |",
        "|---|---|---|---|---|",
    ]
    for one in mutated:
        example = one.failing[0] if one.failing else "nothing: the mutation survives"
        lines.append(f"| {one.subsidy} | `{one.rule}` | {one.mutation} | {len(one.failing)} | {example} |")
    return "\n".join(lines) + "\n"


@contextmanager
def _replaced(subsidy: Subsidy, position: int, mutants: tuple[Rule, ...]) -> Iterator[None]:
    rules = RULES[subsidy]
    RULES[subsidy] = (*rules[:position], *mutants, *rules[position + 1 :])
    try:
        yield
    finally:
        RULES[subsidy] = rules


if __name__ == "__main__":
    REPORT.write_text(report(outcomes()), encoding="utf-8")
    print(REPORT)
