"""Whatever happens to entitlements, holds, accounts, cycles, the bank and recoveries, in any order: the books balance,
every month is accounted for to the fen, nothing is paid twice and nothing is lost. The model below knows only what the
bank transferred, what was decided, and what the schedule says; the service's own SQL runs on PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections import defaultdict
from collections.abc import Coroutine
from contextlib import suppress
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import text

from libs.common.auth import Principal
from libs.common.clock import business_today
from libs.common.database import Database, new_id, rows
from libs.common.errors import DomainError
from libs.common.events.eligibility import EntitledMonths, EntitlementChanged
from libs.common.events.intake import PayeeAccount, PayeeChanged
from libs.common.events.matching import FindingDismissed, FindingOpened
from libs.common.period import Period
from libs.common.platform_schema import ensure_month_partitions
from libs.common.privacy import Sealer
from libs.common.settings import Settings
from services.disbursement.bank import AcceptedTransfer, Batch, Statement
from services.disbursement.handlers import cycles, decisions, dispatch, projections, recoveries, submission
from services.disbursement.handlers.accounts import read_account
from services.disbursement.handlers.books import appropriate
from services.disbursement.handlers.recalls import recall_batch
from services.disbursement.handlers.reconciliation import note_settled_cycles
from services.disbursement.handlers.results import BankResult, record_results
from services.disbursement.invariants import INVARIANTS
from services.disbursement.ledger import Book
from tests.conftest import Databases

TODAY = business_today()  # results are dated after the cycles, whose time is the database's
FIRST, LAST = Period(2026, 1), Period(2026, 4)
MONTHS = [Period(2026, month) for month in range(1, 5)]
PEOPLE = 2
_SERIAL = itertools.count(1)
_WHO = st.integers(0, PEOPLE - 1)
_MONTH = st.sampled_from(MONTHS)


class _EmptyBank:
    """Has accepted nothing."""

    async def send(self, batch: Batch) -> None:
        raise AssertionError("nothing is handed over here")

    async def statement(self, batch_id: UUID) -> Statement | None:
        return None

    async def accepted_since(self, since: datetime | None) -> list[AcceptedTransfer]:
        return []


class Disbursement(RuleBasedStateMachine):
    databases: Databases
    sealer: Sealer
    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        super().__init__()
        serial = next(_SERIAL)
        self.area = f"53{serial // 100 % 100:02d}{serial % 100:02d}"
        self.people = [f"p1-any-{serial}-{number}" for number in range(PEOPLE)]
        self.settings = Settings(kafka_partitions=1, bank_batch_size=3)
        self.version = 0
        self.schedule: dict[tuple[str, Period], int] = {}
        self.most: dict[tuple[str, Period], int] = defaultdict(int)
        self.cash: dict[UUID, tuple[str, Period, int]] = {}
        self.waiting: dict[UUID, dict[str, Any]] = {}
        self.holding: dict[str, UUID] = {}
        url = self.run(self.databases.fresh("disbursement"))  # each sequence has its own
        self.database = Database(url, service="disbursement", pool_size=2)
        self.run(self._begin())

    def teardown(self) -> None:
        self.run(self.database.close())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def who(self, role: Any, sub: str) -> Principal:
        return Principal(sub, role, "53")

    async def _begin(self) -> None:
        async with self.database.transaction() as tx:
            await ensure_month_partitions(tx, tx.now.date())
            await tx.connection.execute(
                text(
                    "INSERT INTO watermarks (reader, topic, partition, until) SELECT 'disbursement', topic, 0,"
                    " '2100-01-01' FROM unnest(CAST(:topics AS text[])) AS topic"
                ),
                {"topics": ["liangbu.intake", "liangbu.matching", "liangbu.eligibility", "liangbu.eligibility.bulk"]},
            )
            for subsidy in ("living", "care"):
                await appropriate(
                    tx, self.who("finance", "f"), Book(self.area, subsidy, 2026), amount_fen=10**9,
                    document_no="1", on=TODAY,
                )  # fmt: skip
        for person in range(PEOPLE):
            await self._told_account(person)
            await self._told_schedule(person, FIRST, LAST, 10_000)

    async def _told_schedule(self, person: int, first: Period, last: Period, amount_fen: int) -> None:
        self.version += 1
        key = self.people[person]
        span = EntitledMonths(
            from_=first, to=last, amount_fen=amount_fen, area=self.area, level=1, policy_version="t", cause="c"
        )
        data = EntitlementChanged(
            person_id=key, version=self.version, subsidy="living", schedule=(span,) if first <= last else (),
            cause="application.approved", stopped_because=None, area=self.area,
        )  # fmt: skip
        async with self.database.transaction() as tx:
            # All that it reads of what was received.
            await projections.keep_schedules(self.sealer, tx, [SimpleNamespace(data=data)])  # type: ignore[list-item]
        for month in MONTHS:
            fen = amount_fen if first <= month <= last else 0
            self.schedule[key, month] = fen
            self.most[key, month] = max(self.most[key, month], fen)

    async def _told_account(self, person: int, holder: Any = "own") -> None:
        """The card of one's own, of a guardian, or none any more."""
        self.version += 1
        event_id = new_id()
        account = None if holder is None else PayeeAccount(
            holder=holder, holder_name=self.sealer.seal("甲", event_id, "account.holder_name"), bank="b",
            number=self.sealer.seal("6222000000000000", event_id, "account.number"), number_last4="0000",
            status="active", number_token=f"t{self.version}", reason=None if holder == "own" else "无法办理社会保障卡",
        )  # fmt: skip
        data = PayeeChanged(
            person_id=self.people[person], version=self.version, area=self.area,
            person_name=self.sealer.seal("甲", event_id, "person_name"), phone=None,
            account=account, cannot_act=holder == "guardian", effective_on=TODAY,
        )  # fmt: skip
        async with self.database.transaction() as tx:
            await projections.keep_payees(self.sealer, tx, [SimpleNamespace(data=data, event_id=event_id)])  # type: ignore[list-item]

    @rule(person=_WHO, first=_MONTH, last=_MONTH, amount_fen=st.sampled_from([8_000, 10_000, 12_000]))
    def the_entitlement_changes(self, person: int, first: Period, last: Period, amount_fen: int) -> None:
        self.run(self._told_schedule(person, first, last, amount_fen))

    @rule(person=_WHO, holder=st.sampled_from(["own", "guardian", None]))
    def the_account_changes(self, person: int, holder: str | None) -> None:
        self.run(self._told_account(person, holder))

    @rule(person=_WHO, month=_MONTH)
    def a_finding_holds_or_is_dismissed(self, person: int, month: Period) -> None:
        key = self.people[person]
        self.version += 1
        finding_id = self.holding.pop(key, None)
        kind = FindingDismissed if finding_id else FindingOpened
        if finding_id is None:
            finding_id = self.holding[key] = uuid4()
        data = kind(
            person_id=key, version=self.version, finding_id=finding_id, kind="person.died", area=self.area,
            status="dismissed" if kind is FindingDismissed else "open", alleged_on=month.previous.last_day,
            hold_from=month, due_on=TODAY, fact_id=None,
        )  # fmt: skip

        async def tell() -> None:
            async with self.database.transaction() as tx:
                await projections.keep_findings(tx, [SimpleNamespace(data=data)])  # type: ignore[list-item]

        self.run(tell())

    @rule(month=_MONTH)
    def a_cycle_is_drawn_up_and_submitted(self, month: Period) -> None:
        async def cycle() -> None:
            order = cycles.Order(self.area, month)
            async with self.database.transaction() as tx:
                cycle_id = await cycles.draw_up_cycle(tx, self.who("civil_affairs", "c"), self.settings, order)
                await cycles.concur_with_cycle(tx, self.who("cdpf", "d"), cycle_id)
                await cycles.approve_cycle(tx, self.who("finance", "f"), cycle_id)
                await cycles.request_submission(tx, self.who("finance", "f"), cycle_id)
            async with self.database.transaction() as tx:
                assert await submission.submit_if_known(tx, self.settings, cycle_id, on=TODAY)

        self.run(cycle())

    @rule()
    def settled_cycles_are_noted(self) -> None:
        async def note() -> None:
            async with self.database.transaction() as tx:
                await note_settled_cycles(tx)

        self.run(note())

    @rule(month=_MONTH, given_up=st.booleans())
    def a_draft_is_drawn_up_again_or_given_up(self, month: Period, given_up: bool) -> None:
        async def draft() -> None:
            who = self.who("civil_affairs", "c")
            async with self.database.transaction() as tx:
                cycle_id = await cycles.draw_up_cycle(tx, who, self.settings, cycles.Order(self.area, month))
                assert cycle_id == await cycles.draw_up_cycle(tx, who, self.settings, cycles.Order(self.area, month))
            if given_up:
                async with self.database.transaction() as tx:
                    await cycles.withdraw_cycle(tx, who, cycle_id)

        self.run(draft())

    @rule(pick=st.integers(0, 9))
    def a_batch_is_refused_and_recalled(self, pick: int) -> None:
        async def refuse() -> None:
            async with self.database.transaction() as tx:
                found = await tx.connection.execute(
                    text("SELECT batch_id FROM batches WHERE state = 'prepared' ORDER BY batch_id")
                )
                prepared = list(found.scalars())
                if not prepared:
                    return
                batch_id = prepared[pick % len(prepared)]
                told = await tx.connection.execute(
                    text("SELECT payment_id, status FROM payments WHERE batch_id = :id"), {"id": batch_id}
                )
                members = {row.payment_id: row.status for row in told}
                if set(members.values()) != {"sent"}:
                    return  # the bank has answered for some: it has the batch
                await dispatch.note_refused(tx, batch_id, "401")
            finance = self.who("finance", "f")
            answer = await recall_batch(self.database, _EmptyBank(), finance, batch_id, reason="r", on=TODAY)
            assert answer == "recalled"
            for payment_id in members:
                self.waiting.pop(payment_id, None)

        self.run(refuse())

    @rule()
    def batches_go_out(self) -> None:
        async def send() -> None:
            more = True
            while more:
                async with self.database.transaction() as tx:
                    more = await dispatch.prepare_batches(tx, self.settings, self.sealer, on=TODAY)
            async with self.database.transaction() as tx:
                sent = await tx.connection.execute(
                    text("SELECT * FROM payments WHERE person_id = ANY(:people) AND status = 'sent'"),
                    {"people": self.people},
                )
                for row in rows(sent):
                    assert row["payment_id"] not in self.cash, "sent again after it was paid"
                    self.waiting[row["payment_id"]] = row

        self.run(send())

    @rule(outcome=st.sampled_from(["settled", "settled", "failed", "returned"]), pick=st.integers(0, 99))
    def the_bank_answers(self, outcome: Any, pick: int) -> None:
        known = [*sorted(self.waiting), *sorted(self.cash)]
        if not known:
            return
        payment_id = known[pick % len(known)]
        if payment_id in self.cash and outcome == "failed":
            return  # a bank that contradicts itself is tested elsewhere
        code = None if outcome == "settled" else "closed"

        async def answer() -> None:
            async with self.database.transaction() as tx:
                told = BankResult(payment_id, outcome, TODAY, bank_ref=f"R{payment_id}", code=code)  # type: ignore[arg-type]
                assert not await record_results(tx, [told])

        self.run(answer())
        row = self.waiting.pop(payment_id, None)
        if outcome == "returned":
            self.cash.pop(payment_id, None)
        elif outcome == "settled" and row:
            transferred = row["amount_fen"] - row["offset_fen"]
            self.cash[payment_id] = (row["person_id"], Period.of(row["period"]), transferred)

    @rule(person=_WHO, month=_MONTH, amount_fen=st.sampled_from([None, 3_000]), percent=st.sampled_from([0, 30, 90]))
    def a_decision_claims_a_month_back(self, person: int, month: Period, amount_fen: int | None, percent: int) -> None:
        async def claim() -> None:
            who = self.who("civil_affairs", "c")
            async with self.database.transaction() as tx:
                recovery_id = await decisions.open_recovery(
                    tx, who, self.people[person], "living", {month: amount_fen}, cause="fraud", source="check",
                    reason="r", on=TODAY,
                )  # fmt: skip
                await recoveries.plan_recovery(tx, who, recovery_id, {}, offset_percent=percent, offset_basis="d")

        self._or_refused(claim())

    @rule(pick=st.integers(0, 9), amount_fen=st.sampled_from([1, 3_000, 10_000]), written_off=st.booleans())
    def something_is_repaid_or_written_off(self, pick: int, amount_fen: int, written_off: bool) -> None:
        async def act() -> None:
            async with self.database.transaction() as tx:
                found = (
                    await tx.connection.execute(
                        text("SELECT recovery_id FROM recoveries WHERE person_id = ANY(:people) ORDER BY 1"),
                        {"people": self.people},
                    )
                ).scalars()
                known = list(found)
                if not known:
                    return
                chosen, finance = known[pick % len(known)], self.who("finance", "f")
                if written_off:
                    civil_affairs = self.who("civil_affairs", "c")
                    await recoveries.propose_write_off(tx, civil_affairs, chosen, amount_fen=amount_fen, reason="r")
                    await recoveries.approve_write_off(tx, finance, chosen, on=TODAY)
                else:
                    await recoveries.record_repayment(
                        tx, finance, chosen, amount_fen=amount_fen, repaid_on=TODAY, document_no=None
                    )

        self._or_refused(act())

    def _or_refused(self, work: Coroutine[Any, Any, None]) -> None:
        with suppress(DomainError):  # refused whole: the transaction left nothing
            self.run(work)

    @invariant()
    def the_books_hold(self) -> None:
        self.run(self._check())

    async def _check(self) -> None:
        async with self.database.transaction() as tx:
            for promise in INVARIANTS:
                broken = rows(await tx.connection.execute(text(promise.sql)))
                assert not broken, (promise.name, broken)
            disallowed = {
                (row.person_id, Period.of(row.period)): row.amount_fen
                for row in await tx.connection.execute(
                    text(
                        "SELECT person_id, period, CASE WHEN whole THEN 1000000 ELSE amount_fen END AS amount_fen"
                        " FROM disallowances WHERE person_id = ANY(:people)"
                    ),
                    {"people": self.people},
                )
            }
            repaid = {
                (row.person_id, Period.of(row.period)): row.fen
                for row in await tx.connection.execute(
                    text(
                        "SELECT person_id, period, sum(repaid_fen)::bigint AS fen FROM recoveries"
                        " JOIN recovery_months USING (recovery_id) WHERE person_id = ANY(:people) GROUP BY 1, 2"
                    ),
                    {"people": self.people},
                )
            }
            cash: dict[tuple[str, Period], int] = defaultdict(int)
            for person, period, fen in self.cash.values():
                cash[person, period] += fen
            for person in self.people:
                for month in await read_account(tx, person, through=LAST):
                    key = (person, month["period"])
                    entitled_fen = max(0, self.schedule[key] - disallowed.get(key, 0))
                    assert month["entitled_fen"] == entitled_fen, month
                    assert month["paid_fen"] == cash[key] + month["offset_fen"] - repaid.get(key, 0), month
                    assert month["entitled_fen"] == (
                        month["paid_fen"] + month["in_flight_fen"] + month["held_fen"] + month["unpayable_fen"]
                        + month["due_fen"] - month["overpaid_fen"]
                    ), month  # fmt: skip
                    assert cash[key] + month["offset_fen"] <= self.most[key] + repaid.get(key, 0), ("paid twice", month)


def test_any_sequence_keeps_the_books(databases: Databases) -> None:
    loop = asyncio.new_event_loop()
    Disbursement.databases, Disbursement.loop = databases, loop
    Disbursement.sealer = Sealer.parse("k1:" + "0" * 32)
    examples, steps = (200, 40) if os.environ.get("LIANGBU_CHAOS") == "full" else (10, 20)
    bounds = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    try:
        run_state_machine_as_test(Disbursement, settings=bounds)
    finally:
        loop.close()
