"""The story: four months in which everything happens that this system exists for, and quiet months after them.

1. Most apply, and are paid; three accounts fail at the bank, two of them are corrected by two persons.
2. More apply; the failed payments are re-issued. Certificates expire in the middle of the month, families leave dibao.
3. Both stop. The prefecture raises living from month 2 on: arrears. A false report of a death holds one person.
4. The report is dismissed and what was held is paid; certificates are renewed and pay again. After the cycle a
   cremation register tells of deaths in month 1, three months late: exactly the months paid too much are recovered.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rich.console import Console

from deploy.local.commands.inspection import check_invariants
from deploy.local.launcher import Launcher
from deploy.local.play import changing
from deploy.local.play.applying import Decided, apply_and_review
from deploy.local.play.expectations import Expectations
from deploy.local.play.journal import Journal
from deploy.local.play.paying import PaidMonth, appropriate, pay
from deploy.local.play.stage import Officials, Stage, each
from deploy.local.play.summary import MonthRow, summary_table
from deploy.local.rest import Rest
from deploy.local.sample.county import LifeChange, Person, build_county
from libs.common.clock import business_today
from libs.common.period import Period

FAULT_CODES = ("closed", "name_mismatch", "dormant")


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays what: persons of one kind each, whom nothing else happens to."""

    unlucky: list[Person]
    """Their accounts fail at the bank; all but the last are corrected."""
    expiring: list[Person]
    """Their certificates expire; all but the last are renewed."""
    leaving: list[Person]
    """They leave dibao."""
    accused: Person
    """Somebody is wrongly reported dead."""
    steady: Person
    """Somebody to whom only the raise happens."""
    late_deaths: list[LifeChange]
    """Deaths in the first month, which the county hears of after the fourth."""


def choose_cast(decided: list[Decided], changes: list[LifeChange], first: Period) -> Cast:
    """The cast from those granted living in the first month with a card of their own."""
    touched = {change.id_number for change in changes}
    households = Counter(outcome.person.household_id for outcome in decided)
    plain = [
        outcome.person
        for outcome in decided
        if "living" in outcome.granted
        and outcome.person.card_status == "active"
        and outcome.person.id_number not in touched
        and outcome.person.expires_on > first.plus(24).last_day
        and households[outcome.person.household_id] == 1
    ]
    granted = {outcome.person.id_number for outcome in decided if outcome.granted}
    late = [change for change in changes if change.id_number in granted and change.on <= first.last_day]
    return Cast(
        unlucky=plain[0:3],
        expiring=plain[3:6],
        leaving=plain[6:9],
        accused=plain[9],
        steady=plain[10],
        late_deaths=late,
    )


async def play_county(launcher: Launcher, area: str, persons: int, months: int, seed: int, output: Console) -> bool:
    """Play the county, or go on where an earlier run of this home ended; print the summary; whether all is well."""
    journal = Journal.open(launcher.home, area=area, persons=persons, seed=seed)
    county = build_county(journal.area, journal.persons, journal.seed, journal.first_period)
    expectations = Expectations(report=lambda line: output.print(line, style="red", markup=False))
    async with Rest(launcher.base_port, launcher.keys.jwt_private_key) as rest:
        stage = Stage(
            rest=rest,
            county=county,
            officials=Officials(journal.area),
            expectations=expectations,
            report=lambda line: output.print(f"  {line}", style="dim", markup=False),
        )
        rows = await _Story(stage, journal).play(months)
        output.print(summary_table(rows))
        broken = [line for line in await check_invariants(rest) if not line["holds"]]
        for line in broken:
            output.print(f"✗ invariant of {line['service']}: {line['says']}", style="red", markup=False)
            output.print(f"  broken by {line['broken_by']}", style="red", markup=False)
    output.print(
        f"{expectations.met} expectations met, {len(expectations.broken)} not; "
        f"{'all invariants hold' if not broken else f'{len(broken)} invariants broken'}"
    )
    return not broken and not expectations.broken


