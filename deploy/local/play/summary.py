"""What the play shows in the end: a row per month."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from rich.table import Table


@dataclass(slots=True)
class MonthRow:
    period: str
    applications: int = 0
    granted: int = 0
    entitled: int = 0
    paid: int = 0
    failed: int = 0
    reissued: int = 0
    held: int = 0
    unpayable: int = 0
    stopped: Counter[str] = field(default_factory=Counter)
    arrears: int = 0
    recoveries: int = 0
    sms: int = 0
    fen: int = 0


def summary_table(rows: list[MonthRow]) -> Table:
    """Months × what became of them; what is counted from `entitled` on is a person's month of one subsidy."""
    table = Table(title="The sample county, month by month")
    table.add_column("month", no_wrap=True)
    for column in ("applications", "granted", "entitled", "paid", "failed", "re-issued", "held", "unpayable"):
        table.add_column(column, justify="right")
    table.add_column("stopped by cause", no_wrap=True)
    for column in ("arrears", "recoveries", "SMS checked", "fen"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        stopped = "\n".join(f"{cause}: {count}" for cause, count in sorted(row.stopped.items()))
        counts = (row.applications, row.granted, row.entitled, row.paid, row.failed, row.reissued, row.held)
        table.add_row(
            row.period,
            *(str(count) for count in (*counts, row.unpayable)),
            stopped or "-",
            *(str(count) for count in (row.arrears, row.recoveries, row.sms)),
            f"{row.fen:,}",
        )
    return table
