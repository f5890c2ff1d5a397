"""The papers of finance, bank, county and prefecture over HTTP: from live data, in Chinese, as PDF and as Excel."""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pypdfium2
import pytest
import python_calamine

from libs.common.events.eligibility import EntitledMonths
from libs.common.papers.lists import ROWS_OF_A_VOLUME
from libs.common.period import Period
from tests.conftest import Databases, Issuer, eventually
from tests.integration.disbursement import Person, World, world


@pytest.fixture(scope="module")
async def here(databases: Databases, issuer: Issuer) -> AsyncIterator[World]:
    async with world(databases, issuer, roles="api,relay,consumer,worker") as made:
        yield made


async def sheet(here: World, path: str, role: Any = "finance") -> list[list[Any]]:
    answer = await here.call("GET", path, role)
    assert answer.status_code == 200, answer.text
    return python_calamine.load_workbook(io.BytesIO(answer.content)).get_sheet_by_index(0).to_python()


async def pdf(here: World, path: str, role: Any = "finance") -> str:
    answer = await here.call("GET", path, role)
    assert answer.status_code == 200, answer.text
    printed = pypdfium2.PdfDocument(answer.content)
    return "".join(page.get_textpage().get_text_bounded() for page in printed)


async def county(here: World) -> tuple[Person, Person, dict[str, Any]]:
    """One is paid for two months, another's account is closed; the funds came from two levels of government."""
    area = here.county()
    for granted_by, amount_fen in (("central", 600_000), ("county", 400_000)):
        await here.post(
            "/v1/appropriations",
            "finance",
            area=area,
            subsidy="living",
            year=2026,
            amount_fen=amount_fen,
            granted_by=granted_by,
            document_no=f"财社〔2026〕{granted_by}",
        )
    paid, failing = await here.person(area), await here.person(area)
    await paid.entitled("2026-02", "2026-03", stopped_because="economic_status")
    await failing.entitled("2026-03")
    await here.heard()
    await here.bank.post("/v1/faults", json={"fail_accounts": {failing.account: "closed"}})
    cycle = await here.paid(area, "2026-03", until="closed")
    await here.bank.delete("/v1/faults")
    return paid, failing, cycle


async def test_finance_applies_for_the_funds_of_a_cycle_by_level_of_government(here: World) -> None:
    _, _, cycle = await county(here)
    path = f"/v1/cycles/{cycle['cycle_id']}/papers"
    rows = await sheet(here, f"{path}/funds-application.xlsx")
    assert rows[0][0] == "残疾人两项补贴资金申请表"
    row = dict(zip(rows[2], rows[3], strict=True))
    assert (row["人数"], row["人月数"], row["申请金额"], row["其中补发"], row["缺口"]) == (2, 3, 300, 100, 0)
    assert row["分担（按各级下达比例）"] == "中央 180.00；县级 120.00"
    text = await pdf(here, f"{path}/funds-application.pdf")
    assert all(word in text for word in ("资金申请表", "编号：ZJSQ-", "finance-53", "300.00", "民政：", "财政："))


async def test_the_voucher_tells_what_the_bank_took_paid_and_sent_back(here: World) -> None:
    _, _, cycle = await county(here)
    rows = await sheet(here, f"/v1/cycles/{cycle['cycle_id']}/papers/voucher.xlsx")
    total = dict(zip(rows[2], next(row for row in rows if row[0] == "合计"), strict=True))
    assert (total["笔数"], total["拨付金额"], total["到账金额"], total["退回金额"]) == (3, 300, 200, 100)


async def test_the_concurrence_names_who_drew_up_concurred_and_approved(here: World) -> None:
    _, _, cycle = await county(here)
    text = await pdf(here, f"/v1/cycles/{cycle['cycle_id']}/papers/concurrence.pdf", "cdpf")
    assert all(word in text for word in ("发放会签单", "civil_affairs-53", "cdpf-53", "finance-53"))


async def test_what_came_back_says_what_the_township_must_do_and_what_is_paid_again_says_why(here: World) -> None:
    paid, failing, cycle = await county(here)
    rows = await sheet(here, f"/v1/cycles/{cycle['cycle_id']}/papers/returns.xlsx", "township")
    row = dict(zip(rows[2], rows[3], strict=True))
    assert (row["姓名"], row["账号后四位"], row["原因"]) == ("阿依·买买提", failing.account[-4:], "账户已销户")
    assert "登记新账号" in row["处理办法"]
    await failing.paid_to("6222020000000555")
    await paid.entitled("2026-02", "2026-03", amount_fen=12_000, cause="policy.changed")
    await here.heard()
    again = await here.paid(failing.area, "2026-03")
    rows = await sheet(here, f"/v1/cycles/{again['cycle_id']}/papers/reissues.xlsx")
    row = dict(zip(rows[2], rows[3], strict=True))
    assert (row["第几次"], row["前次退回原因"], row["本次状态"]) == (2, "账户已销户", "已发放")
    assert len([row for row in rows[3:] if row[1]]) == 1, "arrears of a paid month came back from no bank"


