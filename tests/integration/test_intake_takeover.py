"""Taking over a roster in intake, on a real database: read in chunks, interrupted anywhere, the same file once."""

from __future__ import annotations

import csv
import io
import itertools
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from deploy.local.sample.county import build_county
from deploy.local.sample.roster import COLUMNS, roster_csv
from libs.common.database import copy_rows, new_id, rows
from libs.common.events.eligibility import (
    EntitledMonths,
    EntitlementChanged,
    JudgedRecipient,
    RecipientsJudged,
    SubsidyDecision,
)
from libs.common.events.envelope import Envelope
from libs.common.events.matching import CertificateReassessed
from libs.common.period import Period, business_date
from libs.common.projection import Projection, Received
from libs.common.settings import Settings
from services.intake.application_records import filed_in
from services.intake.handlers import roster_imports
from services.intake.main import build
from services.intake.subscriptions import subscriptions
from tests.conftest import Databases, Issuer, Running, running

AREA = "530102"


@pytest.fixture
async def intake(databases: Databases, make_settings: Callable[..., Settings]) -> AsyncIterator[Callable[[], Any]]:
    """Starts intakes, each on a database of its own."""
    with tempfile.TemporaryDirectory() as folder:

        async def settings() -> Settings:
            url = await databases.fresh("intake")
            return make_settings(url, data_dir=Path(folder) / url.rsplit("/", 1)[-1])

        yield settings


def sample(persons: int, seed: int = 5) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(roster_csv(build_county(AREA, persons, seed)))))


def as_csv(listed: list[dict[str, str]], encoding: str = "utf-8-sig") -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="")
    writer.writeheader()
    writer.writerows(listed)
    return out.getvalue().encode(encoding)


async def sent(started: Running, issuer: Issuer, content: bytes, **how: Any) -> httpx.Response:
    headers = issuer.bearer(how.get("role", "civil_affairs"), how.get("area", AREA))
    return await started.http.post(f"/v1/roster-imports?area={how.get('into', AREA)}", content=content, headers=headers)


async def stored(started: Running) -> dict[str, list[Any]]:
    """What a takeover leaves behind, without what is drawn anew each time; persons' ids come from their IDs."""
    queries = {
        "applications": "SELECT person_id, area, subsidies, applied_on, status, facts FROM applications ORDER BY 1, 4",
        "subsidies": "SELECT person_id, subsidy, state FROM applied_subsidies ORDER BY 1, 2",
        "entries": "SELECT row, person_id, received, state FROM roster_entries ORDER BY 1, 2",
        "rejects": "SELECT row, field, kind, reason FROM roster_rejects ORDER BY 1, 2, 4",
        "told": "SELECT topic, type, split_part(key, ':', 2) AS first_row,"
        " jsonb_path_query_array(body::jsonb, '$.data.recipients[*].person_id') AS persons"
        " FROM outbox WHERE type <> 'roster.imported.v1' ORDER BY 1, 2, seq",
        "persons": "SELECT person_id, area, phone_token, adult_on FROM persons ORDER BY 1",
        "imports": "SELECT rows, position, read_at IS NOT NULL AS is_read FROM roster_imports",
    }
    async with started.app.state.database.transaction() as tx:
        return {name: list(rows(await tx.connection.execute(text(query)))) for name, query in queries.items()}


class Killed(Exception):
    """The process dies here, as far as its database can tell."""


