"""What must come of the play; each that does not is shown, and makes the run fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Expectations:
    report: Callable[[str], None]
    met: int = 0
    broken: list[str] = field(default_factory=list)

    def expect(self, statement: str, holds: bool, seen: object = "") -> None:
        """Record that `statement` holds or not; `seen` is what there was instead."""
        if holds:
            self.met += 1
            return
        self.broken.append(f"{statement}; seen: {seen}")
        self.report(f"✗ expected: {self.broken[-1]}")

    def equal(self, statement: str, seen: object, expected: object) -> None:
        self.expect(f"{statement}: {expected}", seen == expected, seen)
