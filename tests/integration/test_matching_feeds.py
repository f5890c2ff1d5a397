"""Feeds that go wrong: each fault has its message, and nothing is lost or half-applied."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pyarrow.parquet as pq
import pytest

from libs.common.events.eligibility import PolicyChanged, PolicyValue
from services.matching.apart import DiedApart, Standby, apart
from services.matching.feeds import FeedFolder
from tests.conftest import eventually
from tests.integration.matching import CERTIFICATES, COUNTY, TOWNSHIP, Matching, deaths_csv


def people(matching: Matching, count: int) -> list[tuple[str, str, str]]:
    return [("张三", matching.new_id_number(), "2026-03-05") for _ in range(count)]


async def test_a_feed_with_30_percent_garbage_says_how_much_and_each_row_s_reason_can_be_downloaded(
    matching: Matching,
) -> None:
    rows = (
        people(matching, 70) + [("坏,行", "５３０", "昨天")] * 10 + [("坏号", "530102194408120016", "2026-03-05")] * 20
    )
    feed = (await matching.upload("deaths", deaths_csv(*rows))).json()
    assert (feed["accepted"], feed["rejected"], feed["status"]) == (70, 30, "ready")
    assert [notice.split(" (")[0] for notice in feed["notices"]] == ["100 行中退回 30 行, 逐行列有原因"]
    answer = await matching.call("GET", f"/v1/feeds/{feed['feed_id']}/rejects.csv")
    lines = answer.content.decode("utf-8-sig").splitlines()
    assert lines[0] == "行号,字段,原因"
    assert len(lines) == 31
    assert lines[1] == '72,,"有 5 格, 表头有 4 格 (has other cells than the heading)"'
    assert lines[11].startswith("82,id_number,")
    assert "530102194408120016" not in answer.text


async def test_a_delta_cut_off_in_the_middle_keeps_its_whole_rows_and_says_so(matching: Matching) -> None:
    whole = deaths_csv(*people(matching, 10))
    feed = (await matching.upload("deaths", whole[: -len(COUNTY) - 8])).json()
    assert (feed["accepted"], feed["rejected"], feed["status"]) == (9, 1, "ready")
    assert any("cut off" in notice for notice in feed["notices"])


async def test_a_snapshot_cut_off_in_the_middle_is_not_believed(matching: Matching) -> None:
    whole = deaths_csv(*people(matching, 10))
    feed = (await matching.upload("deaths", whole[: -len(COUNTY) - 8], mode="snapshot")).json()
    assert feed["status"] == "quarantined"
    assert "deaths" in (await matching.compare())["missing"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("name,id_number,date,area\n".encode("utf-16"), "UTF-16"),
        ("姓名,身份证号,电话\n张三,1,2\n".encode("gb18030"), "date"),
        (b"PAR1 cut off", "Parquet"),
        (b"PK\x03\x04 cut off", "Excel"),
    ],
)
async def test_a_wrong_encoding_or_wrong_columns_refuse_the_whole_file(
    matching: Matching, content: bytes, says: str
) -> None:
    answer = await matching.upload("deaths", content)
    assert answer.status_code == 422
    assert says in answer.text
    assert "deaths" in (await matching.compare())["missing"]


async def test_rows_in_a_wrong_encoding_are_rejected_by_name_and_the_others_taken(matching: Matching) -> None:
    rows = people(matching, 8)
    lines = deaths_csv(*rows).encode().split(b"\n")
    lines[3] = lines[3].replace("张三".encode(), "张三".encode("gb18030"))
    feed = (await matching.upload("deaths", b"\n".join(lines))).json()
    assert (feed["accepted"], feed["rejected"]) == (7, 1)
    page = (await matching.call("GET", f"/v1/feeds/{feed['feed_id']}/rejects")).json()
    assert [(item["row"], item["field"]) for item in page["items"]] == [(4, "name")]
    assert "encoding" in page["items"][0]["reason"]


async def test_a_feed_of_an_old_period_is_kept_and_does_not_outrank_the_newer(matching: Matching) -> None:
    person = await matching.recipient(subsidy="care")
    rows = {
        status: f"张三,{person.id_number},,physical,2,2020-05-01,2030-04-30,{status},,{changed},{TOWNSHIP}\n"
        for status, changed in (("valid", "2026-04-02"), ("frozen", "2026-02-10"))
    }
    newer = await matching.upload("certificates", CERTIFICATES + rows["valid"], role="cdpf", mode="snapshot")
    older = await matching.upload(
        "certificates", CERTIFICATES + rows["frozen"], role="cdpf", mode="snapshot", as_of="2026-02-28"
    )
    assert older.json()["status"] == "ready"
    assert "an old period" in older.json()["notices"][0]
    comparison = await matching.compare()
    used = {item["use"]: item["feed_id"] for item in comparison["inputs"]}
    assert used == {"snapshot": newer.json()["feed_id"], "before": older.json()["feed_id"]}
    assert comparison["counts"]["findings"] == 0


async def test_a_snapshot_half_the_usual_size_is_quarantined_until_a_person_releases_it(matching: Matching) -> None:
    rows = people(matching, 20)
    await matching.upload("deaths", deaths_csv(*rows), mode="snapshot", as_of="2026-03-31")
    half = (await matching.upload("deaths", deaths_csv(*rows[:10]), mode="snapshot")).json()
    assert half["status"] == "quarantined"
    assert "有 20 行, 本次只有 10 行" in half["notices"][0]
    assert half["feed_id"] not in {item["feed_id"] for item in (await matching.compare())["inputs"]}
    waiting = (await matching.call("GET", "/v1/feeds", params={"status": "quarantined"})).json()["items"]
    assert [feed["feed_id"] for feed in waiting] == [half["feed_id"]]

    path = f"/v1/feeds/{half['feed_id']}/release"
    reason = {"reason": "卫健来电说明：口径调整"}
    assert (await matching.call("POST", path, "partner", json=reason)).status_code == 403
    assert (await matching.call("POST", path, "cdpf", json=reason)).status_code == 403
    assert (await matching.call("POST", path, json={"reason": ""})).status_code == 422
    released = (await matching.call("POST", path, sub="zhang", json=reason)).json()
    assert (released["status"], released["released_by"], released["release_note"]) == (
        "stored", "zhang", reason["reason"],
    )  # fmt: skip
    assert (await matching.call("POST", path, json=reason)).status_code == 409
    await matching.running.app.state.parts.intake.take_in(UUID(half["feed_id"]))
    assert half["feed_id"] in {item["feed_id"] for item in (await matching.compare())["inputs"]}


async def test_how_far_a_snapshot_may_shrink_is_the_policy_of_its_area(matching: Matching) -> None:
    values = tuple(
        PolicyValue(parameter=f"feed.shrunken_{name}", since=date(2026, 4, 1), value=value)
        for name, value in (("percent", 60), ("rows", 3))
    )
    await matching.hear(PolicyChanged(version=1, area=COUNTY, policy_version="a", values=values))
    everybody = people(matching, 20)
    sizes = {"2026-03-31": 20, "2026-04-30": 10, "2026-05-31": 4}
    statuses = []
    for as_of, size in sizes.items():
        feed = await matching.upload("deaths", deaths_csv(*everybody[:size]), mode="snapshot", as_of=as_of)
        statuses.append(feed.json()["status"])
    assert statuses == ["ready", "ready", "quarantined"]


async def test_a_quarantined_snapshot_that_is_refused_is_never_compared(matching: Matching) -> None:
    rows = people(matching, 20)
    await matching.upload("deaths", deaths_csv(*rows), mode="snapshot", as_of="2026-03-31")
    half = (await matching.upload("deaths", deaths_csv(*rows[:10]), mode="snapshot")).json()
    path = f"/v1/feeds/{half['feed_id']}"
    refused = (await matching.call("POST", f"{path}/refusal", json={"reason": "导出不全"})).json()
    assert (refused["status"], refused["refusal"]) == ("refused", "导出不全")
    assert (await matching.call("POST", f"{path}/release", json={"reason": "x"})).status_code == 409
    assert half["feed_id"] not in {item["feed_id"] for item in (await matching.compare())["inputs"]}


async def test_a_quarantined_snapshot_asserts_no_fact(matching: Matching) -> None:
    heading = "name,id_number,category,grace,household_id,from,to,last_paid_period,area\n"
    rows = [f"张三,{matching.new_id_number()},dibao,,,2024-01-01,,,{TOWNSHIP}\n" for _ in range(20)]
    first = (await matching.upload("low_income", heading + "".join(rows), mode="snapshot", as_of="2026-03-31")).json()
    ended = [row.replace("2024-01-01,,", "2024-01-01,2026-04-10,") for row in rows[:10]]
    second = (await matching.upload("low_income", heading + "".join(ended), mode="snapshot")).json()
    assert (first["facts"], second["facts"], second["status"]) == (20, 0, "quarantined")


@pytest.fixture
def behind_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is taken in behind the answer, in a process of its own, as large ones are."""
    monkeypatch.setattr("services.matching.feed_intake._SMALL_BYTES", 0)
    monkeypatch.setattr("services.matching.api.feeds.AT_ONCE_BYTES", 0)


