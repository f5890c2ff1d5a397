"""A county starts with the recipients it has: its roster is taken over, and exactly what was not paid is paid."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from deploy.local.sample.county import build_county
from deploy.local.sample.roster import COLUMNS, roster_csv
from libs.common.identity import check_character
from libs.common.period import Period
from services.intake.api.roster_imports import AT_ONCE_ROWS
from tests.e2e.world import World, until

PERSONS = 1000
LAST_PAID = Period(2025, 12)


def roster_of(area: str, seed: int, persons: int = PERSONS) -> list[dict[str, str]]:
    """The sample county's roster, moved into the county of the test."""
    rows = list(csv.DictReader(io.StringIO(roster_csv(build_county("530102", persons, seed)))))
    return [{**row, "户籍地区划代码": area + row["户籍地区划代码"][6:]} for row in rows]


def as_csv(rows: list[dict[str, str]]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode("gb18030")


async def import_roster(world: World, area: str, content: bytes) -> dict[str, Any]:
    answer = await world.call(
        "POST", "intake", f"/v1/roster-imports?area={area}", "civil_affairs", area, content=content
    )
    assert answer.status_code in (201, 202), answer.text
    report: dict[str, Any] = answer.json()
    return report


async def finished(world: World, area: str, import_id: str) -> dict[str, Any]:
    async def is_finished() -> Any:
        report = await world.get("intake", f"/v1/roster-imports/{import_id}", area=area)
        return report if report["status"] == "finished" else None

    report: dict[str, Any] = await until(is_finished, "the roster to be taken over", within_s=600)
    return report


async def rejects_of(world: World, area: str, import_id: str) -> list[dict[str, Any]]:
    items, cursor = [], ""
    while True:
        page = await world.get("intake", f"/v1/roster-imports/{import_id}/rejects?limit=500{cursor}", area=area)
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        cursor = f"&cursor={page['next_cursor']}"


async def drawn_up(world: World, area: str, period: str) -> dict[str, Any]:
    """The cycle, once everything that was taken over has arrived."""

    async def cycle() -> Any:
        body = {"area": area, "period": period}
        answer = await world.call("POST", "disbursement", "/v1/cycles", "civil_affairs", area, json=body)
        return answer.json() if answer.status_code == 201 else None

    found: dict[str, Any] = await until(cycle, "a cycle to be drawn up", within_s=120)
    return found


async def items_of(world: World, area: str, cycle_id: str) -> list[dict[str, Any]]:
    items, cursor = [], ""
    while True:
        page = await world.get("disbursement", f"/v1/cycles/{cycle_id}/items?limit=500{cursor}", area=area)
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        cursor = f"&cursor={page['next_cursor']}"


@pytest.fixture(scope="module")
def damaged() -> dict[int, tuple[str, str, str]]:
    """Row (as a spreadsheet counts) → column, what stands in it, and which column is named for it."""
    return {
        5: ("身份证号", "530102197005010019", "id_number"),
        9: ("姓名", "", "name"),
        12: ("户籍地区划代码", "530302001", "hukou_area"),
        17: ("发证日期", "昨天", "issued_on"),
        21: ("残疾等级", "九级", "level"),
    }


async def test_a_thousand_recipients_are_taken_over_and_exactly_the_unpaid_months_are_paid(
    world: World, damaged: dict[int, tuple[str, str, str]]
) -> None:
    area = world.county()
    await world.appropriate(area, 10**10)
    await world.appropriate(area, 10**10, year=2025)
    rows = roster_of(area, seed=11)
    for number, (column, cell, _) in damaged.items():
        rows[number - 2][column] = cell
    rows.append(dict(rows[100]))  # somebody twice
    content = as_csv(rows)

    report = await import_roster(world, area, content)
    report = await finished(world, area, report["import_id"])
    assert (report["rows"], report["waiting"], report["known"]) == (PERSONS + 1, 0, 0)
    assert report["rejected"] + report["accepted"] == report["rows"]
    assert len(damaged) < report["rejected"] < 0.03 * PERSONS
    assert report["granted"] > 0.5 * PERSONS
    assert report["refused"] > 0

    # What cannot stand, and what policy refuses, is reported: never paid.
    rejects = await rejects_of(world, area, report["import_id"])
    named = {(item["row"], item["field"]) for item in rejects if item["kind"] == "invalid"}
    assert {(number, field) for number, (_, _, field) in damaged.items()} <= named
    assert (PERSONS + 2, "id_number") in named
    refused = [item for item in rejects if item["kind"] == "refused"]
    assert refused
    assert all(item["field"] in ("living", "care") and "国发" in item["reason"] for item in refused), refused[:3]
    download = await world.call(
        "GET", "intake", f"/v1/roster-imports/{report['import_id']}/rejects.csv", "auditor", area
    )
    assert len(download.text.splitlines()) == len(rejects) + 1

    # The next month's cycle pays that month, what was not paid before, and nothing else.
    cycle = await drawn_up(world, area, "2026-01")
    items = await items_of(world, area, cycle["cycle_id"])
    by_person: dict[tuple[str, str], set[str]] = {}
    for item in items:
        by_person.setdefault((item["person_id"], item["subsidy"]), set()).add(item["period"])
    refused_pairs = {(item["row"], item["field"]) for item in refused}
    bad_rows = {item["row"] for item in rejects if item["kind"] == "invalid"}
    expected = sorted(
        due
        for number, row in enumerate(rows, start=2)
        if number not in bad_rows
        for subsidy, title in (("living", "生活补贴"), ("care", "护理补贴"))
        if row[f"{title}首发月份"] and (number, subsidy) not in refused_pairs
        if (due := due_of(row, title))
    )
    assert sorted(sorted(periods) for periods in by_person.values()) == expected

    # Who was paid elsewhere beyond the entitlement owes it back, from the month on in which it had ended.
    cases = (await world.get("disbursement", f"/v1/recoveries?area={area}", area=area))["items"]
    assert [case["cause"] for case in cases] == ["not_in_tekun"]
    assert cases[0]["months"][-1]["period"] == str(LAST_PAID)

    await world.submit(area, cycle["cycle_id"])
    await world.cycle_reaches(area, cycle["cycle_id"], "settled", "closed", within_s=120)
    await world.invariants_hold()

    # The same file again is the same import; a person who stands on another file is known.
    again = await import_roster(world, area, content)
    assert again == await world.get("intake", f"/v1/roster-imports/{report['import_id']}", area=area)
    other = await import_roster(world, area, as_csv(rows[30:60]))
    other = await finished(world, area, other["import_id"])
    assert other["granted"] == 0
    assert other["known"] > 10
    cycle = await drawn_up(world, area, "2026-01")
    assert cycle["counts"]["payable"] == 0
    await world.invariants_hold()


def due_of(row: dict[str, str], title: str) -> list[str]:
    """The months to the first of 2026 that the roster does not call paid, while its certificate holds; none of who has
    come into tekun support, which excludes both subsidies."""
    if row["经济状况"] == "特困":
        return []
    until_text = row[f"{title}已发至"]
    first = Period.parse(row[f"{title}首发月份"])
    if until_text != "未发":
        first = Period.parse(until_text).next
    expires_on = date.fromisoformat(row["有效期至"])
    return [str(period) for period in first.through(Period(2026, 1)) if period.first_day <= expires_on]


async def test_who_could_not_be_paid_is_paid_once_with_arrears_when_an_account_is_approved(world: World) -> None:
    area = world.county()
    for year in (2025, 2026):
        await world.appropriate(area, year=year)
    person, relative = world.person(area), world.person(area)
    listed = {
        "姓名": person.name, "身份证号": person.id_number, "残疾人证号": person.certificate_number,
        "发证日期": "2020-05-01", "有效期至": "2030-04-30", "户籍地区划代码": area, "经济状况": "低保",
        "纳入日期": "2020-01-01", "账户归属": "监护人", "户名": relative.name, "开户银行": "样例银行",
        "银行账号": relative.account, "监护人身份证号": relative.id_number, "代领原因": "习惯由家人代领",
        "生活补贴首发月份": "2025-03", "生活补贴已发至": "2025-10",
    }  # fmt: skip
    report = await import_roster(world, area, as_csv([listed]))
    report = await finished(world, area, report["import_id"])
    assert (report["granted"], report["unpayable"]) == (1, 1)
    found = await world.post(
        "intake", "/v1/persons/search", "civil_affairs", {"id_number": person.id_number}, area=area
    )
    person.person_id = found["person_id"]

    # Of age and able to act: entitled, and nothing goes to the relative.
    cycle = await drawn_up(world, area, "2026-01")
    assert (cycle["counts"]["payable"], cycle["counts"]["unpayable"]) == (0, 3)
    owed = {"2025-11": 9_000, "2025-12": 9_000, "2026-01": 10_000}
    for period, fen in owed.items():
        await world.until_books(person, "living", period, paid_fen=0, owed_fen=fen, payee_ready=False)

    body = {"holder": "own", "bank": "云南农信", "number": person.account, "status": "active"}
    path = f"/v1/persons/{person.person_id}/account"
    change = await world.call("PUT", "intake", path, "township", area, json=body)
    assert change.status_code == 202, change.text
    await world.post("intake", f"/v1/changes/{change.json()['change_id']}/approval", "civil_affairs", area=area)
    await world.pay(area, "2026-02")
    for period, fen in {**owed, "2026-02": 10_000}.items():
        await world.until_books(person, "living", period, paid_fen=fen, owed_fen=0)
    again = await world.draw_up(area, "2026-02")
    assert again["counts"]["payable"] == 0
    assert sorted(item["amount_fen"] for item in await world.transfers(person)) == [9_000, 9_000, 10_000, 10_000]
    assert await world.transfers(relative) == []
    await world.invariants_hold()


async def test_the_command_line_tells_by_its_exit_code_how_a_takeover_ended(world: World, tmp_path: Path) -> None:
    area = world.county()
    rows = roster_of(area, seed=31, persons=20)
    nameless = {**rows[0], "姓名": ""}
    files = {
        "one rejected": (as_csv([nameless, *rows[1:]]), 0),
        "known": (as_csv(rows[1:]), 0),
        "all rejected": (as_csv([nameless]), 3),
        "no roster": (b"a,b\n1,2\n", 1),
    }
    for name, (content, expected) in files.items():
        path = tmp_path / f"{name}.csv"
        path.write_bytes(content)
        command = (sys.executable, "-m", "deploy.local.cli", "import-roster", str(path), "--area", area)
        ended = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, "LIANGBU_HOME": str(world.home)}, stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await ended.communicate()
        assert ended.returncode == expected, (name, printed.decode())


