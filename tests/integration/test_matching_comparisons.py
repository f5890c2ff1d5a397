"""Comparisons: what vanished, what does not fit together, large runs as jobs, and ledgers that can be proved."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import python_calamine
from sqlalchemy import text

from libs.common.parameters import Parameters
from libs.common.settings import Settings
from services.matching.apart import DiedApart
from services.matching.handlers import comparisons as steps
from services.matching.ledger import broken_at
from services.matching.main import build
from services.matching.parameters import BROUGHT
from tests.conftest import Databases, Issuer, running
from tests.integration.matching import (
    CERTIFICATES,
    COUNTY,
    TOWNSHIP,
    Matching,
    care_excluding,
    deaths_csv,
    invariants_hold,
)

LOW_INCOME = "name,id_number,category,grace,household_id,from,to,last_paid_period,area\n"


def in_dibao(*id_numbers: str) -> str:
    return LOW_INCOME + "".join(f"张三,{number},dibao,,,2024-01-01,,,{TOWNSHIP}\n" for number in id_numbers)


def certified(id_number: str, name: str = "张三") -> str:
    return f"{name},{id_number},,physical,2,2020-05-01,2036-04-30,valid,,2020-05-01,{TOWNSHIP}\n"


# --- vanished from a register ----------------------------------------------------------------------------------------


async def test_who_vanished_from_a_snapshot_is_a_lead_once_and_no_fact(matching: Matching) -> None:
    gone, there = [await matching.recipient() for _ in "12"]
    months = {"2026-03-31": (gone, there), "2026-04-30": (there,), "2026-05-31": (there,)}
    counts = []
    for as_of, persons in months.items():
        snapshot = in_dibao(*(person.id_number for person in persons))
        await matching.upload("low_income", snapshot, mode="snapshot", as_of=as_of)
        counts.append((await matching.compare(as_of))["counts"]["by_kind"])
    assert counts == [{}, {"low_income.exited": 1}, {}]
    (finding,) = await matching.findings()
    assert (finding["person_id"], finding["alleged_on"]) == (gone.person_id, "2026-04-30")
    assert finding["name"] == "张*"
    assert await matching.told(gone.person_id, "low_income.exited") == []


async def test_whose_row_could_not_be_read_has_not_vanished(matching: Matching) -> None:
    gone, spoilt, there = [await matching.recipient() for _ in "123"]
    before = in_dibao(*(person.id_number for person in (gone, spoilt, there)))
    await matching.upload("low_income", before, mode="snapshot", as_of="2026-03-31")
    now = in_dibao(there.id_number) + in_dibao(spoilt.id_number).splitlines()[1].replace("dibao", "低保？") + "\n"
    feed = (await matching.upload("low_income", now, mode="snapshot")).json()
    assert (feed["accepted"], feed["rejected"]) == (1, 1)
    assert (await matching.compare())["counts"]["by_kind"] == {"low_income.exited": 1}
    (finding,) = await matching.findings()
    assert finding["person_id"] == gone.person_id
    rejects = (await matching.call("GET", f"/v1/feeds/{feed['feed_id']}/rejects")).json()["items"]
    assert [set(reject) for reject in rejects] == [{"row", "field", "title", "reason"}]


async def test_who_vanished_in_a_month_without_a_comparison_is_found_by_the_next(matching: Matching) -> None:
    gone, there = [await matching.recipient() for _ in "12"]
    for as_of, persons in {"2026-02-28": (gone, there), "2026-03-31": (there,), "2026-04-30": (there,)}.items():
        snapshot = in_dibao(*(person.id_number for person in persons))
        await matching.upload("low_income", snapshot, mode="snapshot", as_of=as_of)
        if as_of != "2026-03-31":
            comparison = await matching.compare(as_of)
    assert comparison["counts"]["by_kind"] == {"low_income.exited": 1}


async def test_a_certificate_that_vanished_is_a_lead_unless_another_feed_has_it(matching: Matching) -> None:
    gone, moved = [await matching.recipient(subsidy="care") for _ in "12"]
    both = CERTIFICATES + certified(gone.id_number) + certified(moved.id_number)
    await matching.upload("certificates", both, role="cdpf", mode="snapshot", as_of="2026-03-31")
    other = CERTIFICATES + certified(matching.new_id_number())
    await matching.upload("certificates", other, role="cdpf", mode="snapshot", as_of="2026-04-30")
    await matching.upload("certificates", CERTIFICATES + certified(moved.id_number), role="cdpf", as_of="2026-04-30")
    assert (await matching.compare())["counts"]["by_kind"] == {"certificate.moved_out": 1}
    (finding,) = await matching.findings()
    assert finding["person_id"] == gone.person_id


# --- what does not fit together --------------------------------------------------------------------------------------


async def discrepancies(matching: Matching, **query: Any) -> list[dict[str, Any]]:
    return (await matching.call("GET", "/v1/discrepancies", params=query)).json()["items"]


async def test_one_id_with_two_names_is_a_note_with_evidence_and_stops_nothing(matching: Matching) -> None:
    person, other = [await matching.recipient(subsidy="care") for _ in "12"]
    rows = certified(person.id_number, "阿依古丽·买买提") + certified(other.id_number, "李四")
    feed = (await matching.upload("certificates", CERTIFICATES + rows, role="cdpf")).json()
    prisons = (
        f"阿依古丽•买买提,{person.id_number},2026-01-01,,probation\n李肆,{other.id_number},2026-01-01,,probation\n"
    )
    await matching.upload("prisons", "name,id_number,from,to,kind\n" + prisons)
    assert (await matching.compare())["counts"]["findings"] == 0
    (note,) = await discrepancies(matching)
    assert (note["person_id"], note["kind"], note["status"]) == (other.person_id, "other_name", "open")
    assert [said["source"] for said in note["evidence"]] == ["certificates", "prisons"]
    assert (note["evidence"][0]["feed_id"], note["evidence"][0]["feed_row"]) == (feed["feed_id"], "1")
    assert await matching.told(other.person_id, "finding.opened") == []


async def test_one_name_with_two_ids_is_a_note_only_in_the_same_township(matching: Matching) -> None:
    person = await matching.recipient(subsidy="care")
    await matching.upload("certificates", CERTIFICATES + certified(person.id_number, "欧阳雪梅"), role="cdpf")
    here, elsewhere = matching.new_id_number(), matching.new_id_number()
    rows = f"欧阳雪梅,{here},2026-03-05,{TOWNSHIP}\n欧阳雪梅,{elsewhere},2026-03-05,530102009\n"
    await matching.upload("deaths", "name,id_number,date,area\n" + rows)
    assert (await matching.compare())["counts"]["findings"] == 0
    (note,) = await discrepancies(matching, kind="other_id")
    other = matching.running.app.state.parts.keys.person.person_id(here)
    assert (note["person_id"], note["evidence"][1]["person_id"]) == (person.person_id, other)


async def test_two_sources_with_two_days_are_one_finding_and_a_note(matching: Matching) -> None:
    far, near = [await matching.recipient() for _ in "12"]
    deaths = deaths_csv(("甲", far.id_number, "2026-01-05"), ("乙", near.id_number, "2026-03-05"))
    await matching.upload("deaths", deaths)
    cremations = deaths_csv(("甲", far.id_number, "2026-03-20"), ("乙", near.id_number, "2026-03-08"))
    await matching.upload("cremations", cremations)
    comparison = await matching.compare()
    assert (comparison["counts"]["by_kind"], comparison["discrepancies"]) == ({"person.died": 2}, 1)
    (note,) = await discrepancies(matching, kind="two_dates")
    assert [said["said_on"] for said in note["evidence"]] == ["2026-01-05", "2026-03-20"]
    assert (await matching.compare())["discrepancies"] == 0, "known for good"


async def test_a_discrepancy_is_resolved_once_and_by_who_belongs_there(matching: Matching) -> None:
    person = await matching.recipient()
    await matching.upload("deaths", deaths_csv(("甲", person.id_number, "2026-03-09")))
    await matching.upload("cremations", deaths_csv(("甲", person.id_number, "2026-03-08")))
    await matching.compare()
    (note,) = await discrepancies(matching)
    path = f"/v1/discrepancies/{note['discrepancy_id']}/resolution"
    body = {"note": "火化日期登记有误"}
    assert (await matching.call("POST", path, area="530103", json=body)).status_code == 404
    assert (await matching.call("POST", path, "finance", json=body)).status_code == 403
    resolved = (await matching.call("POST", path, "township", area=TOWNSHIP, json=body)).json()
    assert (resolved["status"], resolved["note"]) == ("resolved", body["note"])
    assert (await matching.call("POST", path, json=body)).status_code == 409


# --- large runs ------------------------------------------------------------------------------------------------------


async def ordered(matching: Matching, monkeypatch: pytest.MonkeyPatch, people: int) -> tuple[Any, UUID]:
    """A comparison too large for its request, of which everybody is found."""
    monkeypatch.setattr(steps, "SMALL_ROSTER", 0)
    persons = [await matching.recipient() for _ in range(people)]
    await matching.upload("deaths", deaths_csv(*(("张三", person.id_number, "2026-03-05") for person in persons)))
    body = {"level": "county", "area": COUNTY, "as_of": "2026-04-30"}
    answer = await matching.call("POST", "/v1/comparisons", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "running"
    return matching.running.app.state.parts.comparisons, UUID(answer.json()["comparison_id"])


async def read(matching: Matching, comparison_id: UUID) -> dict[str, Any]:
    return (await matching.call("GET", f"/v1/comparisons/{comparison_id}")).json()


def listed(ledger: list[str]) -> set[str]:
    """The findings that a ledger lists, none of them twice."""
    entries = [json.loads(line)["entry"] for line in ledger]
    ids = [item["finding_id"] for entry in entries if entry["entry"] == "findings" for item in entry["items"]]
    assert len(set(ids)) == len(ids)
    return set(ids)


async def test_a_large_comparison_runs_behind_its_answer_to_the_same_end(
    matching: Matching, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, comparison_id = await ordered(matching, monkeypatch, 5)
    await runs.carry_through(comparison_id)
    done = await read(matching, comparison_id)
    assert (done["status"], done["leads"], done["noted"]) == ("completed", 5, 5)
    assert done["counts"] == {"compared": 5, "findings": 5, "by_kind": {"person.died": 5}}
    ledger = (await matching.call("GET", f"/v1/comparisons/{comparison_id}/ledger")).text.splitlines()
    assert broken_at(ledger) is None
    kinds = [json.loads(line)["entry"]["entry"] for line in ledger]
    assert kinds == ["comparison", "findings", "counts"]


async def test_many_found_at_once_are_each_opened_claimed_told_and_in_the_ledger(matching: Matching) -> None:
    persons = [await matching.recipient() for _ in range(60)]
    await matching.upload("deaths", deaths_csv(*(("张三", person.id_number, "2026-03-05") for person in persons)))
    comparison = await matching.compare()
    assert comparison["counts"]["by_kind"] == {"person.died": 60}
    findings = await matching.findings(limit=100)
    assert {finding["person_id"] for finding in findings} == {person.person_id for person in persons}
    assert {finding["name"] for finding in findings} == {"张*"}
    for person in persons[:2]:
        (event,) = await matching.told(person.person_id, "finding.opened")
        assert (event["kind"], event["hold_from"]) == ("person.died", "2026-04")
    ledger = (await matching.call("GET", f"/v1/comparisons/{comparison['comparison_id']}/ledger")).text.splitlines()
    assert broken_at(ledger) is None
    assert listed(ledger) == {finding["finding_id"] for finding in findings}
    assert await invariants_hold(matching)


async def test_a_run_interrupted_after_each_step_ends_as_if_it_had_not_been(
    matching: Matching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "LEADS_AT_ONCE", 2)
    runs, comparison_id = await ordered(matching, monkeypatch, 5)

    class Killed(BaseException):
        pass

    for step in ("prepare", "find", "keep_found", "note", "note", "close"):
        intact = getattr(steps, step)

        async def killed(*args: Any, intact: Any = intact, **more: Any) -> Any:
            await intact(*args, **more)  # done, and lost with the transaction
            raise Killed

        with monkeypatch.context() as patched:
            patched.setattr(steps, step, killed)
            with pytest.raises(Killed):
                await runs.carry_through(comparison_id)
        assert (await read(matching, comparison_id))["status"] == "running"
    await runs.carry_through(comparison_id)
    done = await read(matching, comparison_id)
    assert (done["status"], done["counts"]["findings"], done["noted"]) == ("completed", 5, 5)
    findings = await matching.findings()
    ledger = (await matching.call("GET", f"/v1/comparisons/{comparison_id}/ledger")).text.splitlines()
    assert broken_at(ledger) is None
    assert len(findings) == 5
    assert listed(ledger) == {finding["finding_id"] for finding in findings}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DiedApart("exit code -9"), "the engine's process died: exit code -9"),
        (KeyError("what nobody thought of"), "the engine failed by KeyError"),
    ],
)
async def test_a_run_whose_engine_fails_or_dies_fails_with_its_reason(
    matching: Matching, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    runs, comparison_id = await ordered(matching, monkeypatch, 1)

    async def fails(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(steps, "find", fails)
    await runs.carry_through(comparison_id)
    failed = await read(matching, comparison_id)
    assert (failed["status"], failed["failure"]) == ("failed", reason)
    path = f"/v1/comparisons/{comparison_id}/reruns"
    assert (await matching.call("POST", path)).status_code == 409


# --- the ledger ------------------------------------------------------------------------------------------------------


async def test_an_old_comparison_run_again_finds_the_same_whatever_came_since(matching: Matching) -> None:
    person = await matching.recipient()
    await matching.upload("deaths", deaths_csv(("张三", person.id_number, "2026-03-05")))
    comparison = await matching.compare()
    (finding,) = await matching.findings()
    await matching.verify(finding["finding_id"], "confirmed")
    await matching.recipient()
    await matching.upload("cremations", deaths_csv(("张三", person.id_number, "2026-03-06")), as_of="2026-04-29")
    path = f"/v1/comparisons/{comparison['comparison_id']}/reruns"
    again = (await matching.call("POST", path, "auditor")).json()
    assert (again["same"], again["leads"], again["changed"]) == (True, 1, [])
    assert again["digest"] == again["recorded_digest"]
    assert len(await matching.findings()) == 1, "running again opens nothing"
    assert (await matching.call("POST", path, "township", area=TOWNSHIP)).status_code == 403


async def test_a_rerun_uses_the_rules_of_its_own_day(matching: Matching, monkeypatch: pytest.MonkeyPatch) -> None:
    person = await matching.recipient()
    await matching.upload("deaths", deaths_csv(("张三", person.id_number, "2026-03-05")))
    comparison = await matching.compare()
    today = steps.bulk.rules(Parameters(BROUGHT), ())
    blind = {**today, "deaths": today["deaths"] + "WHERE 1 = 0\n"}
    monkeypatch.setattr(steps.bulk, "rules", lambda parameters, counties: blind)
    path = f"/v1/comparisons/{comparison['comparison_id']}/reruns"
    assert (await matching.call("POST", path)).json()["same"] is True


async def test_a_rerun_goes_by_the_policy_of_its_own_day(matching: Matching) -> None:
    person = await matching.recipient(subsidy="care")
    row = f"{person.id_number},elderly_care,5000,2026-02-01,,,{TOWNSHIP}\n"
    await matching.upload("benefits", "id_number,kind,amount_fen,from,to,last_paid_period,area\n" + row)
    comparison = await matching.compare()
    assert comparison["counts"]["by_kind"] == {"benefit.started": 1}
    await matching.hear(care_excluding(COUNTY, []))
    again = (await matching.call("POST", f"/v1/comparisons/{comparison['comparison_id']}/reruns")).json()
    assert (again["same"], again["leads"]) == (True, 1)


async def test_a_rerun_names_a_stored_input_that_was_tampered_with(matching: Matching, tmp_path: Path) -> None:
    people = [await matching.recipient() for _ in "12"]
    feeds = [
        (await matching.upload("deaths", deaths_csv(("张三", person.id_number, "2026-03-05")), as_of=as_of)).json()
        for person, as_of in zip(people, ("2026-04-29", "2026-04-30"), strict=True)
    ]
    comparison = await matching.compare()
    one, other = [next(tmp_path.rglob(f"{feed['feed_id']}.parquet")) for feed in feeds]
    one.unlink()
    one.write_bytes(other.read_bytes())
    again = (await matching.call("POST", f"/v1/comparisons/{comparison['comparison_id']}/reruns")).json()
    assert again["same"] is False
    assert again["changed"] == [f"feed {feeds[0]['feed_id']}"]


async def test_the_ledger_as_a_workbook_tells_inputs_findings_and_what_became_of_them(matching: Matching) -> None:
    person = await matching.recipient()
    feed = (await matching.upload("deaths", deaths_csv(("张三", person.id_number, "2026-03-05")))).json()
    comparison = await matching.compare()
    (finding,) = await matching.findings()
    await matching.verify(finding["finding_id"], "dismissed")
    answer = await matching.call("GET", f"/v1/comparisons/{comparison['comparison_id']}/ledger.xlsx", "auditor")
    book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(answer.content))
    assert book.sheet_names == ["概要", "比对发现", "数据疑点"]
    summary = dict(book.get_sheet_by_name("概要").to_python())
    assert feed["feed_id"] in summary["数据 deaths"]
    assert summary["新增发现"] == 1
    assert summary["台账哈希（比对完成时）"] == comparison["digest"]
    titles, row = book.get_sheet_by_name("比对发现").to_python()
    told = dict(zip(titles, row, strict=True))
    assert (told["发现编号"], told["线索"], told["核实结果"]) == (finding["finding_id"], "person.died", "dismissed")


async def test_rules_that_were_run_cannot_be_rewritten(matching: Matching) -> None:
    await matching.compare()
    with pytest.raises(Exception, match="append-only"):
        async with matching.running.app.state.database.transaction() as tx:
            await tx.connection.execute(text("UPDATE rule_texts SET body = ''"))


async def test_feeds_kept_in_a_store_survive_the_loss_of_the_folder(
    databases: Databases, issuer: Issuer, make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    """What S3 is for; `memory://` is another store that fsspec speaks to."""
    settings = make_settings(
        await databases.fresh("matching"), data_dir=tmp_path, feed_store=f"memory://{tmp_path.name}"
    )
    async with running(build(settings), settings) as started:
        matching = Matching(started, issuer)
        person = await matching.recipient()
        feed = (
            await matching.upload("deaths", deaths_csv(("张三", person.id_number, "2026-03-05"), ("", "", "")))
        ).json()
        comparison = await matching.compare()
        for path in tmp_path.rglob("*"):
            if path.is_file():
                path.unlink()
        rejects = (await matching.call("GET", f"/v1/feeds/{feed['feed_id']}/rejects")).json()["items"]
        assert [item["row"] for item in rejects] == [3]
        again = await matching.call("POST", f"/v1/comparisons/{comparison['comparison_id']}/reruns")
        assert again.json()["same"] is True
        assert (await matching.compare("2026-05-31"))["counts"]["findings"] == 0