async def test_whole_account_numbers_are_printed_for_finance_alone(here: World) -> None:
    paid, failing, cycle = await county(here)
    path = f"/v1/cycles/{cycle['cycle_id']}/papers/bank-list"
    assert (await here.call("GET", f"{path}.xlsx", "civil_affairs")).status_code == 403
    rows = await sheet(here, f"{path}.xlsx")
    assert {row[3] for row in rows[3:6]} == {paid.account, failing.account}
    assert (await here.call("GET", f"{path}.pdf", "finance", scope="52")).status_code == 404


async def test_an_auditor_reads_names_whole_only_with_a_reason(here: World) -> None:
    _, _, cycle = await county(here)
    path = f"/v1/cycles/{cycle['cycle_id']}/roster.xlsx"
    assert (await sheet(here, path, "auditor"))[3][1] == "阿*****"
    assert (await sheet(here, f"{path}?reason=年度审计", "auditor"))[3][1] == "阿依·买买提"
    noted = await here.sql(
        "SELECT reason FROM audit_log WHERE object = :id AND reason IS NOT NULL", id=cycle["cycle_id"]
    )
    assert [row["reason"] for row in noted] == ["年度审计"]


async def test_the_ledger_of_persons_tells_start_stop_cause_payee_and_amounts(here: World) -> None:
    paid, _, _ = await county(here)
    rows = await sheet(here, f"/v1/papers/ledger.xlsx?area={paid.area}&period=2026-04", "civil_affairs")
    found = [dict(zip(rows[2], row, strict=True)) for row in rows[3:] if row[1]]
    row = next(row for row in found if row["止发月份"])
    assert (row["起发月份"], row["止发月份"], row["停发原因"]) == ("2026-02", "2026-03", "退出低保或低保边缘")
    assert (row["月标准"], row["本年已发"], row["账号后四位"], row["账户类型"]) == (100, 200, paid.account[-4:], "本人")
    assert row["残疾人证号"] == "53010219700501001844B1"
    masked = await sheet(here, f"/v1/papers/ledger.xlsx?area={paid.area}&period=2026-04", "auditor")
    assert {row[2] for row in masked[3:] if row[1]} <= {"", None}, "not without a reason"


async def test_the_ledger_names_the_township_and_a_township_prints_its_own(here: World) -> None:
    paid, _, _ = await county(here)
    span = EntitledMonths(
        from_=Period(2026, 2), to=None, amount_fen=10_000, area=paid.area, level=1, policy_version="t", cause="moved"
    )
    paying, paid.area = paid.area, f"{paid.area}001"
    await paid.schedule((span,), cause="person.moved")
    await here.heard()
    for area, persons in ((paying, 2), (paid.area, 1)):
        rows = await sheet(here, f"/v1/papers/ledger.xlsx?area={area}&period=2026-04", "civil_affairs")
        found = [dict(zip(rows[2], row, strict=True))["乡镇（街道）"] for row in rows[3:] if row[1]]
        assert (len(found), found.count(paid.area)) == (persons, 1)


async def test_each_line_of_the_ledger_of_persons_names_the_certificate_that_its_months_rest_on(here: World) -> None:
    person = await here.person(here.county())
    before = EntitledMonths(
        from_=Period(2026, 1), to=Period(2026, 2), amount_fen=9_000, area=person.area, level=2, category="mental",
        policy_version="test", cause="application.approved",
    )  # fmt: skip
    since = before.model_copy(update={"from_": Period(2026, 3), "to": None, "level": 4, "category": "physical"})
    await person.schedule((before, since), cause="certificate.reassessed")
    await here.heard()
    rows = await sheet(here, f"/v1/papers/ledger.xlsx?area={person.area}&period=2026-04", "civil_affairs")
    assert [row[2] for row in rows[3:] if row[1]] == ["53010219700501001862", "53010219700501001844B1"]


async def test_the_balances_add_up_to_what_was_granted(here: World) -> None:
    paid, _, _ = await county(here)
    period = (await here.sql("SELECT to_char(max(booked_on), 'YYYY-MM') AS month FROM postings"))[0]["month"]
    rows = await sheet(here, f"/v1/papers/balances.xlsx?area={paid.area}&period={period}")
    row = dict(zip(rows[2], rows[3], strict=True))
    assert (row["下达合计"], row["已发"], row["银行退回"], row["结余"]) == (10_000, 200, 100, 9_800)
    assert row["各级下达"] == "中央 6000.00；县级 4000.00"
    text = await pdf(here, f"/v1/papers/balances.pdf?area={paid.area}&period={period}")
    assert "资金结余及缴回表" in text