def children() -> set[int]:
    """The processes apart that this one has started."""
    return {int(pid) for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()}


@pytest.mark.usefixtures("behind_the_answer")
async def test_a_large_feed_killed_in_the_middle_goes_on_where_it_was_and_is_applied_once(
    matching: Matching, tmp_path: Path
) -> None:
    intake, folder = matching.running.app.state.parts.intake, matching.running.app.state.parts.folder
    heading = "name,id_number,category,grace,household_id,from,to,last_paid_period,area\n"
    row = f"张三,{matching.new_id_number()},dibao,,,2024-01-01,,,{TOWNSHIP}\n"
    answer = await matching.upload("low_income", heading + row * 200_000)
    assert answer.status_code == 202
    feed_id, before = UUID(answer.json()["feed_id"]), children()
    path = f"/v1/feeds/{feed_id}"
    taking = asyncio.create_task(intake.take_in(feed_id))

    async def rows_read() -> Any:
        return (await matching.call("GET", path)).json()["rows_read"]

    read = await eventually(rows_read)
    for child in children() - before:
        os.kill(child, signal.SIGKILL)
    with pytest.raises(DiedApart):
        await taking
    assert 0 < read < 200_000
    after = (await matching.call("GET", path)).json()
    assert (after["status"], after["accepted"], after["facts"]) == ("received", None, 0)
    assert after["rows_read"] >= read, "what was read is kept"
    assert not list(tmp_path.rglob("*.parquet"))

    first_batch = next(tmp_path.rglob("0.arrow"))
    written_at = first_batch.stat().st_mtime_ns
    finishing = asyncio.create_task(intake.take_in(feed_id))
    while not finishing.done():
        if first_batch.exists():
            assert first_batch.stat().st_mtime_ns == written_at, "nothing is read twice"
        await asyncio.sleep(0.05)
    await finishing
    done = (await matching.call("GET", path)).json()
    assert (done["status"], done["accepted"], done["rows_read"], done["facts"]) == ("ready", 200_000, 200_000, 1)
    stored = pq.read_table(next(tmp_path.rglob(f"{feed_id}.parquet")))
    assert stored["feed_row"].to_pylist() == list(range(200_000))
    assert not [*tmp_path.rglob("*.part"), *tmp_path.rglob("*.arrow")]
    assert not folder.arriving(feed_id).exists()


