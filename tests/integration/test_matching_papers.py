"""The papers of verification and supervision, as officials open them."""

from __future__ import annotations

import io
from datetime import date, timedelta
from typing import Any

import pypdfium2
from python_calamine import CalamineWorkbook

from libs.common.database import new_id
from libs.common.events.eligibility import EntitledMonths, EntitlementChanged
from libs.common.events.intake import (
    ApplicationApproved,
    ApplicationFacts,
    CertificateClaim,
    ContactChanged,
    PersonIdCorrected,
)
from libs.common.period import Period
from tests.integration.matching import CERTIFICATES, COUNTY, ISSUE, TOWNSHIP, Matching, deaths_csv


async def sheets(
    matching: Matching, path: str, role: str = "civil_affairs", **query: Any
) -> dict[str, list[list[Any]]]:
    answer = await matching.call("GET", path, role, params={"area": COUNTY, **query})
    assert answer.status_code == 200, answer.text
    book = CalamineWorkbook.from_filelike(io.BytesIO(answer.content))
    return {name: book.get_sheet_by_name(name).to_python() for name in book.sheet_names}


def listed(rows: list[list[Any]]) -> list[list[Any]]:
    """The rows of a list, without what stands above and below it."""
    return [row for row in rows[3:] if row[1]]


async def test_a_task_sheet_names_the_person_to_whom_somebody_goes(matching: Matching) -> None:
    person = await matching.recipient()
    await matching.upload("deaths", deaths_csv(("=张三", person.id_number, "2026-03-05")))
    await matching.compare()
    (sheet,) = (await sheets(matching, "/v1/papers/task-sheets.xlsx")).values()
    assert sheet[0][0] == "核查任务单"
    assert any("五华区" in str(cell) for cell in sheet[1])
    row = dict(zip(sheet[2], sheet[3], strict=True))
    assert (row["姓名"], row["线索"], row["所涉日期"]) == ("=张三", "疑似死亡", "2026-03-05")
    assert person.id_number not in str(sheet)
    auditor = await matching.call("GET", "/v1/papers/task-sheets.xlsx", "auditor", params={"area": COUNTY})
    assert auditor.status_code == 403, "whole names are for those who go there"
    log = (await matching.call("GET", "/v1/audit-log", "auditor")).json()["items"]
    assert "read task sheets" in {entry["action"] for entry in log}


async def test_a_task_sheet_says_which_benefit_is_in_doubt(matching: Matching) -> None:
    person = await matching.recipient(subsidy="care")
    row = f"{person.id_number},elderly_care,5000,2026-01-01,,,{TOWNSHIP}\n"
    await matching.upload("benefits", f"id_number,kind,amount_fen,from,to,last_paid_period,area\n{row}")
    await matching.compare()
    (sheet,) = (await sheets(matching, "/v1/papers/task-sheets.xlsx")).values()
    assert dict(zip(sheet[2], sheet[3], strict=True))["线索"] == "享受其他补贴（老年人护理补贴）"


async def test_whom_no_feed_names_is_called_on_paper_as_in_the_application(matching: Matching) -> None:
    person = await matching.recipient()
    sealer, event_id = matching.running.app.state.parts.keys.sealer, new_id()
    name = sealer.seal("王芳", event_id, "name")
    told = ContactChanged(person_id=person.person_id, version=1, area=TOWNSHIP, name=name)
    await matching.hear(told, event_id=event_id)
    await matching.push("person.missing", person.id_number, "2026-03-05", role="township", area=TOWNSHIP)
    (sheet,) = (await sheets(matching, "/v1/papers/task-sheets.xlsx")).values()
    assert dict(zip(sheet[2], sheet[3], strict=True))["姓名"] == "王芳"
    assert [finding["name"] for finding in await matching.findings()] == ["王*"]
    await matching.hear(PersonIdCorrected(person_id=person.person_id, version=2, into_person_id="p1-" + "0" * 32))
    assert [finding["name"] for finding in await matching.findings()] == [None], (
        "until it is told of the one that stays"
    )


async def test_certificates_that_expire_soon_are_listed_by_month_and_by_half_year(matching: Matching) -> None:
    by = {"role": "cdpf", "area": TOWNSHIP}
    days = {"2026-05-20": 1, "2026-09-30": 6, "2026-12-31": None}
    for expires_on in days:
        person = await matching.recipient()
        await matching.push(
            "certificate.issued", person.id_number, "2016-06-01", **{**ISSUE, **by, "expires_on": expires_on}
        )
    query = {"area": COUNTY, "as_of": "2026-05-01"}
    items = (await matching.call("GET", "/v1/papers/expiring-certificates", params=query)).json()["items"]
    assert [(item["expires_on"], item["within_months"]) for item in items] == [("2026-05-20", 1), ("2026-09-30", 6)]
    book = await sheets(matching, "/v1/papers/expiring-certificates.xlsx", as_of="2026-05-01")
    assert [row[0] for row in book["残疾人证到期预警表"][3:]] == ["一个月内", "六个月内"]