async def test_interrupted_anywhere_a_takeover_goes_on_and_ends_equal(
    intake: Callable[[], Any], issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roster_imports, "CHUNK_ROWS", 40)
    monkeypatch.setattr("services.intake.api.roster_imports.AT_ONCE_ROWS", 0)
    listed = sample(300)
    listed[7]["姓名"] = ""
    listed.append(dict(listed[50]))
    outcomes = []
    for deaths in ((), ("applied_subsidies", "roster_entries", "roster_rejects", "applications")):
        settings = await intake()
        async with running(build(settings), settings) as started:
            answer = await sent(started, issuer, as_csv(listed))
            assert (answer.status_code, answer.json()["status"]) == (202, "reading")
            for done, table in enumerate(deaths, start=1):  # in the middle of the second chunk, then of the third, …
                with monkeypatch.context() as dying:
                    dying.setattr(roster_imports, "copy_rows", dies_at(table, 2))
                    with pytest.raises(Killed):
                        await started.app.state.roster_reading.step()
                now = await stored(started)
                assert now["imports"][0]["position"] == 40 * done
                assert 0 < max(entry["row"] for entry in now["entries"]) <= 40 * done + 1
            while await started.app.state.roster_reading.step():
                pass
            outcomes.append(await stored(started))
    assert outcomes[0]["imports"] == [{"rows": 301, "position": 301, "is_read": True}]
    assert outcomes[0] == outcomes[1]
    invalid = {(reject["row"], reject["field"]) for reject in outcomes[0]["rejects"]}
    assert {(9, "name"), (302, "id_number")} <= invalid


def dies_at(table: str, chunk: int) -> Callable[..., Any]:
    """Copies rows until the table of that chunk, counted from 1."""
    chunks = itertools.count(1)

    async def copy_or_die(tx: Any, name: str, columns: Any, rows_: Any) -> None:
        if name == table and next(chunks) == chunk:
            raise Killed
        await copy_rows(tx, name, columns, rows_)

    return copy_or_die


async def test_the_same_file_is_the_same_import_and_who_is_known_is_not_doubled(
    intake: Callable[[], Any], issuer: Issuer
) -> None:
    settings = await intake()
    async with running(build(settings), settings) as started:
        content = as_csv(sample(60), "gb18030")
        first = await sent(started, issuer, content)
        assert first.status_code == 201
        report = first.json()
        assert (report["status"], report["read"], report["rejected"]) == ("judging", 60, 0)
        before = await stored(started)
        assert (await sent(started, issuer, content)).json()["import_id"] == report["import_id"]
        assert await stored(started) == before

        other = (await sent(started, issuer, as_csv(sample(60)[:20]))).json()
        assert (other["accepted"], other["known"]) == (0, 20)
        rejects = (
            await started.http.get(
                f"/v1/roster-imports/{other['import_id']}/rejects", headers=issuer.bearer("auditor", AREA)
            )
        ).json()["items"]
        assert {item["kind"] for item in rejects} == {"known"}
        download = await started.http.get(
            f"/v1/roster-imports/{other['import_id']}/rejects.csv", headers=issuer.bearer("auditor", AREA)
        )
        assert download.text.startswith("\ufeffrow,field,kind,reason")


async def test_who_is_of_age_and_on_a_guardians_account_is_taken_over_and_listed_as_unpayable(
    intake: Callable[[], Any], issuer: Issuer
) -> None:
    settings = await intake()
    async with running(build(settings), settings) as started:
        listed = [row for row in sample(60) if row["账户归属"] == "本人" and row["残疾类别"] == "肢体"][:2]
        listed[0] |= {
            "账户归属": "监护人", "户名": "李强", "开户银行": "样例银行", "银行账号": "6217001234567890128",
            "监护人身份证号": listed[1]["身份证号"], "代领原因": "习惯由家人代领",
        }  # fmt: skip
        report = (await sent(started, issuer, as_csv(listed))).json()
        assert (report["accepted"], report["rejected"], report["unpayable"]) == (2, 0, 1)
        rejects = await started.http.get(
            f"/v1/roster-imports/{report['import_id']}/rejects", headers=issuer.bearer("auditor", AREA)
        )
        [named] = rejects.json()["items"]
        assert (named["row"], named["field"], named["kind"]) == (2, "holder", "unpayable")
        async with started.app.state.database.transaction() as tx:
            found = await tx.connection.execute(text("SELECT * FROM applications WHERE account_token IS NULL"))
            declared = filed_in(found.mappings().one()).declaration(started.app.state.vault).account
        assert declared is not None
        assert (declared.holder, declared.status) == ("own", "none"), "nothing of the guardian's is put in force"


