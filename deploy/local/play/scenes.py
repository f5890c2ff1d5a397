"""The scenes of the first four months, and what must come of each.

1. Three accounts fail at the bank; two of them are corrected by two persons.
2. The failed payments are re-issued. Certificates expire in the middle of the month; families leave dibao at its end.
3. Both stop. Living is raised from month 2 on: arrears. A false report of a death holds one person, and is dismissed.
4. What was held is paid, and renewed certificates pay again. After the cycle a cremation register tells of deaths in
   month 1, three months late: exactly the months paid too much are recovered. The register of cards still has the
   accounts that were corrected: a lead for the township each.
"""

from __future__ import annotations

from datetime import timedelta

from deploy.local.play import changing
from deploy.local.play.books import account_of, living_of, recoveries
from deploy.local.play.parts import Parts
from deploy.local.play.paying import PaidMonth
from deploy.local.play.registers import Registers
from deploy.local.play.stage import Stage
from deploy.local.sample.county import Account, LifeChange
from deploy.local.sample.files import feed_rows
from libs.common.period import Period

FAULT_CODES = ("closed", "name_mismatch", "dormant")
RAISED_FEN = 11000
"""Living after the raise; the province's guideline for 2026 is 10000."""


class Scenes:
    """`before` and `after` are called around the cycle of each month, counted from 1."""

    def __init__(self, stage: Stage, parts: Parts) -> None:
        self.stage = stage
        self.parts = parts
        self.registers = Registers(stage, parts.late_deaths)

    async def before(self, number: int, period: Period) -> None:
        if number == 1:
            await self._spoil_accounts()
        if number == 3:
            await changing.raise_living(self.stage, period.previous, RAISED_FEN)
            accused = self.parts.accused
            false_report = LifeChange("cremations", accused.name, accused.id_number, "", period.previous.first_day)
            await self.registers.tell_month(period.previous, [false_report])
        if number == 4:
            for person in self.parts.expiring[:-1]:
                await changing.renew_certificate(self.stage, person, period.first_day + timedelta(days=9))
        if number >= 4:
            await self.registers.tell_month(period.previous, [])

    async def after(self, number: int, period: Period, month: PaidMonth) -> None:
        if number == 1:
            await self._failures(month)
        if number == 2:
            await self._reissues(period)
            await self._expire_and_leave(period)
        if number == 3:
            await self._stops(period)
            await self._raise(period)
            await self._held_and_dismissed(month)
        if number == 4:
            await self._resumptions(period)
            await self._late_deaths(period)
            await self._cards(period)

    async def _spoil_accounts(self) -> None:
        cards = [person.card.number for person in self.parts.unlucky if person.card]
        faults = {"fail_accounts": dict(zip(cards, FAULT_CODES, strict=True))}
        await self.stage.rest.post("onecard_mock", "/v1/faults", None, faults)

    async def _failures(self, month: PaidMonth) -> None:
        stage = self.stage
        failed = {payment["person_id"] for payment in month.failed()}
        unlucky = {stage.person_id(person) for person in self.parts.unlucky}
        stage.expectations.equal("whose payments fail", failed, unlucky)
        await stage.rest.delete("onecard_mock", "/v1/faults")
        for person in self.parts.unlucky[:-1]:
            assert person.card is not None
            account = Account(person.card.bank, _another_number(person.card.number))
            await changing.correct_account(stage, person, account)

    async def _reissues(self, period: Period) -> None:
        expect = self.stage.expectations.expect
        *corrected, uncorrected = self.parts.unlucky
        for person in corrected:
            failed = await living_of(self.stage, person, period.previous)
            expect("what failed is paid to the new account", 0 < failed["entitled_fen"] == failed["paid_fen"], failed)
        owed = await living_of(self.stage, uncorrected, period.previous)
        expect("without a correction it stays owed", owed["paid_fen"] == 0 < owed["owed_fen"], owed)

    async def _expire_and_leave(self, period: Period) -> None:
        for person in self.parts.expiring:
            await changing.expire_certificate(self.stage, person, period.first_day + timedelta(days=14))
        for person in self.parts.leaving:
            await changing.leave_dibao(self.stage, person, period.next.first_day)

    async def _stops(self, period: Period) -> None:
        for what, persons in (("expiry", self.parts.expiring), ("leaving dibao", self.parts.leaving)):
            for person in persons:
                last = await living_of(self.stage, person, period.previous)
                self.stage.expectations.expect(f"the month of {what} is paid", last["paid_fen"] > 0, last)
                now = await living_of(self.stage, person, period)
                self.stage.expectations.equal(f"entitled the month after {what}", now["entitled_fen"], 0)

    async def _raise(self, period: Period) -> None:
        for month in (period.previous, period):
            raised = await living_of(self.stage, self.parts.steady, month)
            self.stage.expectations.equal(f"paid for {month} after the raise", raised["paid_fen"], RAISED_FEN)

    async def _held_and_dismissed(self, month: PaidMonth) -> None:
        stage = self.stage
        accused = stage.person_id(self.parts.accused)
        held = {item["person_id"] for item in month.held()}
        stage.expectations.expect("a report of a death holds the payment", accused in held, held)
        for finding in await changing.findings(stage):
            if finding["person_id"] == accused and finding["status"] == "open":
                await changing.verify(stage, finding, "dismissed", None, "入户走访，本人在世")

    async def _resumptions(self, period: Period) -> None:
        stage = self.stage
        for month in (period.previous, period):
            freed = await living_of(stage, self.parts.accused, month)
            stage.expectations.equal("paid once the report is dismissed", freed["paid_fen"], RAISED_FEN)
        *renewed, expired = self.parts.expiring
        for person in renewed:
            gap, now = await living_of(stage, person, period.previous), await living_of(stage, person, period)
            stage.expectations.equal("entitled between two certificates", gap["entitled_fen"], 0)
            stage.expectations.equal("paid with the new certificate", now["paid_fen"], RAISED_FEN)
        never = await living_of(stage, expired, period)
        stage.expectations.equal("entitled without a renewal", never["entitled_fen"], 0)

    async def _late_deaths(self, period: Period) -> None:
        stage = self.stage
        too_much: dict[str, dict[tuple[str, str], int]] = {}
        for death in self.parts.late_deaths:
            too_much[stage.person_ids[death.id_number]] = {
                (item["subsidy"], item["period"]): item["paid_fen"]
                for item in await account_of(stage, death.id_number)
                if item["period"] > str(Period.of(death.on)) and item["paid_fen"]
            }
        await self.registers.tell_late(period.last_day)
        await stage.until_heard()
        claimed: dict[str, dict[tuple[str, str], int]] = {}
        async for recovery in recoveries(stage):
            months = claimed.setdefault(recovery["person_id"], {})
            for month in recovery["months"]:
                months[recovery["subsidy"], month["period"]] = month["amount_fen"]
        for person_id, months in too_much.items():
            stage.expectations.equal("months paid after a death", len({paid for _, paid in months}), 3)
            stage.expectations.equal("exactly these months are claimed back", claimed.get(person_id), months)
        stage.expectations.equal("nobody else owes anything", claimed.keys() - too_much.keys(), set())

    async def _cards(self, period: Period) -> None:
        stage = self.stage
        *corrected, uncorrected = self.parts.unlucky
        listed = {person.id_number for person in (*corrected, uncorrected, self.parts.steady)}
        rows = [row for row in feed_rows(stage.county, "social_cards") if row["id_number"] in listed]
        await changing.upload(stage, "social_cards", rows, period.last_day)
        await stage.until_heard()
        otherwise = {(lead["person_id"], lead["kind"]) for lead in await changing.register_leads(stage)}
        expected = {(stage.person_id(person), "own_card_differs") for person in corrected}
        stage.expectations.equal("whose card the register has otherwise", otherwise, expected)


def _another_number(number: str) -> str:
    """Another account of the same bank and length."""
    middle = len(number) // 2
    return number[:middle] + str((int(number[middle]) + 1) % 10) + number[middle + 1 :]