@pytest.mark.usefixtures("behind_the_answer")
@pytest.mark.parametrize("error", [DiedApart("exit code -9"), KeyError("what nobody thought of")])
async def test_a_file_that_defeats_its_reader_again_and_again_is_refused_and_the_service_lives(
    matching: Matching, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def dies(*_: Any) -> Any:
        raise error

    monkeypatch.setattr("services.matching.feed_intake.apart", dies)
    intake = matching.running.app.state.parts.intake
    feed = (await matching.upload("deaths", deaths_csv(*people(matching, 1)))).json()
    working = asyncio.create_task(intake.run())
    read = functools.partial(matching.call, "GET", f"/v1/feeds/{feed['feed_id']}")
    while (await read()).json()["status"] == "received":
        intake.arrived.set()
        await asyncio.sleep(0.05)
    assert (await read()).json()["refusal"].endswith(type(error).__name__)
    assert not working.done()
    intake.stop()
    await working


@pytest.mark.usefixtures("behind_the_answer")
async def test_a_file_lost_before_it_was_read_is_waited_for_and_taken_when_it_is_sent_again(
    matching: Matching,
) -> None:
    parts = matching.running.app.state.parts
    content = deaths_csv(*people(matching, 3))
    feed_id = UUID((await matching.upload("deaths", content)).json()["feed_id"])
    parts.folder.arriving(feed_id).unlink()
    await parts.intake.take_in(feed_id)
    assert (await matching.upload("deaths", content)).json()["feed_id"] == str(feed_id)
    await parts.intake.take_in(feed_id)
    assert (await matching.call("GET", f"/v1/feeds/{feed_id}")).json()["status"] == "ready"


def test_what_an_upload_that_broke_off_left_is_deleted_and_what_is_waited_for_is_not(tmp_path: Path) -> None:
    folder, stray, waited_for, new = FeedFolder(tmp_path), uuid4(), uuid4(), uuid4()
    for name in (stray, waited_for, new):
        folder.arriving(name).write_text("姓名,530102…")
        if name != new:
            os.utime(folder.arriving(name), (0, 0))
    folder.forget_strays({waited_for}, 3600)
    assert [folder.arriving(name).exists() for name in (stray, waited_for, new)] == [False, True, True]


async def test_what_is_refused_apart_is_refused_with_its_reason(matching: Matching, monkeypatch: Any) -> None:
    monkeypatch.setattr("services.matching.feed_intake._SMALL_BYTES", 0)
    answer = await matching.upload("deaths", "姓名,电话\n张三,1\n")
    assert answer.status_code == 422
    assert {error["path"] for error in answer.json()["errors"]} == {"id_number", "date"}


async def test_a_process_that_is_killed_apart_gives_no_answer_but_an_error() -> None:
    with pytest.raises(DiedApart):
        await apart(signal.raise_signal, signal.SIGKILL)


async def test_a_process_stands_by_for_one_call_and_one_that_was_killed_is_replaced() -> None:
    before, standby = children(), Standby("services.matching.comparison")
    await standby.start()
    (waiting,) = children() - before
    await standby.start()
    assert children() - before == {waiting}
    assert await standby.apart(os.getpid) == waiting
    assert await standby.apart(os.getpid) != waiting, "its memory went with it"

    await standby.start()
    (killed,) = children() - before
    os.kill(killed, signal.SIGKILL)

    async def replaced() -> set[int]:
        await standby.start()
        return children() - before - {killed}

    (waiting,) = await eventually(replaced)
    assert await standby.apart(os.getpid) == waiting
    await standby.start()
    await standby.end()
    assert children() == before


@pytest.mark.parametrize("roster", ["national", "paper"])
async def test_a_roster_that_others_keep_is_told_person_by_person_without_resident_ids(
    matching: Matching, roster: str
) -> None:
    person = await matching.recipient(subsidy="care")
    csv = (
        "id_number,subsidy,area,from,to\n"
        f"{person.id_number},living,{TOWNSHIP},2026-01-01,\n{person.id_number},care,{TOWNSHIP},2025-03-01,2026-04-30\n"
        f"{person.id_number},care,{TOWNSHIP},2026-04-30,2026-04-01\n"
    )
    feed = (await matching.upload(f"{roster}_roster", csv)).json()
    [told] = await matching.told(person.person_id, "roster.listed")
    assert (told["roster"], told["feed_id"]) == (roster, feed["feed_id"])
    assert [(entry["subsidy"], entry["from"], entry["to"]) for entry in told["entries"]] == [
        ("care", "2025-03", "2026-04"),
        ("living", "2026-01", None),
    ]
    [received] = await matching.told(feed["feed_id"], "roster.received")
    assert (received["persons"], received["as_of"]) == (1, "2026-04-30")