async def judged(started: Running, eligible: bool) -> None:
    """Eligibility answers on everything that the row lists."""
    async with started.app.state.database.transaction() as tx:
        found = await tx.connection.execute(text("SELECT import_id, person_id, received FROM roster_entries"))
        entry = found.mappings().one()
        decisions = tuple(
            SubsidyDecision(subsidy=subsidy, eligible=eligible, reasons=()) for subsidy in entry["received"]
        )
        person_id = entry["person_id"]
        schedules = tuple(
            EntitlementChanged(
                person_id=person_id, version=1, subsidy=subsidy, schedule=_MONTHS, cause="recipients.listed", area=AREA
            )
            for subsidy in entry["received"]
            if eligible
        )
        data = RecipientsJudged(
            version=1,
            import_id=entry["import_id"],
            portion="test",
            recipients=(
                JudgedRecipient(person_id=person_id, policy_version="test", decisions=decisions, schedules=schedules),
            ),
        )
        envelope = Envelope(
            id=new_id(), source="/liangbu/eligibility", type=data.type, subject=data.key, time=tx.now, data={}
        )
        projection = Projection(started.app.state.database, "intake", subscriptions(started.app.state.vault))
        await projection.take(tx, [Received(envelope, data)])


_MONTHS = (
    EntitledMonths(
        from_=Period(2025, 1), to=None, amount_fen=9_000, area=AREA, level=2, policy_version="test", cause="test"
    ),
)


def own_card(persons: int = 60) -> dict[str, str]:
    return next(row for row in sample(persons) if row["账户归属"] == "本人" and row["银行账号"])


async def test_while_a_recipient_waits_no_id_is_corrected_and_an_account_approved_meanwhile_stands(
    intake: Callable[[], Any], issuer: Issuer
) -> None:
    settings = await intake()
    async with running(build(settings), settings) as started:
        row = own_card()
        await sent(started, issuer, as_csv([row]))
        clerk, chief = issuer.bearer("township", AREA), issuer.bearer("civil_affairs", AREA)
        search = {"id_number": row["身份证号"]}
        person_id = (await started.http.post("/v1/persons/search", json=search, headers=chief)).json()["person_id"]

        async def approve(part: str, body: dict[str, Any]) -> httpx.Response:
            change = await started.http.put(f"/v1/persons/{person_id}/{part}", json=body, headers=clerk)
            assert change.status_code == 202, change.text
            return await started.http.post(f"/v1/changes/{change.json()['change_id']}/approval", headers=chief)

        other = next(item["身份证号"] for item in sample(60) if item["身份证号"] != row["身份证号"])
        refused = await approve("id-number", {"id_number": other})
        assert (refused.status_code, refused.json()["type"].rsplit("/")[-1]) == (409, "being-taken-over")
        number = "6217009999999999995"
        card = {"holder": "own", "bank": "云南农信", "number": number, "status": "active"}
        assert (await approve("account", card)).status_code == 200

        await judged(started, eligible=True)
        async with started.app.state.database.transaction() as tx:
            accounts = await tx.connection.execute(text("SELECT number_last4 FROM accounts WHERE replaced_at IS NULL"))
            assert list(accounts.scalars()) == [number[-4:]]
            told = await tx.connection.execute(
                text(
                    "SELECT body::jsonb -> 'data' AS data FROM outbox WHERE type = 'payee.changed.v1' ORDER BY version"
                )
            )
            last = list(told.scalars())[-1]
            first = await tx.connection.execute(
                text(
                    "SELECT body::jsonb #> '{data,recipients,0,payee}' FROM outbox"
                    " WHERE type = 'recipients.taken_over.v1'"
                )
            )
            assert last["account"]["number_last4"] == number[-4:]
            assert last["version"] > first.scalar_one()["version"]
        await invariants_hold(started, issuer)