async def test_monthly_and_yearly_reports_come_in_both_forms(here: World) -> None:
    paid, _, _ = await county(here)
    query = f"?area={paid.area}&period=2026-03"
    for paper, title in (("monthly", "月度统计表"), ("yearly", "年报表")):
        assert title in await pdf(here, f"/v1/papers/{paper}.pdf{query}")
    rows = await sheet(here, f"/v1/papers/yearly.xlsx{query}")
    assert [row[0] for row in rows[3:7]] == ["2026-01", "2026-02", "2026-03", "合计"]
    assert rows[6][3] == 200


async def test_problems_are_listed_demanded_and_kept_with_what_came_of_them(here: World) -> None:
    area = here.county()
    await here.funded(area)
    person = await here.person(area)
    await person.entitled("2026-03", "2026-03")
    await here.heard()
    found = await here.post("/v1/reconciliations", "finance", area=area, period="2026-03")
    [case] = found["differences"]["due_unpaid"]
    query = f"?area={area}&period=2026-03"
    assert (await sheet(here, f"/v1/papers/problems.xlsx{query}"))[3][1:3] == ["应发未发", area]
    assert "应发未发" not in await pdf(here, f"/v1/papers/supervision.pdf{query}")
    await here.post(
        f"/v1/cases/{case['case_id']}/assignment", "civil_affairs", to="李科长", due_on="2026-04-10", demand="限期补发"
    )
    text = await pdf(here, f"/v1/papers/supervision.pdf{query}")
    assert all(word in text for word in ("督办单", "应发未发", "李科长", "限期补发", "2026-04-10"))
    await here.paid(area, "2026-03")
    await here.post("/v1/reconciliations", "finance", area=area, period="2026-03")
    row = (await sheet(here, f"/v1/papers/rectification.xlsx{query}"))[3]
    assert row[8:10] == ["再次核对时已无差异", "对账"]
    assert len(await sheet(here, f"/v1/papers/problems.xlsx{query}")) == 5


async def test_a_long_list_is_printed_in_volumes(here: World) -> None:
    area = here.county()
    cycle = await here.drawn_up(area, "2026-03")
    await here.sql(
        "INSERT INTO cycle_exceptions (cycle_id, person_id, subsidy, period, amount_fen, outcome, reason)"
        " SELECT CAST(:id AS uuid), 'p1-' || n, 'living', '2026-03-01', 10000, 'held', 'person.died'"
        " FROM generate_series(1, CAST(:rows AS int)) AS n RETURNING 1",
        id=cycle["cycle_id"],
        rows=ROWS_OF_A_VOLUME + 1,
    )
    path = f"/v1/cycles/{cycle['cycle_id']}/papers/roster.pdf"
    last = await pdf(here, f"{path}?volume=2")
    assert all(word in last for word in ("第 2 册 共 2 册", "501", "制表："))
    assert (await here.call("GET", f"{path}?volume=3", "finance")).status_code == 404


async def test_an_auditor_is_given_the_roster_and_what_looks_odd_about_it(here: World) -> None:
    area, other = here.county(), here.county()
    await here.funded(area)
    await here.funded(other)
    person, mover = await here.person(area), await here.person(area)
    sharing = await here.person(other, account=person.account)
    await person.entitled("2026-01", "2026-03")
    await mover.entitled("2026-03")
    await here.heard()
    await here.paid(area, "2026-03")
    await person.entitled("2026-01", "2026-02", cause="person.died", died_on=date(2026, 2, 9))
    mover.area = other
    await mover.entitled("2026-03", amount_fen=12_000)
    await here.heard()
    await here.paid(other, "2026-03")

    async def extract() -> dict[str, list[str]]:
        answer = await here.call("GET", f"/v1/audit-extract.zip?area={area}&period=2026-03&reason=审计")
        files = zipfile.ZipFile(io.BytesIO(answer.content))
        return {name: files.read(name).decode("utf-8-sig").splitlines()[1:] for name in files.namelist()}

    async def dead_are_found() -> bool:
        lines = (await extract())["paid_after_death.csv"]
        return len(lines) == 1 and person.person_id in lines[0] and not lines[0].endswith(",")

    await eventually(dead_are_found)
    found = await extract()
    assert found["roster.csv"] == []
    [shared] = found["shared_accounts.csv"]
    assert {person.person_id, sharing.person_id} <= set(shared.split(",")[3].split())
    [paid_twice] = found["paid_in_two_areas.csv"]
    assert paid_twice.startswith(f"{mover.person_id},living,{area} {other},12000")
    assert {line.split(",")[2] for line in found["payments.csv"]} == {"living"}
