"""What a service keeps of others' events is damaged, and comes back from the bus as it was."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from tests.e2e.test_takeover import as_csv, finished, import_roster
from tests.e2e.world import World, until

KEPT = {
    "entitlements": ("disbursement", "entitled_spans", "person_id, subsidy, months, amount_fen, area, level, cause"),
    "holds": ("disbursement", "findings", "finding_id, person_id, version, kind, subsidies, status, hold_from, due_on"),
    "payees": ("disbursement", "payees", "person_id, version, area, holder, bank, number_last4, obstacle"),
    "contacts": ("notification", "contacts", "person_id, version, area, phone IS NULL"),
    "roster": ("matching", "roster", "person_id, subsidy, version, area, schedule, stopped_because"),
    "applications": ("matching", "applications", "application_id, person_id, version, status, applied_on"),
    "spells": ("intake", "entitlements", "person_id, subsidy, version, is_open, last_period"),
}


@pytest.fixture(scope="module")
async def people(world: World) -> set[str]:
    """One person who is paid, one whose payments a finding holds, one whose resident ID was corrected, and one who was
    taken over from a roster and has another account since."""
    area = world.county()
    await world.appropriate(area)
    paid = await world.granted(area)
    held = await world.granted(area)
    wrong = await world.granted(area)
    lead = {"kind": "person.died", "id_number": held.id_number, "occurred_on": "2026-01-10", "area": area}
    await world.post("matching", "/v1/events", "civil_affairs", lead, area=area)

    async def holds() -> list[Any] | None:
        return await _rows(world, "holds", {held.person_id}) or None

    await until(holds, "the hold")
    await world.pay(area, "2026-01")
    right = await world.corrected(wrong)
    await world.until_months(right, "living", await world.months(paid, "living"))

    async def merged() -> bool | None:
        rows = [await _rows(world, name, {wrong.person_id, right.person_id}) for name in ("contacts", "applications")]
        return all(kept and all(right.person_id in row for row in kept) for kept in rows) or None

    await until(merged, "the merge")
    listed = await taken_over(world, world.county())
    await world.heard()
    return {paid.person_id, held.person_id, wrong.person_id, right.person_id, listed}


async def taken_over(world: World, area: str) -> str:
    """Who is told of with others on the roster, and then by themselves."""
    person, before, now = world.person(area), world.person(area), world.person(area)
    row = {
        "姓名": person.name, "身份证号": person.id_number, "残疾人证号": person.certificate_number,
        "发证日期": "2020-05-01", "有效期至": "2030-04-30", "户籍地区划代码": area, "经济状况": "低保",
        "纳入日期": "2020-01-01", "账户归属": "本人", "开户银行": "样例银行", "银行账号": before.account,
        "联系电话": "13800001234", "生活补贴首发月份": "2025-03", "生活补贴已发至": "2025-12",
    }  # fmt: skip
    report = await import_roster(world, area, as_csv([row]))
    assert (await finished(world, area, report["import_id"]))["granted"] == 1
    search = {"id_number": person.id_number}
    person_id: str = (await world.post("intake", "/v1/persons/search", "civil_affairs", search, area=area))["person_id"]
    card = {"holder": "own", "bank": "云南农信", "number": now.account, "status": "active"}
    change = await world.call("PUT", "intake", f"/v1/persons/{person_id}/account", "township", area, json=card)
    await world.post("intake", f"/v1/changes/{change.json()['change_id']}/approval", "civil_affairs", area=area)

    async def paid_there() -> bool | None:
        kept = await _rows(world, "payees", {person_id})
        return any(now.account[-4:] in row for row in kept) or None

    await until(paid_there, "the other account")
    return person_id


@pytest.mark.parametrize("projection", KEPT)
async def test_a_damaged_projection_is_emptied_and_filled_again_from_events(
    world: World, people: set[str], projection: str
) -> None:
    before = await _rows(world, projection, people)
    assert before
    database, table, _ = KEPT[projection]
    await _execute(
        world,
        database,
        f"DELETE FROM {table} WHERE version % 2 = 1"
        if "version" in KEPT[projection][2]
        else f"UPDATE {table} SET amount_fen = 1",
    )
    assert await _rows(world, projection, people) != before
    code, said = await world.liangbu("rebuild", "--projection", projection)
    assert code == 0, said
    assert await _rows(world, projection, people) == before
    await world.invariants_hold()


async def test_an_unknown_projection_is_refused_with_those_there_are(world: World) -> None:
    code, said = await world.liangbu("rebuild", "--projection", "postings")
    assert code == 2
    assert all(name in said for name in KEPT), said


async def _rows(world: World, projection: str, people: set[str]) -> list[Any]:
    """Of these people: others of this system may have news on their way."""
    database, table, columns = KEPT[projection]
    found = await _execute(world, database, f"SELECT {columns} FROM {table}")
    return sorted((tuple(row) for row in found if row["person_id"] in people), key=repr)


async def _execute(world: World, database: str, sql: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(world.database_dsn(database))
    try:
        return await connection.fetch(sql)
    finally:
        await connection.close()