async def test_a_certificate_that_only_an_application_told_of_is_listed_too(matching: Matching) -> None:
    person = await matching.recipient()
    claim = CertificateClaim(category="physical", level=2, issued_on=date(2016, 5, 21), expires_on=date(2026, 5, 20))
    await matching.hear(
        ApplicationApproved(
            person_id=person.person_id, version=1, application_id=new_id(), area=TOWNSHIP, channel="counter",
            subsidies=("living",), applied_on=date(2025, 1, 5), status="approved", stage=None, granted=("living",),
            decided_on=date(2025, 1, 20), facts=ApplicationFacts(residence_area=TOWNSHIP, certificate=claim),
        )
    )  # fmt: skip
    query = {"area": TOWNSHIP, "as_of": "2026-05-01"}
    items = (await matching.call("GET", "/v1/papers/expiring-certificates", params=query)).json()["items"]
    assert [(item["person_id"], item["within_months"]) for item in items] == [(person.person_id, 1)]
    renewed = {**ISSUE, "expires_on": "2036-05-20"}
    await matching.push("certificate.renewed", person.id_number, "2026-04-30", role="cdpf", area=TOWNSHIP, **renewed)
    items = (await matching.call("GET", "/v1/papers/expiring-certificates", params=query)).json()["items"]
    assert items == [], "what the federation renewed since counts"


async def test_what_is_overdue_is_listed_ordered_and_closed_on_paper(matching: Matching) -> None:
    pushed = await matching.push(
        "person.missing", matching.new_id_number(), "2026-03-05", role="township", area=TOWNSHIP
    )
    (finding,) = await matching.findings()
    overdue = date.fromisoformat(finding["due_on"]) + timedelta(days=1)
    await matching.call("POST", "/v1/daily-runs", "admin", json={"as_of": overdue.isoformat()})
    book = await sheets(matching, "/v1/papers/supervision.xlsx")
    assert [len(listed(rows)) for rows in book.values()] == [1, 1, 1]
    assert book["问题清单"][3][1] == "比对发现逾期未核实：失踪"
    await matching.verify(pushed.json()["finding_id"], "dismissed")
    closed_on = overdue + timedelta(days=1)
    await matching.call("POST", "/v1/daily-runs", "admin", json={"as_of": closed_on.isoformat()})
    book = await sheets(matching, "/v1/papers/supervision.xlsx")
    assert {name: len(listed(rows)) for name, rows in book.items()} == {"问题清单": 0, "督办单": 0, "整改台账": 1}
    assert book["整改台账"][3][-1] == closed_on.isoformat()


