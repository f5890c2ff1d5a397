"""The months in order: applications, scenes, cycles, and the row that the summary shows of each."""

from __future__ import annotations

from collections import Counter

from rich.console import Console

from deploy.local.commands.inspection import check_invariants
from deploy.local.launcher import Launcher
from deploy.local.play import changing, parts
from deploy.local.play.applying import apply_and_review
from deploy.local.play.books import recoveries
from deploy.local.play.expectations import Expectations
from deploy.local.play.journal import Journal
from deploy.local.play.messages import messages_line, messages_told
from deploy.local.play.paying import Month, PaidMonth, appropriate, month_of, pay
from deploy.local.play.scenes import Scenes
from deploy.local.play.stage import NeverHappened, Officials, Stage, each
from deploy.local.play.summary import MonthRow, summary_table
from deploy.local.rest import Refused, Rest
from deploy.local.sample.county import build_county
from libs.common.clock import business_today
from libs.common.period import Period

_MONTHS_OF_SCENES = 4
"""So many months it takes to tell the scenes of the first run to their end."""


async def play_county(launcher: Launcher, area: str, persons: int, months: int, seed: int, output: Console) -> bool:
    """Play the county, or go on where an earlier run of this home ended; print the summary; whether all is well."""
    journal = Journal.open(launcher.home, area=area, persons=persons, seed=seed)
    expectations = Expectations(report=lambda line: output.print(line, style="red", markup=False))
    async with Rest(launcher.base_port, launcher.keys.jwt_private_key) as rest:
        stage = Stage(
            rest=rest,
            county=build_county(journal.area, journal.persons, journal.seed, journal.first_period),
            officials=Officials(journal.area),
            expectations=expectations,
            report=lambda line: output.print(f"  {line}", style="dim", markup=False),
        )
        story, told = _Story(stage, journal), "messages to persons: not counted"
        try:
            await story.play(months)
            told = messages_line(await messages_told(stage))
        except* (Refused, NeverHappened) as failures:
            for failure in failures.exceptions:
                expectations.expect("the play comes to its end", False, failure)
        output.print(summary_table(story.rows))
        output.print(told)
        broken = [line for line in await check_invariants(rest) if not line["holds"]]
    for line in broken:
        output.print(f"✗ {line['service']}: {line['says']}: {line['broken_by']}", style="red", markup=False)
    invariants = f"{len(broken)} invariants broken" if broken else "all invariants hold"
    output.print(f"{expectations.met} expectations met, {len(expectations.broken)} not; {invariants}")
    return not broken and not expectations.broken


class _Story:
    """The county's months; the scenes are told in the first run of a home, later runs are quiet."""

    def __init__(self, stage: Stage, journal: Journal) -> None:
        self.stage = stage
        self.journal = journal
        self.scenes: Scenes | None = None
        self.applied = 0
        self.last: PaidMonth | None = None
        self.failed: set[Month] = set()
        self.rows: list[MonthRow] = []

    async def play(self, months: int) -> None:
        """Fills `rows`. Raises `Refused`, `NeverHappened`, alone or in a group."""
        start = self.journal.next_period
        last = max(start.plus(months - 1), self.journal.first_period.plus(_MONTHS_OF_SCENES - 1))
        for period in start.through(last):
            if period > Period.of(business_today()):
                self.stage.report(f"{period} is still to come: nothing more to play")
                break
            self.rows.append(await self._month(period))
        self.journal.note([row.period for row in self.rows])

    async def _month(self, period: Period) -> MonthRow:
        stage = self.stage
        number = period.index - self.journal.first_period.index + 1
        row = MonthRow(str(period))
        await stage.run_daily(period.first_day.isoformat())
        if number == 1:
            await changing.load_benefits(stage, period.first_day)
        if number == 1 or period.month == 1:
            await appropriate(stage, period.year)
        if not self.journal.periods:
            await self._applications(period, row)
        with stage.timed(f"{period}: changes before the cycle"):
            if self.scenes:
                await self.scenes.before(number, period)
            await stage.until_heard()
        with stage.timed(f"{period}: cycle"):
            month = await pay(stage, period, frozenset(self.failed))
        self.failed |= {month_of(payment) for payment in month.failed()}
        with stage.timed(f"{period}: changes after the cycle"):
            if self.scenes:
                await stage.until_heard()
                await self.scenes.after(number, period, month)
            await self._count(month, row)
        self.last = month
        return row

    async def _applications(self, period: Period, row: MonthRow) -> None:
        first = self.journal.first_period
        applying = [
            person for person in self.stage.county.persons if max(Period.of(person.applied_on), first) == period
        ]
        if not applying:
            return
        with self.stage.timed(f"{period}: {len(applying)} applications"):
            decided = await apply_and_review(self.stage, applying)
        self.stage.granted |= {self.stage.person_id(outcome.person) for outcome in decided if outcome.granted}
        row.applications = len(decided)
        row.granted = sum(bool(outcome.granted) for outcome in decided)
        if period == first:
            self.scenes = Scenes(self.stage, parts.cast(decided, self.stage.county.changes, first))

    async def _count(self, month: PaidMonth, row: MonthRow) -> None:
        row.entitled = len(month.own_months())
        row.paid = len(month.settled())
        row.failed = len(month.failed())
        row.reissued = len(month.reissued())
        row.arrears = len(month.arrears())
        row.held = len(month.held())
        row.unpayable = len(month.unpayable())
        row.fen = month.paid_fen()
        row.sms = await self._sms_of(month)
        row.stopped = await self._stopped_in(month)
        row.recoveries = len([recovery async for recovery in recoveries(self.stage)])
        self.stage.expectations.equal(f"SMS for the payments of {month.period}", row.sms, row.paid)

    async def _sms_of(self, month: PaidMonth) -> int:
        paid = {payment["payment_id"] for payment in month.settled()}
        sent = (await self.stage.rest.get("onecard_mock", "/v1/sms"))["items"]
        return len({sms["payment_id"] for sms in sent} & paid)

    async def _stopped_in(self, month: PaidMonth) -> Counter[str]:
        """Why those of the month before are not in this one: the first rule that failed."""
        if self.last is None:
            return Counter()

        async def cause(key: tuple[str, str]) -> str:
            person_id, subsidy = key
            path = f"/v1/persons/{person_id}/decisions/{subsidy}/{month.period}"
            decision = await self.stage.rest.get("eligibility", path, self.stage.officials.auditor)
            return next((r["rule"] for r in decision["reasons"] if r["outcome"] == "fail"), "unknown")

        return Counter(await each(cause, sorted(self.last.own_months() - month.own_months())))
