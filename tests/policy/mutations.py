"""Does a case notice when a rule is wrong? Each rule is dropped, flipped, and made to pause or end instead. What folds
days to months and months to spells, weighs a choice and finds the area that pays is changed in one place after another.

`python -m tests.policy.mutations` writes what each mutation makes fail into docs/policy-mutations.md.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np

from libs.common.events.eligibility import BenefitComparison
from libs.common.vocabulary import SUBSIDIES, Subsidy
from services.eligibility import choices, days
from services.eligibility.determination import Determination
from services.eligibility.months import Months
from services.eligibility.policy.rules import RULES, Rule
from services.eligibility.spells import run_spells
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


_FIRST_ROW = "np.minimum.reduceat(np.where(which, np.arange(len(which)), NO_ROW), self._days.run_row)"

FOLDS: dict[str, Sequence[tuple[str, Callable[..., Any], str, str]]] = {
    "month": (
        (
            "every day has to qualify, not one",
            Months._first_row,
            _FIRST_ROW,
            f"np.where(np.logical_and.reduceat(which, self._days.run_row), {_FIRST_ROW}, NO_ROW)",
        ),
        (
            "the last qualifying day decides, not the first",
            Months._first_row,
            f"return {_FIRST_ROW}",
            "last = np.maximum.reduceat(np.where(which, np.arange(len(which)), -1), self._days.run_row)\n"
            "    return np.where(last < 0, NO_ROW, last)",
        ),
        ("a benefit bars a month only if it is paid on each day", Months._unmet_in_run, "logical_and", "logical_or"),
        ("a benefit bars no month", Months._unmet_in_run, "return ~", "return False & ~"),
        ("a benefit bars the months that it is not paid for", Months._unmet_in_run, "return ~", "return "),
        ("the day that the most fails on is explained", Months.decisive_row, "argmin", "argmax"),
    ),
    "opening": (
        ("it accrues from the decision", Months.openings, "applications.applied_on)", "applications.decided_on)"),
        ("a day after the decision opens it too", Months.openings, "decided_on + 1)", "decided_on + 366)"),
        ("the day of the decision does not", Months.openings, "decided_on + 1)", "decided_on)"),
        ("a day of a barred month opens it too", Months.openings, " & ~self._barred[days.run_of_row]", ""),
    ),
    "spell": (
        ("paused months are paid", run_spells, "runs.state[run] == PAYABLE", "runs.state[run] != BARRED"),
        ("what pauses it ends it", run_spells, "runs.state[run] == BARRED", "runs.state[run] != PAYABLE"),
        ("nothing ends it", run_spells, "stops = barred | withdrawn", "stops = withdrawn"),
        ("it goes on after its end", run_spells, "goes_on = ~ends &", "goes_on ="),
        ("a withdrawal does not end it", run_spells, "barred | withdrawn |", "barred |"),
        (
            "nor does one before the decision",
            run_spells,
            "withdrawn_on < applications",
            "withdrawn_on < 0 * applications",
        ),
        ("a move without acceptance does not end it", run_spells, "withdrawn | moved_away\n", "withdrawn\n"),
        ("no pause is too long", run_spells, "tires = ~payable &", "tires = False &"),
        ("a pause may last a month longer", run_spells, "(paused_after >= limit)", "(paused_after > limit)"),
        ("pauses add up", run_spells, "np.where(payable, 0,", "np.where(False, 0,"),
        ("it waits a month less", run_spells, "max_wait_months[spell] + 1)", "max_wait_months[spell])"),
        ("it waits as long as it pauses", run_spells, "np.where(has_paid,", "np.where(True,"),
        ("it pauses as long as it waits", run_spells, "np.where(has_paid,", "np.where(False,"),
    ),
    "stay": (
        ("nobody is taken over", days._stays, "accepted[stay[fits]] = True", "accepted[stay[fits]] = False"),
        ("another county may take over", days._stays, "== county[stay]) &", ">= 0) &"),
        ("who has moved on may still be taken over", days._stays, " & (on < until[stay])", ""),
        ("who has not come yet may be taken over", days._stays, "(left_on[stay] <= on) & ", ""),
        ("every move within the province goes on", days._stays, "within & eras.moves_continue[era]", "within"),
        ("no move goes on by itself", days._stays, "accepted |= within", "accepted &= within | True"),
    ),
    "life": (
        ("who is declared missing is not", days.read_life, "missing | declared_missing", "missing"),
        ("who is back stays missing", days.read_life, "back_on[position] - 1", "LAST_DAY"),
        ("who is back stays declared dead", days.read_life, "died | (declared_dead &", "died | (declared_dead |"),
        ("a declaration of death says nothing", days.read_life, "died | (declared_dead &", "died | (False &"),
    ),
    "gap": (
        ("every gap before a renewal is paid", days._fill_gaps, " & (allowed > 0) & (wait <= allowed)", ""),
        ("a gap may be a month longer", days._fill_gaps, "(wait <= allowed)", "(wait <= allowed + 1)"),
        ("a gap is not paid", days._fill_gaps, "(allowed > 0)", "(allowed < 0)"),
    ),
    "choice": (
        ("the other is never kept", choices.kept_other, "return None if ended else choice", "return None"),
        ("the other is kept whatever was chosen", choices.kept_other, ' or choice.keep == "ours"', ""),
        (
            "a choice holds when the other has ended",
            choices.kept_other,
            "return None if ended else choice",
            "return choice",
        ),
        (
            "a choice lapses as the other ends on the day applied",
            choices.kept_other,
            "to < applied_on",
            "to <= applied_on",
        ),
        ("the first choice counts", choices.last_choice, "max(", "min("),
        ("a choice about any benefit counts", choices.last_choice, " if choice.kind in kinds", ""),
        ("the lower is told to be the higher", choices._higher, "ours_fen > other_fen", "ours_fen < other_fen"),
        ("of two others the lower is compared", choices.compare, "max(beside", "min(beside"),
        ("ours begins as the first of two others ends", choices.compare, "max(filter", "min(filter"),
        ("ours begins in the other's last month", choices.compare, "plus(1)", "plus(0)"),
    ),
    "paying area": (
        ("whoever asks pays", Determination.decision, "pays_here = not", "pays_here = True or not"),
        ("who is asked pays not", Determination.decision, '(lives_in or "").starts', 'not (lives_in or "").starts'),
        ("an area that does not pay is told so and pays", Determination.decision, "[run]) and pays_here", "[run])"),
    ),
}
"""Of each fold: what is wrong with it, where, and what stands there instead of what."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one mutation of one rule of one subsidy, or of a fold of both, made fail."""

    subsidy: Subsidy | None
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
    for fold, mutations in FOLDS.items():
        for name, function, old, new in mutations:
            with _rewritten(function, old, new):
                found.append(Outcome(None, fold, name, tuple(failing_cases(cases))))
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
            is_compared = all(_says(decision.comparison, case, s) for s, decision in decisions.items())
            if fen != case.expect or not set(case.unmet.items()) <= failed or not is_compared:
                failing.append(case.name)
    return failing


