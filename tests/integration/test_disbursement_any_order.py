"""Whatever happens to entitlements, holds, accounts, heirs, ids, takeovers, cycles, the bank, recoveries, institutions
and closings, in any order: the books balance, every month is accounted for to the fen, nothing is paid twice and
nothing is lost. The model below knows only what the bank transferred, what was decided, and what the schedule says; the
service's own SQL runs on PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections import defaultdict
from collections.abc import Coroutine
from contextlib import suppress
from datetime import datetime, timedelta
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
from services.disbursement.handlers import (
    closings,
    cycles,
    decisions,
    dispatch,
    heirs,
    institutions,
    opening,
    projections,
    recoveries,
    submission,
)
from services.disbursement.handlers.accounts import read_account
from services.disbursement.handlers.books import appropriate
from services.disbursement.handlers.recalls import recall_batch
from services.disbursement.handlers.reconciliation import close_if_clean, note_settled_cycles
from services.disbursement.handlers.results import BankResult, record_results
from services.disbursement.invariants import INVARIANTS
from services.disbursement.ledger import Book
from tests.conftest import Databases

TODAY = business_today()  # results are dated after the cycles, whose time is the database's
FIRST, LAST = Period(2026, 1), Period(2026, 4)
MONTHS = [Period(2026, month) for month in range(1, 5)]
PEOPLE = 3
ORG = "12530102MB00001234"
_SERIAL = itertools.count(1)
_WHO = st.integers(0, PEOPLE - 1)
_MONTH = st.sampled_from(MONTHS)
_SAID_OTHERWISE = text(
    "SELECT * FROM payable_to p FULL JOIN unpayable u USING (person_id) WHERE p.obstacle IS DISTINCT FROM u.obstacle"
)


_BANKS_WORD = (
    "INSERT INTO statement_lines (payment_id, batch_id, amount_fen, status, read_at)"
    " SELECT payment_id, batch_id, amount_fen - offset_fen, status, now() FROM payments WHERE status <> 'pending'"
    " AND status <> 'sent' ON CONFLICT (payment_id) DO UPDATE SET status = excluded.status",
    "INSERT INTO sms_receipts (payment_id, sent_at, missing) SELECT payment_id, now(), '{}' FROM payments"
    " WHERE status IN ('settled', 'returned') ON CONFLICT DO NOTHING",
)
"""The bank's statement and its SMS, which say what happened."""


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
        self.ids = [f"p1-any-{serial}-{number}" for number in range(PEOPLE)]
        self.people = list(self.ids)
        """Those who go on under their own id; the others are merged into them."""
        self.members: dict[str, tuple[str, ...]] = dict.fromkeys(self.ids, ())
        self.untold: list[EntitlementChanged] = []
        self.newest: dict[str, int] = {}
        self.to_heir: set[str] = set()
        self.elsewhere: dict[tuple[str, Period], int] = defaultdict(int)
        self.entrusted: dict[UUID, int] = {}
        self.used_fen = 0
        self.struck: dict[Period, Any] = {}
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
        for key in self.ids:
            await self._told_account(key)
            await self._told_schedule(key, FIRST, LAST, 10_000)

    async def _told_schedule(
        self, key: str, first: Period, last: Period, amount_fen: int, *, death: bool = False, to_heir: bool = False
    ) -> None:
        data = self._schedule(
            key, first, last, amount_fen, cause="application.approved", stopped_because="alive" if death else None,
            died_on=last.last_day if death else None, to_heir=to_heir,
        )  # fmt: skip
        await self._tell_schedule(data)
        self._is_entitled(data, amount_fen, first, last)

    def _is_entitled(self, data: EntitlementChanged, amount_fen: int, first: Period, last: Period) -> None:
        key = data.person_id
        self.newest[key] = data.version
        (self.to_heir.add if data.to_heir else self.to_heir.discard)(key)
        for month in MONTHS:
            fen = amount_fen if first <= month <= last else 0
            self.schedule[key, month] = fen
            self.most[key, month] = max(self.most[key, month], fen)

    def _schedule(
        self, key: str, first: Period, last: Period, amount_fen: int, *, cause: str, **more: Any
    ) -> EntitlementChanged:
        self.version += 1
        span = EntitledMonths(
            from_=first, to=last, amount_fen=amount_fen, area=self.area, level=1, policy_version="t", cause="c"
        )
        return EntitlementChanged(
            person_id=key, version=self.version, subsidy="living", schedule=(span,) if first <= last else (),
            cause=cause, area=self.area, members=self.members[key], **more,
        )  # fmt: skip

    async def _tell_schedule(self, data: EntitlementChanged) -> None:
        async with self.database.transaction() as tx:
            # All that it reads of what was received.
            await projections.keep_schedules(self.sealer, tx, [SimpleNamespace(data=data)])  # type: ignore[list-item]  # the fields it reads

    async def _told_account(self, key: str, holder: Any = "own") -> None:
        """The card of one's own, of a guardian, an institution's account, or none any more."""
        self.version += 1
        event_id = new_id()
        account = None if holder is None else PayeeAccount(
            holder=holder, holder_name=self.sealer.seal("甲", event_id, "account.holder_name"), bank="b",
            number=self.sealer.seal("6222000000000000", event_id, "account.number"), number_last4="0000",
            status="active", number_token=f"t{self.version}", reason=None if holder == "own" else "无法办理社会保障卡",
            org_code=ORG if holder == "institution" else None,
        )  # fmt: skip
        data = PayeeChanged(
            person_id=key, version=self.version, area=self.area,
            person_name=self.sealer.seal("甲", event_id, "person_name"), phone=None,
            account=account, cannot_act=holder in ("guardian", "institution"), effective_on=TODAY,
        )  # fmt: skip
        async with self.database.transaction() as tx:
            await projections.keep_payees(self.sealer, tx, [SimpleNamespace(data=data, event_id=event_id)])  # type: ignore[list-item]  # the fields it reads

    @rule(person=_WHO, first=_MONTH, last=_MONTH, amount_fen=st.sampled_from([8_000, 10_000, 12_000]))
    def the_entitlement_changes(self, person: int, first: Period, last: Period, amount_fen: int) -> None:
        self.run(self._told_schedule(self._who(person), first, last, amount_fen))

    @rule(person=_WHO, last=_MONTH, known_at_approval=st.booleans())
    def the_person_died(self, person: int, last: Period, known_at_approval: bool) -> None:
        self.run(self._told_schedule(self._who(person), FIRST, last, 10_000, death=True, to_heir=known_at_approval))

    @rule(person=_WHO)
    def an_heir_proves_it(self, person: int) -> None:
        async def approve() -> None:
            heir = heirs.Heir("子女", "乙", "b", "6222000000000001", None, "公证书1")
            async with self.database.transaction() as tx:
                key, township = self._who(person), self.who("township", "t")
                heir_id = await heirs.propose_heir(tx, township, self.sealer, key, heir)
                await heirs.approve_heir(tx, self.who("civil_affairs", "c"), heir_id)

        self._or_refused(approve())

    @rule(person=_WHO)
    def the_heir_turns_out_to_be_none(self, person: int) -> None:
        async def end() -> None:
            async with self.database.transaction() as tx:
                found = await tx.connection.execute(
                    text(
                        "SELECT heir_id FROM heirs WHERE person_id = :id AND number IS NOT NULL"
                        " AND approved_at IS NOT NULL AND replaced_at IS NULL"
                    ),
                    {"id": self._who(person)},
                )
                for heir_id in found.scalars():
                    await heirs.propose_end(tx, self.who("township", "t"), heir_id, reason="公证书被撤销")
                    await heirs.approve_end(tx, self.who("civil_affairs", "c"), heir_id)

        self.run(end())

    @rule(wrong=_WHO, right=_WHO, first=_MONTH, order=st.permutations([0, 1]), at_once=st.booleans())
    def two_ids_turn_out_to_be_one_person(
        self, wrong: int, right: int, first: Period, order: list[int], at_once: bool
    ) -> None:
        old, root = self._who(wrong), self._who(right)
        if old == root:
            return
        self.members[root] += (old, *self.members.pop(old))
        self.members[old] = ()
        events = [
            self._schedule(
                old, LAST, FIRST, 10_000, cause="person.merged", stopped_because="person.merged", merged_into=root
            ),
            self._schedule(root, first, LAST, 10_000, cause="person.merged"),
        ]
        self.people.remove(old)
        self.untold += [events[number] for number in order]
        self._what_was_of(old, root)
        for _ in range(1 + at_once):
            self.the_rest_of_a_merge_is_told(-1)

    def _what_was_of(self, old: str, root: str) -> None:
        """It is the survivor's from the first that is told of it."""
        self.to_heir.discard(old)
        for payment_id, (key, period, fen) in list(self.cash.items()):
            if key == old:
                self.cash[payment_id] = (root, period, fen)
        for row in self.waiting.values():
            row["person_id"] = root if row["person_id"] == old else row["person_id"]
        for month in MONTHS:
            self.elsewhere[root, month] += self.elsewhere.pop((old, month), 0)
            self.most[root, month] += self.most.pop((old, month), 0)
        if old in self.holding:
            self.holding.setdefault(root, self.holding.pop(old))

    @rule(pick=st.integers(0, 9))
    def the_rest_of_a_merge_is_told(self, pick: int) -> None:
        if not self.untold:
            return
        data = self.untold.pop(pick % len(self.untold) if pick >= 0 else -1)
        self.run(self._tell_schedule(data))
        if data.person_id in self.people and data.version >= self.newest.get(data.person_id, 0):
            [months] = data.schedule
            self._is_entitled(data, 10_000, months.from_, LAST)

    @rule(person=_WHO, first=_MONTH, last=_MONTH, amount_fen=st.sampled_from([8_000, 10_000]), late=st.booleans())
    def months_paid_elsewhere_are_entered(
        self, person: int, first: Period, last: Period, amount_fen: int, late: bool
    ) -> None:
        """Of whom the roster may name by an id that was corrected since."""
        key = self._who(person)
        told_of = (*self.members[key], key)[0] if late else key
        paid = (SimpleNamespace(from_=first, to=last, amount_fen=amount_fen),) if first <= last else ()
        recipient = SimpleNamespace(person_id=told_of, paid={"living": paid}, area=self.area)
        event = SimpleNamespace(recipients=(recipient,), import_id=new_id())

        async def enter() -> None:
            async with self.database.transaction() as tx:
                await opening.enter_openings(tx, [event])  # type: ignore[list-item]  # the fields it reads

        self.run(enter())
        for month in MONTHS:
            if first <= month <= last and not self.elsewhere[key, month]:
                self.elsewhere[key, month] = amount_fen

    @rule(person=_WHO, holder=st.sampled_from(["own", "guardian", "institution", None]))
    def the_account_changes(self, person: int, holder: str | None) -> None:
        self.run(self._told_account(self._who(person), holder))

    @rule(
        person=_WHO, amount_fen=st.sampled_from([1, 3_000, 10_000]), category=st.sampled_from(["medical", "returned"])
    )
    def an_institution_uses_a_childs_money(self, person: int, amount_fen: int, category: str) -> None:
        use = {"category": category, "amount_fen": amount_fen, "used_on": TODAY, "note": None}
        use |= {"person_id": self._who(person), "receipt_no": str(new_id())}

        async def spend() -> None:
            async with self.database.transaction() as tx:
                await institutions.record_use(tx, self.who("civil_affairs", "c"), ORG, use)
            self.used_fen += amount_fen

        self._or_refused(spend())

    @rule()
    def all_is_paid_and_a_month_of_the_books_is_closed(self) -> None:
        self.a_cycle_is_drawn_up_and_submitted(LAST)
        self.batches_go_out()
        while self.waiting:
            self.the_bank_answers("settled", 0)

        async def close() -> None:
            async with self.database.transaction() as tx:
                await note_settled_cycles(tx)
                for statement in _BANKS_WORD:
                    await tx.connection.execute(text(statement))
                settled = await tx.connection.execute(text("SELECT cycle_id FROM cycles WHERE status = 'settled'"))
                for cycle_id in settled.scalars().all():
                    await close_if_clean(tx, cycle_id)
            period = Period.of(TODAY + timedelta(days=31 * len(self.struck)))
            async with self.database.transaction() as tx:
                closing = await closings.close_month(
                    tx, self.who("finance", "f"), self.area, period, on=period.next.last_day
                )
            self.struck[period] = closing["balances"]

        self._or_refused(close())

    @rule(person=_WHO, month=_MONTH)
    def a_finding_holds_or_is_dismissed(self, person: int, month: Period) -> None:
        key = self._who(person)
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
                await projections.keep_findings(tx, [SimpleNamespace(data=data)])  # type: ignore[list-item]  # the fields it reads

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
                    if row["payment_id"] not in self.waiting and row["person_id"] in self.to_heir:
                        assert row["holder"] == "heir", "paid to the card of somebody known to be dead"
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
            self.entrusted.pop(payment_id, None)
        elif outcome == "settled" and row:
            transferred = row["amount_fen"] - row["offset_fen"]
            self.cash[payment_id] = (row["person_id"], Period.of(row["period"]), transferred)
            if row["holder"] == "institution":
                self.entrusted[payment_id] = transferred

    @rule(person=_WHO, month=_MONTH, amount_fen=st.sampled_from([None, 3_000]), percent=st.sampled_from([0, 30, 90]))
    def a_decision_claims_a_month_back(self, person: int, month: Period, amount_fen: int | None, percent: int) -> None:
        async def claim() -> None:
            who = self.who("civil_affairs", "c")
            async with self.database.transaction() as tx:
                recovery_id = await decisions.open_recovery(
                    tx, who, self._who(person), "living", {month: amount_fen}, cause="fraud", source="check",
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

    def _who(self, person: int) -> str:
        return self.people[person % len(self.people)]

    def _or_refused(self, work: Coroutine[Any, Any, None]) -> None:
        with suppress(DomainError):  # refused whole: the transaction left nothing
            self.run(work)

    @invariant()
    def the_books_hold(self) -> None:
        self.run(self._check())

    async def _check(self) -> None:
        async with self.database.transaction() as tx:
            awaited = any(data.members for data in self.untold)  # a schedule that knows what was paid under both ids
            for promise in INVARIANTS:
                if awaited and promise.name == "no month is paid twice":
                    continue
                broken = rows(await tx.connection.execute(text(promise.sql)))
                assert not broken, (promise.name, broken)
            assert not rows(await tx.connection.execute(_SAID_OTHERWISE)), "why nobody can be paid is one thing"
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
                    paid_fen = cash[key] + self.elsewhere[key] + month["offset_fen"]
                    assert month["paid_fen"] == paid_fen - repaid.get(key, 0), month
                    assert month["entitled_fen"] == (
                        month["paid_fen"] + month["in_flight_fen"] + month["held_fen"] + month["unpayable_fen"]
                        + month["due_fen"] - month["overpaid_fen"]
                    ), month  # fmt: skip
                    assert cash[key] + month["offset_fen"] <= self.most[key] + repaid.get(key, 0), ("paid twice", month)
            held = await tx.connection.execute(
                text("SELECT coalesce(sum(balance_fen), 0) FROM balances WHERE account = 'institution_funds'")
            )
            assert held.scalar_one() == sum(self.entrusted.values()) - self.used_fen
            for period, balances in self.struck.items():
                assert await closings.balances_at(tx, self.area, period) == balances, ("booked into", period)


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
