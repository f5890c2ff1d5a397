"""Which months of the sample county this home has played, so that the next run goes on after them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from deploy.local.home import Home
from deploy.local.sample.county import FIRST_PERIOD
from libs.common.period import Period


@dataclass(slots=True)
class Journal:
    """One home plays one county: what was asked for first stays."""

    file: Path
    area: str
    persons: int
    seed: int
    first: str = str(FIRST_PERIOD)
    periods: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, home: Home, *, area: str, persons: int, seed: int) -> Journal:
        """The journal of this home, begun with this county if there is none."""
        file = home.folder / "sample-played.json"
        if file.exists():
            return cls(file=file, **json.loads(file.read_text()))
        return cls(file=file, area=area, persons=persons, seed=seed)

    @property
    def first_period(self) -> Period:
        return Period.parse(self.first)

    @property
    def next_period(self) -> Period:
        return Period.parse(self.periods[-1]).next if self.periods else self.first_period

    def note(self, periods: list[str]) -> None:
        """These months are played to their end. A play that is interrupted is played again from its first month."""
        self.periods += periods
        kept = {name: value for name, value in asdict(self).items() if name != "file"}
        partial = self.file.with_suffix(".partial")
        partial.write_text(json.dumps(kept, indent=2))
        partial.replace(self.file)
