"""Portions of a roster that cannot be read: their recipients wait and are reported, everybody else is decided on, and
once they are told again the takeover goes on. Intake and eligibility on the bus."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from libs.common.outbox import request_replay
from libs.common.settings import Settings
from services.eligibility.main import build as build_eligibility
from services.intake.handlers import roster_imports
from services.intake.main import build as build_intake
from tests.conftest import Databases, Issuer, Running, eventually, running
from tests.integration.test_intake_takeover import AREA, as_csv, sample, sent

PERSONS = 250
"""Three portions; each begins with the row that its key ends in."""

ONE_WITHOUT_APPLICATION = "(jsonb_set(new.body::jsonb, '{data,recipients,7,applications}', '[]'))::text"
CUT_OFF = "left(new.body, 900)"


@asynccontextmanager
async def damaged(service: Running, portion: str, damage: str) -> AsyncIterator[None]:
    """What the service tells of the portion is damaged on its way; afterwards it is whole in its log and told again."""
    async with service.app.state.database.transaction() as tx:
        for statement in (
            "CREATE TABLE whole (event_id uuid, body text)",
            "CREATE FUNCTION damage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" INSERT INTO whole VALUES (new.event_id, new.body); new.body := {damage}; RETURN new; END $$",
            "CREATE TRIGGER damages BEFORE INSERT ON outbox FOR EACH ROW"
            f" WHEN (new.key LIKE '%:{portion}') EXECUTE FUNCTION damage()",
        ):
            await tx.driver.execute(statement)
    yield
    async with service.app.state.database.transaction() as tx:
        await tx.driver.execute(
            "DROP TRIGGER damages ON outbox;"
            " UPDATE outbox o SET body = w.body FROM whole w WHERE o.event_id = w.event_id"
        )
        await request_replay(tx.connection)


async def test_damaged_portions_wait_alone_are_reported_and_are_decided_once_told_again(
    databases: Databases,
    make_settings: Callable[..., Settings],
    issuer: Issuer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    roles = "api,relay,consumer"
    at_intake = make_settings(await databases.fresh("intake"), roles=roles, data_dir=tmp_path)
    at_eligibility = make_settings(await databases.fresh("eligibility"), roles=roles)
    async with (
        running(build_intake(at_intake), at_intake) as intake,
        running(build_eligibility(at_eligibility), at_eligibility) as eligibility,
    ):
        path = ""

        async def report() -> dict[str, Any]:
            answer = await intake.http.get(path, headers=issuer.bearer("auditor", AREA))
            found: dict[str, Any] = answer.json()
            return found

        async def waiting(persons: int, set_aside_by: Running) -> bool:
            return (await report())["waiting"] == persons and await count_of(set_aside_by, "dead_letters") > 0

        async def has_ended() -> bool:
            await intake.app.state.roster_reading.step()
            return bool((await report())["status"] == "finished")

        async with damaged(eligibility, "102", CUT_OFF):
            async with damaged(intake, "2", ONE_WITHOUT_APPLICATION):
                received = (await sent(intake, issuer, as_csv(sample(PERSONS)))).json()
                path = f"/v1/roster-imports/{received['import_id']}"
                await eventually(lambda: waiting(200, set_aside_by=eligibility))
                told = await report()
                assert (told["accepted"], told["unanswered"]) == (PERSONS, 0)
                assert told["granted"] > 30, "everybody else is decided on"
                assert not await has_ended()
            await eventually(lambda: waiting(100, set_aside_by=intake))
            with monkeypatch.context() as later:
                later.setattr(roster_imports, "_HEARD_WITHIN", timedelta(0))
                assert (await report())["unanswered"] == 100
                assert not await has_ended(), "however long it takes"
        await eventually(has_ended)
        told = await report()
        assert (told["waiting"], told["unanswered"]) == (0, 0)
        assert told["granted"] > PERSONS * 0.8
        taken_over = await count_of(
            intake,
            "outbox CROSS JOIN jsonb_array_elements(body::jsonb #> '{data,recipients}')"
            " WHERE type = 'recipients.taken_over.v1'",
        )
        assert taken_over == told["granted"], "nobody is taken over twice"


async def count_of(service: Running, counted: str) -> int:
    async with service.app.state.database.transaction() as tx:
        number: int = (await tx.connection.execute(text(f"SELECT count(*) FROM {counted}"))).scalar_one()
        return number
