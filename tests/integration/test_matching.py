"""Matching over its REST interface, on a real database: pushed changes, feeds, comparisons, findings, duties."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from libs.common.events.intake import ApplicationApproved, ApplicationFacts, CertificateClaim
from libs.common.period import Period
from libs.common.settings import Settings
from services.matching.ledger import broken_at
from services.matching.main import build
from tests.conftest import Databases, Issuer, eventually, running
from tests.integration.matching import (
    CERTIFICATES,
    COUNTY,
    ISSUE,
    TOWNSHIP,
    Matching,
    deaths_csv,
    entitled,
    invariants_hold,
)

# --- pushed changes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "more", "says"),
    [
        ("certificate.issued", ISSUE, ISSUE),
        ("certificate.renewed", ISSUE, ISSUE),
        ("certificate.reassessed", {**ISSUE, "level": 1}, {"level": 1}),
        ("certificate.expired", {}, {"source": "certificates"}),
        ("certificate.frozen", {"cause": "补录错误"}, {"cause": "补录错误"}),
        ("certificate.unfrozen", {}, {}),
        ("certificate.cancelled", {"cause": "本人申请"}, {"cause": "本人申请"}),
        ("certificate.moved_out", {"in_transit": True}, {"in_transit": True}),
        ("low_income.entered", {"category": "dibao"}, {"category": "dibao", "source": "low_income"}),
        ("low_income.exited", {"category": "dibao"}, {"category": "dibao"}),
        ("person.died", {}, {"source": "deaths"}),
        ("person.declared_dead", {}, {"source": "court_declarations"}),
        ("person.declared_missing", {}, {}),
        ("person.missing", {}, {"source": "population"}),
        ("person.reappeared", {}, {}),
        ("person.imprisoned", {"custody_kind": "detention_serving"}, {"kind": "detention_serving"}),
        ("person.released", {}, {"source": "prisons"}),
        ("person.moved", {"to_area": "530103001"}, {"to_area": "530103001"}),
        ("benefit.started", {"benefit_kind": "orphan", "amount_fen": 190000}, {"kind": "orphan", "amount_fen": 190000}),
        ("benefit.ended", {"benefit_kind": "orphan"}, {"kind": "orphan"}),
    ],
)
async def test_a_change_within_the_token_s_sources_is_a_fact(
    matching: Matching, kind: str, more: dict[str, Any], says: dict[str, Any]
) -> None:
    answer = await matching.push(kind, matching.new_id_number(), "2026-03-15", **more)
    assert answer.status_code == 202, answer.text
    pushed = answer.json()
    (fact,) = await matching.told(pushed["person_id"], kind)
    assert (fact["type"], fact["occurred_on"], fact["fact_id"]) == (kind, "2026-03-15", pushed["event_id"])
    assert says.items() <= fact.items()


async def test_a_change_outside_the_token_s_sources_is_a_finding_and_no_fact(matching: Matching) -> None:
    answer = await matching.push("certificate.expired", matching.new_id_number(), "2026-03-15", sources=("deaths",))
    assert answer.status_code == 202
    pushed = answer.json()
    (finding,) = await matching.told(pushed["person_id"])
    assert finding["type"] == "finding.opened"
    assert (finding["kind"], finding["hold_from"]) == ("certificate.expired", "2026-04")
    assert finding["finding_id"] == pushed["finding_id"]


@pytest.mark.parametrize(
    ("role", "kind", "outcome"),
    [
        ("cdpf", "certificate.expired", "fact"),
        ("cdpf", "low_income.exited", "finding"),
        ("civil_affairs", "low_income.exited", "fact"),
        ("civil_affairs", "person.died", "finding"),
        ("township", "person.died", "finding"),
    ],
)
async def test_officials_assert_their_own_status_lists_and_report_the_rest(
    matching: Matching, role: str, kind: str, outcome: str
) -> None:
    answer = await matching.push(kind, matching.new_id_number(), "2026-03-15", role=role, sub="teller")
    assert answer.json()["outcome"] == outcome
    vouched = await matching.told(answer.json()["person_id"], "fact.pushed")
    assert [one["pushed_by"] for one in vouched] == (["teller"] if outcome == "fact" else [])


@pytest.mark.parametrize("role", ["finance", "auditor", "admin"])
async def test_who_has_no_part_in_it_may_not_push(matching: Matching, role: str) -> None:
    answer = await matching.push("person.died", matching.new_id_number(), "2026-03-15", role=role)
    assert answer.status_code == 403


@pytest.mark.parametrize("occurred_on", [None, "2026-02-10", "2026-01-31"])
async def test_a_last_paid_month_is_an_exit_on_the_day_after_it(matching: Matching, occurred_on: str | None) -> None:
    answer = await matching.push("low_income.exited", matching.new_id_number(), occurred_on, last_paid_period="2026-02")
    (fact, _) = await matching.told(answer.json()["person_id"])
    assert fact["occurred_on"] == "2026-03-01"


async def test_the_same_push_again_is_the_same_event(matching: Matching) -> None:
    id_number = matching.new_id_number()
    for sources in (("*",), ("deaths",)):
        answers = [await matching.push("certificate.expired", id_number, "2026-03-15", sources=sources) for _ in "12"]
        assert answers[0].json() == answers[1].json()
    told = [event["type"] for event in await matching.told(answers[0].json()["person_id"])]
    assert told == ["certificate.expired", "fact.pushed"]


async def test_a_renewal_keeps_the_category_and_level_that_the_application_gave(matching: Matching) -> None:
    id_number = matching.new_id_number()
    person_id = matching.running.app.state.parts.keys.person.person_id(id_number)
    certificate = CertificateClaim(category="mental", level=1)
    await matching.hear(approved(person_id, certificate))
    answer = await matching.push("certificate.renewed", id_number, "2026-05-10", expires_on="2036-05-09")
    assert answer.status_code == 202, answer.text
    (fact,) = await matching.told(person_id, "certificate.renewed")
    assert (fact["category"], fact["level"]) == ("mental", 1)


async def test_a_reassessment_to_a_single_disability_keeps_no_components(matching: Matching) -> None:
    id_number = matching.new_id_number()
    parts = [{"category": "physical", "level": 1}, {"category": "mental", "level": 2}]
    multiple = await matching.push(
        "certificate.issued",
        id_number,
        "2026-03-05",
        **{**ISSUE, "category": "multiple", "level": 1, "components": parts},
    )
    await matching.push("certificate.renewed", id_number, "2026-04-07", expires_on="2036-04-06")
    await matching.push("certificate.reassessed", id_number, "2026-05-10", category="physical", level=1)
    told = await matching.told(multiple.json()["person_id"])
    certificates = [event["components"] for event in told if event["type"].startswith("certificate.")]
    assert certificates == [parts, parts, []]


async def test_a_fact_is_retracted_by_whose_word_it_was_and_by_nobody_else(matching: Matching) -> None:
    id_number = matching.new_id_number()
    frozen = (await matching.push("certificate.frozen", id_number, "2026-03-15")).json()
    more = {"retracts": frozen["event_id"], "reason": "残联登记错误"}
    refused = await matching.push("fact.retracted", id_number, sources=("deaths",), **more)
    assert refused.status_code == 403
    again = [(await matching.push("fact.retracted", id_number, role="cdpf", **more)).json() for _ in "12"]
    assert again[0] == again[1]
    retraction = (await matching.told(frozen["person_id"], "fact.retracted"))[-1]
    assert retraction["retracts"] == frozen["event_id"]
    assert await invariants_hold(matching)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"kind": "certificate.expired", "id_number": "530102194408120016", "occurred_on": "2026-03-15"}, "id_number"),
        ({"kind": "certificate.lost", "id_number": "530102194408120015", "occurred_on": "2026-03-15"}, "kind"),
        ({"kind": "person.died", "id_number": "530102194408120015"}, "occurred_on"),
        ({"kind": "person.died", "id_number": "530102194408120015", "occurred_on": "2026-02-30"}, "occurred_on"),
        ({"kind": "person.died", "id_number": "530102194408120015", "occurred_on": "2999-01-01"}, "occurred_on"),
        ({"kind": "person.died", "id_number": "530102194408120015", "occurred_on": "0001-01-01"}, "occurred_on"),
        (
            {"kind": "low_income.exited", "id_number": "530102194408120015", "last_paid_period": "9999-12"},
            "last_paid_period",
        ),
        ({"kind": "certificate.issued", "id_number": "530102194408120015", "occurred_on": "2026-03-15"}, "category"),
        ({"kind": "low_income.entered", "id_number": "530102194408120015", "occurred_on": "2026-03-15"}, "category"),
        ({"kind": "benefit.started", "id_number": "530102194408120015", "occurred_on": "2026-03-15"}, "benefit_kind"),
        ({"kind": "person.moved", "id_number": "530102194408120015", "occurred_on": "2026-03-15"}, "to_area"),
        ({"kind": "fact.retracted", "id_number": "530102194408120015"}, "retracts"),
        ({"kind": "fact.retracted", "id_number": "530102194408120015", "retracts": str(uuid4())}, "retracts"),
        ({"kind": "person.died", "id_number": "530102194408120015", "occurred_on": "2026-03-15", "area": "x"}, "area"),
    ],
)
async def test_bad_input_is_refused_by_field(matching: Matching, body: dict[str, Any], path: str) -> None:
    answer = await matching.call("POST", "/v1/events", "partner", json=body)
    assert answer.status_code == 422
    assert path in {error["path"] for error in answer.json()["errors"]}
    assert "530102194408120016" not in answer.text


async def test_without_a_token_nothing_is_pushed_or_uploaded(matching: Matching) -> None:
    for path in ("/v1/events", "/v1/feeds/deaths?area=530102", "/v1/comparisons"):
        assert (await matching.running.http.post(path, json={})).status_code == 401


# --- feeds -----------------------------------------------------------------------------------------------------------


async def test_a_feed_with_garbage_rows_is_taken_in_without_them_and_each_is_named(matching: Matching) -> None:
    rows = [("好行", matching.new_id_number(), "2026-03-05") for _ in range(7)]
    rows += [("坏号", "530102194408120016", "2026-03-05"), ("坏日", matching.new_id_number(), "昨天"), ("", "", "")]
    feed = (await matching.upload("deaths", deaths_csv(*rows))).json()
    assert (feed["accepted"], feed["rejected"], feed["status"]) == (7, 3, "ready")
    answer = await matching.call("GET", f"/v1/feeds/{feed['feed_id']}/rejects", params={"limit": 2})
    page = answer.json()
    assert [(item["row"], item["field"]) for item in page["items"]] == [(9, "id_number"), (10, "date")]
    rest = await matching.call("GET", f"/v1/feeds/{feed['feed_id']}/rejects", params={"cursor": page["next_cursor"]})
    assert [(item["row"], item["field"]) for item in rest.json()["items"]] == [(11, "id_number")]
    assert rest.json()["next_cursor"] is None


async def test_the_same_file_twice_is_the_same_feed_and_of_another_day_another(matching: Matching) -> None:
    content = deaths_csv(("张三", matching.new_id_number(), "2026-03-05"))
    first, again = [(await matching.upload("deaths", content)).json() for _ in "12"]
    assert first == again
    other = (await matching.upload("deaths", content, as_of="2026-05-31")).json()
    assert other["feed_id"] != first["feed_id"]
    assert other["digest"] == first["digest"]


async def test_a_feed_in_gb18030_keeps_rare_names(matching: Matching) -> None:
    person = await matching.recipient()
    content = deaths_csv(("䶮国栋", person.id_number, "2026年3月5日")).encode("gb18030")
    assert (await matching.upload("deaths", content)).json()["accepted"] == 1
    await matching.compare()
    (finding,) = await matching.findings()
    assert finding["name"] == "䶮**"
    whole = await matching.call("GET", f"/v1/findings/{finding['finding_id']}", "township", area=TOWNSHIP)
    assert whole.json()["name"] == "䶮国栋"
    seen = await matching.call("GET", f"/v1/findings/{finding['finding_id']}", "finance")
    assert seen.json()["name"] == "䶮**"


async def test_nothing_of_a_feed_lies_on_disk_in_plain(matching: Matching, tmp_path: Path) -> None:
    id_number = matching.new_id_number()
    await matching.upload("deaths", deaths_csv(("欧阳雪梅", id_number, "2026-03-05"), ("", "bad", "")))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".parquet", ".ndjson"}
    for path in files:
        assert id_number.encode() not in path.read_bytes()
        assert "欧阳".encode() not in path.read_bytes()


@pytest.mark.parametrize(
    ("content", "says"), [("", "empty"), ("name,phone\n张三,1\n", "id_number"), ("name,date\n", "id_number")]
)
async def test_what_is_no_feed_is_refused_and_nothing_of_it_is_kept(
    matching: Matching, tmp_path: Path, content: str, says: str
) -> None:
    answer = await matching.upload("deaths", content)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    comparison = await matching.compare()
    assert "deaths" in comparison["missing"]


async def test_an_unknown_source_is_not_found(matching: Matching) -> None:
    assert (await matching.upload("weather", "x")).status_code == 404


@pytest.mark.parametrize(
    ("role", "source", "status"),
    [
        ("cdpf", "certificates", 422),
        ("cdpf", "deaths", 403),
        ("civil_affairs", "deaths", 422),
        ("partner", "deaths", 422),
        ("township", "deaths", 403),
        ("finance", "deaths", 403),
    ],
)
async def test_who_may_send_which_feed(matching: Matching, role: str, source: str, status: int) -> None:
    assert (await matching.upload(source, "", role=role)).status_code == status


async def test_a_machine_sends_the_feeds_that_its_token_names(matching: Matching) -> None:
    content = deaths_csv(("张三", matching.new_id_number(), "2026-03-05"))
    assert (await matching.upload("deaths", content, role="partner", sources=("prisons",))).status_code == 403
    assert (await matching.upload("deaths", content, role="partner", sources=("deaths",))).status_code == 201


async def test_the_federation_s_feed_acts_at_once_and_only_on_what_is_new(matching: Matching) -> None:
    person = await matching.recipient(subsidy="care")
    valid = (
        f"张三,{person.id_number},{person.id_number}42,physical,2,2020-05-01,2030-04-30,valid,,2020-05-01,{TOWNSHIP}\n"
    )
    first = (await matching.upload("certificates", CERTIFICATES + valid, role="cdpf", as_of="2026-03-31")).json()
    again = (await matching.upload("certificates", CERTIFICATES + valid, role="cdpf", as_of="2026-04-01")).json()
    frozen = valid.replace("valid,,2020-05-01", "frozen,待核,2026-04-12")
    third = (await matching.upload("certificates", CERTIFICATES + frozen, role="cdpf", as_of="2026-04-30")).json()
    assert [feed["facts"] for feed in (first, again, third)] == [1, 0, 1]
    issued, froze = await matching.told(person.person_id)
    assert (issued["type"], issued["occurred_on"], issued["expires_on"]) == (
        "certificate.issued",
        "2020-05-01",
        "2030-04-30",
    )
    assert (froze["type"], froze["occurred_on"], froze["cause"]) == ("certificate.frozen", "2026-04-12", "待核")
    assert (await matching.compare())["counts"]["findings"] == 0, "what is a fact is no lead"
    assert await invariants_hold(matching)


async def test_a_certificate_feed_from_another_hand_is_a_lead(matching: Matching) -> None:
    person = await matching.recipient(subsidy="care")
    row = f"张三,{person.id_number},,,,,,cancelled,,2026-04-12,{TOWNSHIP}\n"
    assert (await matching.upload("certificates", CERTIFICATES + row)).json()["facts"] == 0
    assert (await matching.compare())["counts"]["by_kind"] == {"certificate.cancelled": 1}


async def test_civil_affairs_low_income_feed_acts_at_once(matching: Matching) -> None:
    person = await matching.recipient()
    heading = "name,id_number,category,grace,household_id,from,to,last_paid_period,area\n"
    row = f"张三,{person.id_number},dibao,,H1,2024-01-01,,2026-03,{TOWNSHIP}\n"
    feed = (await matching.upload("low_income", heading + row)).json()
    assert feed["facts"] == 2
    exited = (await matching.told(person.person_id, "low_income.exited"))[0]
    assert (exited["occurred_on"], exited["category"]) == ("2026-04-01", "dibao")


async def test_a_benefit_feed_is_fact_for_who_is_not_paid_and_lead_for_who_is(matching: Matching) -> None:
    paid = await matching.recipient(subsidy="care")
    unpaid = matching.new_id_number()
    heading = "id_number,kind,amount_fen,from,to,last_paid_period,area\n"
    rows = "".join(f"{number},elderly_care,5000,2026-02-01,,,{TOWNSHIP}\n" for number in (paid.id_number, unpaid))
    assert (await matching.upload("benefits", heading + rows)).json()["facts"] == 1
    assert await matching.told(paid.person_id) == []
    assert (await matching.compare())["counts"]["by_kind"] == {"benefit.started": 1}
    (finding,) = await matching.findings()
    await matching.verify(finding["finding_id"], "confirmed")
    (started,) = await matching.told(paid.person_id, "benefit.started")
    assert (started["kind"], started["occurred_on"]) == ("elderly_care", "2026-02-01")


async def test_a_feed_that_was_left_half_way_is_taken_up_again(matching: Matching) -> None:
    """As after a crash between receiving and storing: the file is here, the row says received."""
    content = deaths_csv(("张三", matching.new_id_number(), "2026-03-05")).encode()
    intake, folder = matching.running.app.state.parts.intake, matching.running.app.state.parts.folder
    feed_id = uuid4()
    folder.arriving(feed_id).write_bytes(content)
    async with matching.running.app.state.database.transaction() as tx:
        await tx.connection.execute(
            text(
                "INSERT INTO feeds (feed_id, source, area, as_of, mode, digest, status, authoritative, sent_by)"
                " VALUES (:id, 'deaths', '530102', '2026-04-30', 'delta', :digest, 'received', false, 'x')"
            ),
            {"id": feed_id, "digest": "0" * 64},
        )
    assert await intake._unfinished() == [feed_id]
    await intake.take_in(feed_id)
    feed = (await matching.call("GET", f"/v1/feeds/{feed_id}")).json()
    assert (feed["status"], feed["accepted"]) == ("ready", 1)
    assert not folder.arriving(feed_id).exists()


async def test_a_large_feed_is_taken_in_behind_its_answer_and_a_bad_one_says_so(
    databases: Databases,
    issuer: Issuer,
    make_settings: Callable[..., Settings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.matching.api.feeds.AT_ONCE_BYTES", 10)
    settings = make_settings(await databases.fresh("matching"), data_dir=tmp_path, roles="api,worker")
    async with running(build(settings), settings) as started:
        matching = Matching(started, issuer)
        good = await matching.upload("deaths", deaths_csv(("张三", matching.new_id_number(), "2026-03-05")))
        bad = await matching.upload("deaths", "name,phone\n张三,13800000000\n")
        assert (good.status_code, bad.status_code) == (202, 202)

        async def status_of(feed: httpx.Response) -> dict[str, Any]:
            return (await matching.call("GET", f"/v1/feeds/{feed.json()['feed_id']}")).json()

        async def both_done() -> bool:
            return (await status_of(good))["status"] == "ready" and (await status_of(bad))["status"] == "refused"

        await eventually(both_done)
        assert (await status_of(good))["accepted"] == 1
        assert "id_number" in (await status_of(bad))["refusal"]


async def test_a_feed_of_another_area_is_not_to_be_seen_nor_sent(matching: Matching) -> None:
    feed = (await matching.upload("deaths", deaths_csv(("张三", matching.new_id_number(), "2026-03-05")))).json()
    for path in ("", "/rejects"):
        path = f"/v1/feeds/{feed['feed_id']}{path}"
        assert (await matching.call("GET", path, area="530103")).status_code == 404
    assert (await matching.upload("deaths", "x", area="530103")).status_code == 403


# --- comparisons and findings ----------------------------------------------------------------------------------------


async def test_a_cremation_found_late_is_verified_and_becomes_a_death_on_its_day(matching: Matching) -> None:
    person = await matching.recipient()
    await matching.upload("cremations", deaths_csv(("张三", person.id_number, "2026-01-12")))
    comparison = await matching.compare()
    assert comparison["counts"] == {"compared": 1, "findings": 1, "by_kind": {"person.died": 1}}
    assert [item["source"] for item in comparison["inputs"]] == ["cremations"]
    assert "prisons" in comparison["missing"]
    assert "cremations" not in comparison["missing"]
    (finding,) = await matching.findings(area=COUNTY, status="open", kind="person.died")
    assert finding["person_id"] == person.person_id
    assert finding["due_on"] > "2026-05-10"
    (opened,) = await matching.told(person.person_id)
    assert (opened["alleged_on"], opened["hold_from"], opened["status"]) == ("2026-01-12", "2026-02", "open")

    answer = await matching.verify(finding["finding_id"], "confirmed", effective_on="2026-01-10")
    assert answer.status_code == 200, answer.text
    died, confirmed = (await matching.told(person.person_id))[1:]
    assert (died["type"], died["occurred_on"]) == ("person.died", "2026-01-10")
    assert (confirmed["type"], confirmed["fact_id"]) == ("finding.confirmed", died["fact_id"])
    assert (confirmed["version"], confirmed["verified_by"]) == (2, f"township-{TOWNSHIP}")
    assert (await matching.verify(finding["finding_id"], "dismissed")).status_code == 409
    assert await invariants_hold(matching)


async def test_the_same_name_with_another_id_is_no_finding(matching: Matching) -> None:
    await matching.recipient()
    await matching.upload("deaths", deaths_csv(("张三", matching.new_id_number(), "2026-03-05")))
    assert (await matching.compare())["counts"]["findings"] == 0


async def test_serving_in_prison_is_found_and_detention_before_trial_is_not(matching: Matching) -> None:
    serving, detained = [await matching.recipient() for _ in "12"]
    rows = f"甲,{serving.id_number},2026-02-10,,serving\n乙,{detained.id_number},2026-02-10,,detained\n"
    await matching.upload("prisons", "name,id_number,from,to,kind\n" + rows)
    await matching.compare()
    (finding,) = await matching.findings()
    assert (finding["person_id"], finding["kind"]) == (serving.person_id, "person.imprisoned")
    await matching.verify(finding["finding_id"], "confirmed")
    (fact,) = await matching.told(serving.person_id, "person.imprisoned")
    assert (fact["kind"], fact["occurred_on"]) == ("serving", "2026-02-10")


async def test_a_comparison_names_what_no_feed_tells_and_what_none_of_its_month_does(matching: Matching) -> None:
    await matching.upload("deaths", deaths_csv(("张三", matching.new_id_number(), "2026-03-05")), as_of="2026-03-31")
    await matching.upload("cremations", deaths_csv(("张三", matching.new_id_number(), "2026-04-05")))
    comparison = await matching.compare()
    assert comparison["stale"] == ["deaths"]
    assert "prisons" in comparison["missing"]
    assert not {"deaths", "cremations"} & set(comparison["missing"])


async def test_a_second_comparison_finds_nothing_new(matching: Matching) -> None:
    person = await matching.recipient()
    await matching.upload("deaths", deaths_csv(("张三", person.id_number, "2026-03-05")))
    counts = [(await matching.compare())["counts"]["findings"] for _ in "12"]
    assert counts == [1, 0]


async def test_a_dismissed_lead_comes_back_only_on_new_evidence(matching: Matching) -> None:
    person = await matching.recipient()
    await matching.upload("deaths", deaths_csv(("张三", person.id_number, "2026-03-05")))
    await matching.compare()
    (finding,) = await matching.findings()
    assert (await matching.verify(finding["finding_id"], "dismissed")).json()["status"] == "dismissed"
    assert [event["type"] for event in await matching.told(person.person_id)] == ["finding.opened", "finding.dismissed"]
    # The same claim in the next month's file is not new; another register's is.
    await matching.upload("deaths", deaths_csv(("张三", person.id_number, "2026-03-05")), as_of="2026-05-31")
    assert (await matching.compare("2026-05-31"))["counts"]["findings"] == 0
    await matching.upload("cremations", deaths_csv(("张三", person.id_number, "2026-03-07")), as_of="2026-05-31")
    assert (await matching.compare("2026-05-31"))["counts"]["findings"] == 1


async def test_two_registers_of_one_death_are_one_finding_that_holds_from_the_earlier(matching: Matching) -> None:
    person = await matching.recipient()
    await matching.upload("cremations", deaths_csv(("张三", person.id_number, "2026-03-02")))
    await matching.compare()
    await matching.upload("deaths", deaths_csv(("张三", person.id_number, "2026-02-27")))
    assert (await matching.compare())["counts"]["findings"] == 0
    first, second = await matching.told(person.person_id)
    assert [first["hold_from"], second["hold_from"]] == ["2026-04", "2026-03"]
    assert (second["finding_id"], second["version"]) == (first["finding_id"], 2)
    claims = (await matching.call("GET", f"/v1/findings/{first['finding_id']}")).json()["claims"]
    assert [claim["source"] for claim in claims] == ["deaths", "cremations"]


async def test_two_registers_in_one_run_are_one_finding_from_the_earlier_day(matching: Matching) -> None:
    person = await matching.recipient()
    await matching.upload("cremations", deaths_csv(("张三", person.id_number, "2026-03-02")))
    await matching.upload("deaths", deaths_csv(("张三", person.id_number, "2026-02-27")))
    assert (await matching.compare())["counts"]["findings"] == 1
    (event,) = await matching.told(person.person_id)
    assert (event["alleged_on"], event["hold_from"], event["version"]) == ("2026-02-27", "2026-03", 1)
    detail = (await matching.call("GET", f"/v1/findings/{event['finding_id']}")).json()
    assert [claim["source"] for claim in detail["claims"]] == ["deaths", "cremations"]


async def test_a_known_death_is_no_finding_on_another_day_and_a_second_sentence_is_one(matching: Matching) -> None:
    dead, sentenced = await matching.recipient(), await matching.recipient()
    await matching.upload("deaths", deaths_csv(("张三", dead.id_number, "2026-03-05")))
    served = "name,id_number,from,to,kind\n"
    await matching.upload("prisons", served + f"李四,{sentenced.id_number},2026-01-10,2026-02-10,serving\n")
    await matching.compare()
    for finding in await matching.findings():
        await matching.verify(finding["finding_id"], "confirmed")
    await matching.upload("cremations", deaths_csv(("张三", dead.id_number, "2026-03-07")), as_of="2026-05-31")
    again = served + f"李四,{sentenced.id_number},2026-05-20,,serving\n"
    await matching.upload("prisons", again, as_of="2026-05-31")
    assert (await matching.compare("2026-05-31"))["counts"]["by_kind"] == {"person.imprisoned": 1}


async def test_who_is_stopped_already_is_not_found(matching: Matching) -> None:
    person = await matching.recipient(to=Period(2026, 3))
    await matching.upload("deaths", deaths_csv(("张三", person.id_number, "2026-03-05")))
    assert (await matching.compare())["counts"] == {"compared": 1, "findings": 0, "by_kind": {}}


async def test_a_snapshot_replaces_what_its_area_said_before(matching: Matching) -> None:
    await matching.recipient()
    content = deaths_csv(("张三", matching.new_id_number(), "2026-03-05"))
    await matching.upload("deaths", content, as_of="2026-03-31")
    snapshot = (await matching.upload("deaths", content, as_of="2026-04-20", mode="snapshot")).json()
    delta = (await matching.upload("deaths", content, as_of="2026-04-30")).json()
    inputs = {item["feed_id"] for item in (await matching.compare())["inputs"]}
    assert inputs == {snapshot["feed_id"], delta["feed_id"]}


async def test_the_ledger_is_chained_and_tells_what_became_of_each_finding(matching: Matching) -> None:
    person = await matching.recipient()
    await matching.upload("deaths", deaths_csv(("张三", person.id_number, "2026-03-05")))
    comparison = await matching.compare()
    (finding,) = await matching.findings()
    await matching.verify(finding["finding_id"], "dismissed")
    path = f"/v1/comparisons/{comparison['comparison_id']}/ledger"
    lines = (await matching.call("GET", path)).text.splitlines()
    entries = [json.loads(line) for line in lines]
    assert [line["entry"]["entry"] for line in entries] == ["comparison", "findings", "counts", "verification"]
    assert entries[2]["hash"] == comparison["digest"]
    assert entries[3]["entry"]["status"] == "dismissed"
    assert broken_at(lines) is None
    with pytest.raises(Exception, match="append-only"):
        async with matching.running.app.state.database.transaction() as tx:
            await tx.connection.execute(text("DELETE FROM ledger_entries"))


async def test_the_word_of_whose_it_is_confirms_the_lead_that_alleged_it(matching: Matching) -> None:
    person = await matching.recipient()
    await matching.upload("cremations", deaths_csv(("张三", person.id_number, "2026-01-12")))
    comparison = await matching.compare()
    fact = (await matching.push("person.died", person.id_number, "2026-01-10", sources=("deaths",))).json()
    opened, died, confirmed, _ = await matching.told(person.person_id)
    assert (died["type"], died["fact_id"]) == ("person.died", fact["event_id"])
    assert (confirmed["finding_id"], confirmed["fact_id"]) == (opened["finding_id"], fact["event_id"])
    assert (await matching.verify(opened["finding_id"], "dismissed")).status_code == 409
    ledger = await matching.call("GET", f"/v1/comparisons/{comparison['comparison_id']}/ledger")
    assert json.loads(ledger.text.splitlines()[-1])["entry"]["status"] == "confirmed"
    assert await invariants_hold(matching)


async def test_two_who_send_the_same_feed_at_once_send_one(matching: Matching) -> None:
    person = await matching.recipient(subsidy="care")
    row = f"张三,{person.id_number},,physical,2,2020-05-01,2030-04-30,valid,,,{TOWNSHIP}\n"
    uploads = (matching.upload("certificates", CERTIFICATES + row, role="cdpf") for _ in range(4))
    feeds = [answer.json() for answer in await asyncio.gather(*uploads)]
    assert {feed["feed_id"] for feed in feeds} == {feeds[0]["feed_id"]}
    assert {feed["status"] for feed in feeds} == {"ready"}
    assert len(await matching.told(person.person_id)) == 1


async def test_a_failed_face_check_is_never_a_death(matching: Matching) -> None:
    pushed = (await matching.push("person.died", matching.new_id_number(), "2026-03-05", role="township")).json()
    answer = await matching.verify(pushed["finding_id"], "confirmed", method="face", role="civil_affairs", area=COUNTY)
    assert answer.status_code == 422
    assert answer.json()["type"].endswith("face-check-proves-no-death")


async def test_a_day_still_to_come_is_not_confirmed(matching: Matching) -> None:
    pushed = (await matching.push("person.died", matching.new_id_number(), "2026-03-05", role="township")).json()
    more = {"role": "civil_affairs", "area": COUNTY, "effective_on": "2999-01-01"}
    answer = await matching.verify(pushed["finding_id"], "confirmed", **more)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "effective_on"


async def test_a_verified_death_that_never_was_is_taken_back_by_civil_affairs(matching: Matching) -> None:
    id_number = matching.new_id_number()
    pushed = (await matching.push("person.died", id_number, "2026-03-05", role="township")).json()
    verified = (await matching.verify(pushed["finding_id"], "confirmed", role="civil_affairs", area=COUNTY)).json()
    more = {"retracts": verified["fact_id"], "reason": "同名误认"}
    assert (await matching.push("fact.retracted", id_number, **more)).status_code == 403
    assert (await matching.push("fact.retracted", id_number, role="civil_affairs", **more)).status_code == 202
    assert await invariants_hold(matching)


async def test_who_verifies_must_be_of_the_place_and_of_the_role(matching: Matching) -> None:
    person = await matching.recipient()
    await matching.upload("deaths", deaths_csv(("张三", person.id_number, "2026-03-05")))
    await matching.compare()
    (finding,) = await matching.findings()
    finding_id = finding["finding_id"]
    assert (await matching.verify(finding_id, "dismissed", area="530102002")).status_code == 404
    assert (await matching.verify(finding_id, "dismissed", area="530103001")).status_code == 404
    assert (await matching.verify(finding_id, "dismissed", role="cdpf", area=COUNTY)).status_code == 403
    assert (await matching.verify(str(uuid4()), "dismissed")).status_code == 404
    assert (await matching.call("GET", f"/v1/findings/{finding_id}", area="530103")).status_code == 404
    assert (await matching.call("GET", "/v1/findings", area="530103")).json()["items"] == []
    assert (await matching.call("GET", "/v1/findings", params={"area": "5303"})).status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"level": "county", "area": "530103", "as_of": "2026-04-30"}, 403),
        ({"level": "county", "area": "5301", "as_of": "2026-04-30"}, 403),
        ({"level": "province", "area": "530102", "as_of": "2026-04-30"}, 422),
        ({"level": "galaxy", "area": "530102", "as_of": "2026-04-30"}, 422),
        ({"level": "county", "area": "530102", "as_of": "tomorrow"}, 422),
        ({"level": "county", "area": "530102", "as_of": "9999-12-31"}, 422),
        ({"level": "prefecture", "area": "5301", "as_of": "2015-12-31"}, 422),
    ],
)
async def test_a_comparison_that_cannot_be_is_refused(matching: Matching, body: Any, status: int) -> None:
    assert (await matching.call("POST", "/v1/comparisons", json=body)).status_code == status


async def test_the_province_compares_every_county_and_only_its_own(matching: Matching) -> None:
    here, there = await matching.recipient(), await matching.recipient(area="530302001")
    await matching.recipient(area="440106001")
    await matching.upload(
        "deaths", deaths_csv(("甲", here.id_number, "2026-03-05"), ("乙", there.id_number, "2026-03-05"))
    )
    assert (await matching.compare())["counts"]["compared"] == 1
    comparison = await matching.compare(area="53", level="province")
    assert comparison["counts"] == {"compared": 2, "findings": 1, "by_kind": {"person.died": 1}}


async def test_overdue_findings_are_flagged_and_still_hold(matching: Matching) -> None:
    pushed = (await matching.push("person.died", matching.new_id_number(), "2026-03-05", role="township")).json()
    (finding,) = await matching.findings(status="open")
    for days, count in ((0, 0), (1, 1)):
        as_of = date.fromisoformat(finding["due_on"]) + timedelta(days=days)
        for _ in "12":
            answer = await matching.call("POST", "/v1/daily-runs", "admin", json={"as_of": as_of.isoformat()})
            assert answer.status_code == 201, answer.text
        assert len(await matching.findings(overdue=True)) == count
    assert [event["type"] for event in await matching.told(pushed["person_id"])] == ["finding.opened"]


async def test_a_finding_of_an_unknown_person_finds_its_county_with_the_application(matching: Matching) -> None:
    id_number = matching.new_id_number()
    pushed = (await matching.push("person.died", id_number, "2026-03-05", area="53", sources=())).json()
    assert await matching.findings() == []
    await matching.hear(approved(pushed["person_id"], None))
    (finding,) = await matching.findings()
    assert finding["area"] == TOWNSHIP


async def test_an_older_entitlement_does_not_undo_a_newer_one(matching: Matching) -> None:
    person = await matching.recipient()
    await matching.hear(
        entitled(person.person_id, to=Period(2026, 3), version=3), entitled(person.person_id, version=2)
    )
    await matching.hear(entitled(person.person_id, version=2))
    await matching.upload("deaths", deaths_csv(("张三", person.id_number, "2026-03-05")))
    assert (await matching.compare())["counts"]["findings"] == 0


# --- duties and the person -------------------------------------------------------------------------------------------


async def test_who_has_not_done_their_part_of_the_month_is_named(matching: Matching) -> None:
    await matching.recipient(area="530102001")
    await matching.recipient(area="530102002")
    heading = "name,id_number,category,grace,household_id,from,to,last_paid_period,area\n"
    await matching.upload("low_income", heading + f"张三,{matching.new_id_number()},dibao,,,2024-01-01,,,\n")
    body = {"area": "530102001", "period": "2026-04", "changes": False}
    for _ in "12":
        signed = await matching.call("POST", "/v1/monthly-signoffs", "township", area="530102001", json=body)
        assert signed.status_code == 201
    query = {"area": COUNTY, "period": "2026-04"}
    duties = (await matching.call("GET", "/v1/duties", params=query)).json()
    (county,) = duties["items"]
    assert county["civil_affairs"]["done"] is True
    assert county["cdpf"]["done"] is False
    signed_by_area = {item["area"]: item["done"] for item in county["townships"]}
    assert (signed_by_area["530102001"], signed_by_area["530102002"]) == (True, False)
    assert "五华区残联" in duties["missing"]
    assert "五华区民政部门" not in duties["missing"]
    assert (await matching.call("GET", "/v1/duties", params={**query, "area": "530103"})).status_code == 403


@pytest.mark.parametrize("period", ["0001-01", "2015-12", "2026-13", "２０２６-03"])
async def test_the_duties_of_a_month_that_has_none_are_refused(matching: Matching, period: str) -> None:
    answer = await matching.call("GET", "/v1/duties", params={"area": COUNTY, "period": period})
    assert answer.status_code == 422
    assert [error["path"] for error in answer.json()["errors"]] == ["query.period"]


async def test_only_the_township_itself_signs(matching: Matching) -> None:
    body = {"area": "530102001", "period": "2026-04", "changes": False}
    other = await matching.call("POST", "/v1/monthly-signoffs", "township", area="530102002", json=body)
    assert other.status_code == 403
    assert (await matching.call("POST", "/v1/monthly-signoffs", "cdpf", json=body)).status_code == 403
    county = await matching.call("POST", "/v1/monthly-signoffs", "township", json={**body, "area": COUNTY})
    assert county.status_code == 422


async def test_the_timeline_tells_facts_and_findings_newest_first(matching: Matching) -> None:
    person = await matching.recipient()
    await matching.push("certificate.frozen", person.id_number, "2026-03-15")
    pushed = (await matching.push("person.missing", person.id_number, "2026-03-20", role="township")).json()
    await matching.verify(pushed["finding_id"], "dismissed")
    path = f"/v1/persons/{person.person_id}/timeline"
    items = (await matching.call("GET", path)).json()["items"]
    assert [item["what"] for item in items] == ["finding.dismissed", "finding.opened", "certificate.frozen"]
    assert (await matching.call("GET", path, area="530103")).status_code == 404
    assert (await matching.call("GET", "/v1/persons/p1-nobody/timeline")).status_code == 404


def approved(person_id: str, certificate: CertificateClaim | None) -> ApplicationApproved:
    return ApplicationApproved(
        person_id=person_id,
        version=4,
        application_id=UUID(int=int(person_id[-8:], 16)),
        area=TOWNSHIP,
        channel="counter",
        subsidies=("care",),
        applied_on=date(2025, 1, 10),
        status="approved",
        stage=None,
        facts=ApplicationFacts(certificate=certificate, residence_area=TOWNSHIP),
        decided_on=date(2025, 1, 20),
        granted=("care",),
    )