async def test_nothing_of_who_is_refused_is_told_and_another_roster_may_list_them_again(
    intake: Callable[[], Any], issuer: Issuer
) -> None:
    settings = await intake()
    async with running(build(settings), settings) as started:
        row = own_card()
        await sent(started, issuer, as_csv([row]))
        await judged(started, eligible=False)
        async with started.app.state.database.transaction() as tx:
            kept = await tx.connection.execute(
                text("SELECT payee_version, contact_version, (SELECT count(*) FROM accounts) AS accounts FROM persons")
            )
            assert kept.mappings().one() == {"payee_version": 0, "contact_version": 0, "accounts": 0}
            told = await tx.connection.execute(text("SELECT type FROM outbox"))
            assert set(told.scalars()) == {"roster.imported.v1", "recipients.listed.v1"}
        again = (await sent(started, issuer, as_csv([{**row, "备注": "更正"}]))).json()
        assert (again["accepted"], again["known"]) == (1, 0)
        await invariants_hold(started, issuer)


async def test_a_certificate_that_is_told_while_a_recipient_waits_counts_once_it_is_decided(
    intake: Callable[[], Any], issuer: Issuer
) -> None:
    settings = await intake()
    async with running(build(settings), settings) as started:
        await sent(started, issuer, as_csv([own_card()]))
        database, vault = started.app.state.database, started.app.state.vault

        async def known() -> tuple[Any, list[bool]]:
            """The category that the person is kept with, and what was told of them since the takeover."""
            async with database.transaction() as tx:
                category = await tx.connection.execute(text("SELECT certificate ->> 'category' FROM persons"))
                told = await tx.connection.execute(
                    text("SELECT body::jsonb -> 'data' -> 'cannot_act' FROM outbox WHERE type = 'payee.changed.v1'")
                )
                return category.scalar_one(), list(told.scalars())

        listed, told = await known()
        assert (listed != "mental", told) == (True, [])
        async with database.transaction() as tx:
            person_id = (await tx.connection.execute(text("SELECT person_id FROM persons"))).scalar_one()
            about = {"person_id": person_id, "fact_id": new_id(), "known_at": tx.now, "source": "certificates"}
            data = CertificateReassessed(occurred_on=business_date(tx.now), category="mental", level=1, **about)
            envelope = Envelope(
                id=new_id(), source="/liangbu/matching", type=data.type, subject=data.key, time=tx.now, data={}
            )
            await Projection(database, "intake", subscriptions(vault)).take(tx, [Received(envelope, data)])
        assert await known() == (listed, [])
        await judged(started, eligible=True)
        assert await known() == ("mental", [True])
        await invariants_hold(started, issuer)


async def invariants_hold(started: Running, issuer: Issuer) -> None:
    answer = (await started.http.get("/v1/invariants", headers=issuer.bearer("admin", "53"))).json()
    assert answer["holds"], [item for item in answer["invariants"] if not item["holds"]]


async def test_only_the_countys_civil_affairs_takes_a_roster_over(intake: Callable[[], Any], issuer: Issuer) -> None:
    settings = await intake()
    async with running(build(settings), settings) as started:
        content = as_csv(sample(3))
        assert (await sent(started, issuer, content, role="township")).status_code == 403
        assert (await sent(started, issuer, content, into="530103")).status_code == 403
        refused = await sent(started, issuer, b"a,b\n1,2\n")
        assert (refused.status_code, refused.json()["type"].rsplit("/")[-1]) == (422, "unreadable-roster")
        assert {item["path"] for item in refused.json()["errors"]} >= {"name", "id_number"}
        report = (await sent(started, issuer, content)).json()
        elsewhere = issuer.bearer("civil_affairs", "530103")
        hidden = await started.http.get(f"/v1/roster-imports/{report['import_id']}", headers=elsewhere)
        assert hidden.status_code == 404
        # What no file holds in plain text: the roster lies encrypted in both stores.
        kept = [path for path in settings.data_dir.rglob("*") if path.is_file()]
        assert len(kept) == 2
        assert all("残疾".encode() not in path.read_bytes() for path in kept)
