"""The registers of the dead: delivered, compared, and each lead verified by the township."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from deploy.local.play import changing
from deploy.local.play.stage import Stage
from deploy.local.sample.county import LifeChange
from libs.common.period import Period


@dataclass(slots=True)
class Registers:
    """What the county was told so far. `late` are those whom it hears of only by `tell_late`."""

    stage: Stage
    late: list[LifeChange] = field(default_factory=list)
    reported: set[str] = field(default_factory=set)

    async def tell_month(self, month: Period, also: list[LifeChange]) -> None:
        """The registers of a month arrive on the first day after it; `also` holds leads that stay open."""
        late = {change.id_number for change in self.late}
        deaths = [
            change
            for change in self.stage.county.changes
            if change.feed in ("cremations", "deaths") and change.on in month and change.id_number not in late
        ]
        await self._tell(deaths, also, month.next.first_day)

    async def tell_late(self, on: date) -> None:
        """The register that was late arrives."""
        await self._tell(self.late, [], on)

    async def _tell(self, deaths: list[LifeChange], left_open: list[LifeChange], on: date) -> None:
        """Upload, compare, confirm. Who has a dead person's name but another ID must not become a finding."""
        stage = self.stage
        await changing.report_deaths(stage, [*deaths, *left_open], on)
        await changing.compare(stage, on)
        granted = {number: person_id for number, person_id in stage.person_ids.items() if person_id in stage.granted}
        dead = {granted[death.id_number]: death for death in deaths if death.id_number in granted}
        self.reported |= dead.keys() | {granted[change.id_number] for change in left_open}
        findings = await changing.findings(stage)
        found = {finding["person_id"] for finding in findings}
        stage.expectations.equal(f"reported dead until {on} without a finding", self.reported - found, set())
        stage.expectations.equal(f"with a finding on {on}, and never reported", found - self.reported, set())
        for finding in findings:
            death = dead.get(finding["person_id"])
            if death is not None and finding["status"] == "open":
                await changing.verify(stage, finding, "confirmed", death.on, "经殡葬部门核实")