async def test_killed_in_the_middle_a_takeover_goes_on_and_ends_equal(world: World) -> None:
    whole, killed = world.county(), world.county()
    outcomes = []
    for area, seed, kill in ((whole, 12, False), (killed, 12, True)):
        rows = roster_of(area, seed, AT_ONCE_ROWS + 100)
        if kill:  # the same persons cannot stand on two rosters
            rows = [renamed(row) for row in rows]
        report = await import_roster(world, area, as_csv(rows))
        assert report["status"] == "reading"  # behind the answer

        if kill:

            async def some_read(import_id: str = report["import_id"], area: str = area) -> Any:
                now = await world.get("intake", f"/v1/roster-imports/{import_id}", area=area)
                return now if now["read"] > 0 else None

            part = await until(some_read, "the first chunk")
            world.kill("intake")
            await world.is_back("intake")
            world.kill("eligibility")
            await world.is_back("eligibility")
            assert part["read"] < part["rows"]
        report = await finished(world, area, report["import_id"])
        cycle = await drawn_up(world, area, "2026-01")
        counts = {name: report[name] for name in ("rows", "accepted", "granted", "refused", "rejected", "known")}
        outcomes.append((counts, cycle["counts"], cycle["amount_fen"]))
    assert outcomes[0] == outcomes[1]
    await world.invariants_hold()


def renamed(row: dict[str, str]) -> dict[str, str]:
    """The same person under an ID of another first registration."""
    old = row["身份证号"]
    first_17 = "1101" + old[4:17]
    new = first_17 + check_character(first_17)
    return {**row, "身份证号": new, "残疾人证号": new + row["残疾人证号"][18:]}