class _Story:
    """The months in order. Scenes of the first four are told by their number; later months are quiet."""

    def __init__(self, stage: Stage, journal: Journal) -> None:
        self.stage = stage
        self.journal = journal
        self.first = journal.first_period
        self.decided: list[Decided] = []
        self.cast: Cast | None = None
        self.last: PaidMonth | None = None
        self.applied: set[str] = set()
        self.reported: set[str] = set()

    async def play(self, months: int) -> list[MonthRow]:
        rows = []
        start = self.journal.next_period
        for period in start.through(start.plus(months - 1)):
            if period > Period.of(business_today()):
                self.stage.report(f"{period} is still to come: nothing more to play")
                break
            rows.append(await self._month(period))
        self.journal.note([row.period for row in rows])
        return rows

    async def _month(self, period: Period) -> MonthRow:
        stage, number = self.stage, period.index - self.first.index + 1
        row = MonthRow(str(period))
        stage.report(f"{period}: daily run")
        await stage.run_daily(period.first_day.isoformat())
        if number == 1:
            await changing.load_benefits(stage, period.first_day)
        if number == 1 or period.month == 1:
            await appropriate(stage, period.year)
        await self._applications(period, row)
        await self._before_cycle(number, period)
        await stage.until_heard()
        stage.report(f"{period}: cycle")
        month = await pay(stage, period)
        await self._after_cycle(number, period, month)
        await self._count(month, row)
        self.last = month
        return row

    async def _applications(self, period: Period, row: MonthRow) -> None:
        applying = [
            person
            for person in self.stage.county.persons
            if person.applied_on <= period.last_day and person.id_number not in self.applied
        ]
        if not applying or self.journal.periods:
            return
        self.stage.report(f"{period}: {len(applying)} applications")
        decided = await apply_and_review(self.stage, applying)
        self.applied |= {person.id_number for person in applying}
        self.decided += decided
        row.applications = len(decided)
        row.granted = sum(bool(outcome.granted) for outcome in decided)
        if self.cast is None:
            self.cast = choose_cast(self.decided, self.stage.county.changes, self.first)

    async def _before_cycle(self, number: int, period: Period) -> None:
        stage, cast = self.stage, self.cast
        if number == 1 and cast:
            faults = {p.card.number: code for p, code in zip(cast.unlucky, FAULT_CODES, strict=True) if p.card}
            await stage.rest.post("onecard_mock", "/v1/faults", None, {"fail_accounts": faults})
        if number == 3 and cast:
            since = self.first.next
            await changing.raise_living(stage, since, 10000 + changing.RAISE_FEN)
            false_report = LifeChange("cremations", cast.accused.name, cast.accused.id_number, "", since.first_day)
            await self._deaths_of(period.previous, also=[false_report])
        if number == 4 and cast:
            for person in cast.expiring[:-1]:
                await changing.renew_certificate(stage, person, period.first_day + timedelta(days=9))
        if number >= 4:
            await self._deaths_of(period.previous)

    async def _deaths_of(self, month: Period, also: list[LifeChange] | None = None) -> None:
        """The registers of a month arrive, are compared, and each lead is verified; `also` is left open."""
        reported = [
            change
            for change in self.stage.county.changes
            if change.feed in ("cremations", "deaths")
            and change.on in month
            and change.id_number not in self._late_ids()
        ]
        await self._report_and_verify(reported, also or [], month.next)

    def _late_ids(self) -> set[str]:
        return {change.id_number for change in self.cast.late_deaths} if self.cast else set()

    async def _report_and_verify(self, reported: list[LifeChange], left_open: list[LifeChange], month: Period) -> None:
        stage = self.stage
        await changing.report_deaths(stage, [*reported, *left_open], month.first_day)
        await changing.compare(stage, month.first_day)
        findings = await changing.findings(stage)
        true_leads = {
            stage.person_ids[change.id_number]: change for change in reported if change.id_number in stage.person_ids
        }
        open_ids = {stage.person_ids[change.id_number] for change in left_open}
        found = {finding["person_id"] for finding in findings}
        self.reported |= open_ids | true_leads.keys()
        stage.expectations.equal(
            f"persons reported dead until {month} whom no finding names", self.reported - found, set()
        )
        stage.expectations.equal("persons with a finding whom nobody reported", found - self.reported, set())
        for finding in findings:
            change = true_leads.get(finding["person_id"])
            if change is not None and finding["status"] == "open":
                await changing.verify(stage, finding, "confirmed", change.on, "经殡葬部门核实")

    async def _after_cycle(self, number: int, period: Period, month: PaidMonth) -> None:
        stage, cast = self.stage, self.cast
        if cast is None:
            return
        if number == 1:
            await self._failures(month, cast)
        elif number == 2:
            await self._reissues_and_changes(period, cast)
        elif number == 3:
            await self._stops_and_arrears(period, month, cast)
            await self._dismiss(cast)
        elif number == 4:
            await self._resumptions(period, cast)
            await self._late_deaths(period, cast)
        if number >= 2:
            await stage.until_heard()

    async def _failures(self, month: PaidMonth, cast: Cast) -> None:
        stage = self.stage
        failed = {payment["person_id"] for payment in month.failed()}
        stage.expectations.equal("persons whose payments fail", len(failed), len(cast.unlucky))
        stage.expectations.equal("who they are", failed, {stage.person_id(person) for person in cast.unlucky})
        await stage.rest.delete("onecard_mock", "/v1/faults")
        for person in cast.unlucky[:-1]:
            assert person.card is not None
            corrected = type(person.card)(person.card.bank, _another_account(person.card.number))
            await changing.correct_account(stage, person, corrected)

    async def _reissues_and_changes(self, period: Period, cast: Cast) -> None:
        stage = self.stage
        for person in cast.unlucky[:-1]:
            item = await self._living(person, period.previous)
            stage.expectations.expect(
                "a failed payment is re-issued to the corrected account",
                0 < item["entitled_fen"] == item["paid_fen"],
                item,
            )
        uncorrected = await self._living(cast.unlucky[-1], period.previous)
        stage.expectations.expect(
            "without a correction it stays owed", uncorrected["paid_fen"] == 0 < uncorrected["owed_fen"], uncorrected
        )
        for person in cast.expiring:
            await changing.expire_certificate(stage, person, period.first_day + timedelta(days=14))
        for person in cast.leaving:
            await changing.leave_dibao(stage, person, period.next.first_day)

    async def _stops_and_arrears(self, period: Period, cycle: PaidMonth, cast: Cast) -> None:
        stage = self.stage
        for what, persons in (("expiry", cast.expiring), ("leaving dibao", cast.leaving)):
            for person in persons:
                before, now = await self._living(person, period.previous), await self._living(person, period)
                stage.expectations.expect(f"the month of {what} is paid", before["paid_fen"] > 0, before)
                stage.expectations.equal(f"entitled after {what}", now["entitled_fen"], 0)
        held = {month["person_id"] for month in cycle.held()}
        stage.expectations.expect("a report of death holds the payment", stage.person_id(cast.accused) in held, held)
        for month in (period.previous, period):
            raised = await self._living(cast.steady, month)
            stage.expectations.equal(f"raised and paid for {month}", raised["paid_fen"], 10000 + changing.RAISE_FEN)

    async def _dismiss(self, cast: Cast) -> None:
        stage = self.stage
        for finding in await changing.findings(stage):
            if finding["person_id"] == stage.person_id(cast.accused) and finding["status"] == "open":
                await changing.verify(stage, finding, "dismissed", None, "入户走访，本人在世")

    async def _resumptions(self, period: Period, cast: Cast) -> None:
        stage = self.stage
        for month in (period.previous, period):
            item = await self._living(cast.accused, month)
            stage.expectations.expect("what was held is paid", 0 < item["entitled_fen"] == item["paid_fen"], item)
        for person in cast.expiring[:-1]:
            gap, now = await self._living(person, period.previous), await self._living(person, period)
            stage.expectations.equal("entitled in the gap between certificates", gap["entitled_fen"], 0)
            stage.expectations.expect("a renewed certificate pays again", now["paid_fen"] > 0, now)
        expired = await self._living(cast.expiring[-1], period)
        stage.expectations.equal("entitled without a renewal", expired["entitled_fen"], 0)

    async def _late_deaths(self, period: Period, cast: Cast) -> None:
        """Deaths of the first month, told after the fourth cycle: what was paid for months two to four comes back."""
        stage = self.stage
        paid_too_much = {}
        for change in cast.late_deaths:
            items = await self._account(change.id_number)
            paid_too_much[stage.person_ids[change.id_number]] = {
                (item["subsidy"], item["period"]): item["paid_fen"]
                for item in items
                if item["period"] > str(Period.of(change.on)) and item["paid_fen"]
            }
        await self._report_and_verify(cast.late_deaths, [], period.next)
        await stage.until_heard()
        claimed: dict[str, dict[tuple[str, str], int]] = {}
        async for recovery in self._all_recoveries():
            months = claimed.setdefault(recovery["person_id"], {})
            for month in recovery["months"]:
                months[recovery["subsidy"], month["period"]] = month["amount_fen"]
        for person_id, expected in paid_too_much.items():
            stage.expectations.expect(
                "somebody dead was paid for three months", len({p for _, p in expected}) == 3, expected
            )
            stage.expectations.equal("exactly the months paid too much are claimed", claimed.get(person_id), expected)
        stage.expectations.equal("nobody else owes anything", claimed.keys() - paid_too_much.keys(), set())

    async def _account(self, id_number: str) -> list[dict[str, Any]]:
        path = f"/v1/persons/{self.stage.person_ids[id_number]}/account"
        answer = await self.stage.rest.get("disbursement", path, self.stage.officials.auditor)
        items: list[dict[str, Any]] = answer["items"]
        return items

    async def _living(self, person: Person, period: Period) -> dict[str, Any]:
        """The person's living subsidy of a month: all amounts 0 if there is nothing to tell."""
        nothing = dict.fromkeys(("entitled_fen", "paid_fen", "held_fen", "owed_fen", "overpaid_fen"), 0)
        for item in await self._account(person.id_number):
            if (item["subsidy"], item["period"]) == ("living", str(period)):
                return item
        return nothing

    async def _count(self, month: PaidMonth, row: MonthRow) -> None:
        stage = self.stage
        row.entitled = len(month.own_months())
        row.paid = len(month.settled())
        row.failed = len(month.failed())
        row.reissued = len(month.reissued())
        row.arrears = len(month.arrears())
        row.held = len(month.held())
        row.unpayable = sum(month.unpayable().values())
        row.fen = month.paid_fen()
        row.sms = await self._sms_checked(month)
        row.stopped = await self._stopped(month)
        row.recoveries = await self._recoveries()
        stage.expectations.equal(f"complete SMS for the payments of {month.period}", row.sms, row.paid)

    async def _sms_checked(self, month: PaidMonth) -> int:
        paid = {payment["payment_id"] for payment in month.settled()}
        sent = (await self.stage.rest.get("onecard_mock", "/v1/sms"))["items"]
        return len({sms["payment_id"] for sms in sent} & paid)

    async def _stopped(self, month: PaidMonth) -> Counter[str]:
        """Why those of the month before are not in this one: the rule that failed first."""
        if self.last is None:
            return Counter()

        async def cause(key: tuple[str, str]) -> str:
            person_id, subsidy = key
            path = f"/v1/persons/{person_id}/decisions/{subsidy}/{month.period}"
            decision = await self.stage.rest.get("eligibility", path, self.stage.officials.auditor)
            return next((r["rule"] for r in decision["reasons"] if r["outcome"] == "fail"), "unknown")

        return Counter(await each(cause, sorted(self.last.own_months() - month.own_months())))

    async def _recoveries(self) -> int:
        officials = self.stage.officials
        found = self.stage.rest.items(
            "disbursement", "/v1/recoveries", officials.civil_affairs, area=self.stage.county.area
        )
        return len([recovery async for recovery in found])


def _another_account(number: str) -> str:
    """Another number of the same length and bank."""
    middle = len(number) // 2
    return number[:middle] + str((int(number[middle]) + 1) % 10) + number[middle + 1 :]