async def printed(matching: Matching, path: str, role: str = "civil_affairs", **query: Any) -> str:
    """The text of a paper, without its line breaks."""
    answer = await matching.call("GET", path, role, params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    document = pypdfium2.PdfDocument(answer.content)
    try:
        return "".join("".join(page.get_textpage().get_text_range().split()) for page in document)
    finally:
        document.close()


async def test_the_month_s_changes_name_who_is_new_changed_or_stopped_and_why(matching: Matching) -> None:
    new, changed, stopped, same = (matching.new_id_number() for _ in range(4))
    april, march, always = Period(2026, 4), Period(2026, 3), Period(2025, 1)
    months = {
        new: [(april, None, 10000, 2)],
        changed: [(always, march, 10000, 2), (april, None, 11000, 1)],
        stopped: [(always, march, 10000, 2)],
        same: [(always, None, 10000, 2)],
    }
    ids = {number: matching.running.app.state.parts.keys.person.person_id(number) for number in months}
    await matching.hear(*(receives(ids[number], spans) for number, spans in months.items()))
    register = certificate_rows((new, "赵新"), (changed, "钱变"), (stopped, "孙停"), (same, "李同"))
    await matching.upload("certificates", CERTIFICATES + register, role="cdpf", mode="snapshot")

    query = {"area": TOWNSHIP, "period": "2026-04"}
    items = (await matching.call("GET", "/v1/papers/monthly-changes", params=query)).json()["items"]
    told = {item["person_id"]: (item["change"], item["cause"], item["amount_fen"]) for item in items}
    assert told == {
        ids[new]: ("new", "application.approved", 10000),
        ids[changed]: ("changed", "certificate.reassessed", 11000),
        ids[stopped]: ("stopped", "alive", None),
    }
    book = await sheets(matching, "/v1/papers/monthly-changes.xlsx", **query)
    rows = book["月度变动表"][3:6]
    assert {(row[0], row[1], row[5]) for row in rows} == {
        ("新增", "赵新", "申请获批"), ("变更", "钱变", "残疾等级变化"), ("停发", "孙停", "死亡"),
    }  # fmt: skip
    paper = await printed(matching, "/v1/papers/monthly-changes.pdf", **query)
    assert all(word in paper for word in ("月度变动表", "赵新", "钱变", "110.00", "经办人"))
    assert "李同" not in paper
    assert "赵新" not in await printed(matching, "/v1/papers/monthly-changes.pdf", "auditor", **query)


async def test_a_month_without_changes_says_so_with_the_township_s_signature(matching: Matching) -> None:
    await matching.recipient()
    body = {"area": TOWNSHIP, "period": "2026-04", "changes": False}
    await matching.call("POST", "/v1/monthly-signoffs", "township", area=TOWNSHIP, sub="zhao", json=body)
    paper = await printed(matching, "/v1/papers/monthly-changes.pdf", area=TOWNSHIP, period="2026-04")
    assert all(word in paper for word in ("2026-04较2026-03：无变化", "无变化，zhao"))


async def test_the_federation_s_list_tells_what_changed_of_certificates_and_why(matching: Matching) -> None:
    by: dict[str, Any] = {"role": "cdpf", "area": TOWNSHIP}
    renewed, moved, frozen, before = (matching.new_id_number() for _ in range(4))
    for number in (renewed, moved, frozen, before):
        await matching.push("certificate.issued", number, "2016-06-01", **{**ISSUE, **by})
    await matching.push("certificate.renewed", renewed, "2026-04-02", **{**ISSUE, **by, "expires_on": "2036-04-01"})
    await matching.push("certificate.moved_out", moved, "2026-04-03", in_transit=True, cause="迁往省外", **by)
    await matching.push("certificate.frozen", frozen, "2026-04-04", cause="补录错误", **by)
    await matching.push("certificate.frozen", before, "2026-03-04", **by)
    query = {"area": COUNTY, "period": "2026-04"}
    book = await sheets(matching, "/v1/papers/certificate-changes.xlsx", "cdpf", **query)
    (sheet,) = book.values()
    changes = [dict(zip(sheet[2], row, strict=True)) for row in sheet[3:6]]
    assert [row["变更"] for row in changes] == ["残疾人证换发", "残疾人证迁移中", "残疾人证冻结"]
    assert (changes[2]["残疾类别"], changes[2]["残疾等级"], changes[2]["原因"]) == ("肢体", 2, "补录错误")
    assert changes[1]["原因"] == "迁往省外"
    paper = await printed(matching, "/v1/papers/certificate-changes.pdf", "cdpf", **query)
    assert all(word in paper for word in ("换证、迁移、冻结清单", "残疾人证迁移中", "2036-04-01"))


async def test_a_task_is_printed_to_take_along_and_again_with_what_was_found_out(matching: Matching) -> None:
    person = await matching.recipient()
    await matching.upload("deaths", deaths_csv(("欧阳国栋", person.id_number, "2026-03-05")))
    await matching.compare()
    (finding,) = await matching.findings()
    path = f"/v1/papers/task-sheets/{finding['finding_id']}.pdf"
    blank = await printed(matching, path)
    assert all(word in blank for word in ("欧阳国栋", "疑似死亡", "卫健死亡人口", "□属实", "见证人", "2026年3月5日"))
    await matching.verify(finding["finding_id"], "confirmed", effective_on="2026-03-04")
    done = await printed(matching, path)
    assert all(word in done for word in ("☑属实", "☑入户走访", "2026年3月4日"))
    assert (await matching.call("GET", path, area="530103")).status_code == 404


async def test_every_list_is_a_workbook_and_a_paper(matching: Matching) -> None:
    for kind in ("task-sheets", "expiring-certificates", "problems", "supervision", "rectification"):
        assert await printed(matching, f"/v1/papers/{kind}.pdf", area=COUNTY)
        assert await sheets(matching, f"/v1/papers/{kind}.xlsx")


def receives(person_id: str, spans: list[tuple[Period, Period | None, int, int]]) -> EntitlementChanged:
    schedule = tuple(
        EntitledMonths(
            from_=first, to=last, amount_fen=fen, area=COUNTY, level=level, policy_version="1",
            cause="certificate.reassessed" if place else "application.approved",
        )
        for place, (first, last, fen, level) in enumerate(spans)
    )  # fmt: skip
    return EntitlementChanged(
        person_id=person_id, version=1, subsidy="living", schedule=schedule, cause="application.approved",
        stopped_because=None if schedule[-1].to is None else "alive", area=TOWNSHIP,
    )  # fmt: skip


def certificate_rows(*people: tuple[str, str]) -> str:
    return "".join(
        f"{name},{number},,physical,2,2020-05-01,2030-04-30,valid,,2020-05-01,{TOWNSHIP}\n" for number, name in people
    )