def _says(comparison: BenefitComparison | None, case: Case, subsidy: Subsidy) -> bool:
    """Whether it is what the case expects, if that says anything of comparisons."""
    told = comparison.model_dump(mode="json") if comparison else {}
    return not case.compared or case.compared.get(subsidy, {}).items() <= told.items()


def report(mutated: Sequence[Outcome]) -> str:
    """The outcomes as a page: how many cases notice, and the first of them."""
    lines = [
        "# What notices a wrong rule",
        "",
        "Each rule of each subsidy is mutated, and so are the folds of both: days to months, months to spells, the",
        "choice of the higher, the area that pays. Every policy case is then judged again. A test holds that no row",
        "has zero; `python -m tests.policy.mutations` writes this page. Fails: the cases whose amount, refusal or",
        "comparison is then wrong.",
        "",
        "| subsidy | rule | mutation | fails | for example |",
        "|---|---|---|---|---|",
    ]
    for one in mutated:
        example = one.failing[0] if one.failing else "nothing: the mutation survives"
        lines.append(f"| {one.subsidy or 'both'} | `{one.rule}` | {one.mutation} | {len(one.failing)} | {example} |")
    return "\n".join(lines) + "\n"


@contextmanager
def _replaced(subsidy: Subsidy, position: int, mutants: tuple[Rule, ...]) -> Iterator[None]:
    rules = RULES[subsidy]
    RULES[subsidy] = (*rules[:position], *mutants, *rules[position + 1 :])
    try:
        yield
    finally:
        RULES[subsidy] = rules


@contextmanager
def _rewritten(function: Callable[..., Any], old: str, new: str) -> Iterator[None]:
    """The function with a part of its source, which is there once, replaced; wherever it was imported to."""
    assert isinstance(function, FunctionType)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(old) == 1, f"{function.__qualname__} has not one {old!r}"
    defined: dict[str, Any] = {}
    exec(compile(source.replace(old, new), __file__, "exec"), function.__globals__, defined)
    code = function.__code__
    function.__code__ = defined[function.__name__].__code__
    try:
        yield
    finally:
        function.__code__ = code


if __name__ == "__main__":
    REPORT.write_text(report(outcomes()), encoding="utf-8")
    print(REPORT)
