"""The main job, end to end: from the application to the bank and back, and the changes that the system exists for."""

from __future__ import annotations

from libs.common.clock import business_today
from libs.common.period import Period
from tests.e2e.world import World, until


async def test_from_the_application_to_the_bank_and_back(world: World) -> None:
    area = world.county()
    await world.appropriate(area)
    person = world.person(area)
    await world.apply(person, "2026-01-10", ["living", "care"])
    await until(lambda: _assessed(world, person), "the first assessment")
    await world.review_all(person)
    decided = await world.approved(person)
    assert sorted(decided["granted"]) == ["care", "living"]
    await world.until_months(person, "living", [("2026-01", "2030-04", 10000)])
    await world.until_months(person, "care", [("2026-01", "2030-04", 11000)])

    cycle = await world.pay(area, "2026-01")
    assert cycle["counts"]["payable"] == 2
    assert cycle["amount_fen"] == 21000
    for subsidy, amount in (("living", 10000), ("care", 11000)):
        await world.until_books(
            person, subsidy, "2026-01",
            entitled_fen=amount, paid_fen=amount, in_flight_fen=0, held_fen=0, owed_fen=0, overpaid_fen=0,
        )  # fmt: skip
    transfers = await world.transfers(person)
    assert sorted(item["amount_fen"] for item in transfers) == [10000, 11000]
    assert {item["status"] for item in transfers} == {"settled"}
    texts = [text for item in transfers for text in await world.sms(item["payment_id"])]
    assert len(texts) == 2
    assert person.id_number not in str(texts)
    await world.cycle_reaches(area, cycle["cycle_id"], "closed")


async def test_a_second_cycle_of_the_same_month_pays_nothing_again(world: World) -> None:
    area = world.county()
    await world.appropriate(area)
    person = await world.granted(area)
    await world.pay(area, "2026-02")
    again = await world.call(
        "POST", "disbursement", "/v1/cycles", "civil_affairs", area, json={"area": area, "period": "2026-02"}
    )
    assert again.status_code == 409 or again.json()["counts"]["payable"] == 0
    assert len(await world.transfers(person)) == 4, "January and February, living and care"


async def test_months_before_the_approval_are_paid_from_the_month_of_application(world: World) -> None:
    area = world.county()
    await world.appropriate(area)
    person = await world.granted(area, "2025-11-20")
    await world.pay(area, "2026-01")
    books = await world.books(person, "living")
    assert {period: row["paid_fen"] for period, row in books.items() if period <= "2026-01"} == {
        "2025-11": 9000,
        "2025-12": 9000,
        "2026-01": 10000,
    }


async def test_an_expired_certificate_stops_the_next_month_and_a_renewal_pays_again(world: World) -> None:
    area = world.county()
    await world.appropriate(area)
    person = await world.granted(area)
    await world.push(person, "certificate.expired", "2026-03-15")
    await world.until_months(person, "care", [("2026-01", "2026-03", 11000)])
    cycle = await world.pay(area, "2026-04")
    assert cycle["amount_fen"] == 3 * 21000, "January to March, nothing for April"
    await world.push(
        person, "certificate.renewed", "2026-06-10",
        category="physical", level=1, issued_on="2026-06-10", expires_on="2036-06-09",
    )  # fmt: skip
    await world.until_months(person, "care", [("2026-01", "2026-03", 11000), ("2026-06", "2036-06", 11000)])
    await world.pay(area, "2026-06")
    await world.until_books(person, "living", "2026-06", paid_fen=10000)
    assert (await world.books(person, "living")).get("2026-05", {}).get("paid_fen", 0) == 0


async def test_leaving_dibao_stops_living_and_care_goes_on(world: World) -> None:
    area = world.county()
    await world.appropriate(area)
    person = await world.granted(area)
    await world.push(person, "low_income.exited", "2026-03-11")
    await world.until_months(person, "living", [("2026-01", "2026-03", 10000)])
    await world.pay(area, "2026-04")
    await world.until_books(person, "care", "2026-04", paid_fen=11000)
    assert (await world.books(person, "living")).get("2026-04", {}).get("paid_fen", 0) == 0


async def test_a_death_found_three_months_late_becomes_a_recovery_of_exactly_those_months(world: World) -> None:
    area = world.county()
    await world.appropriate(area)
    dead, namesake = await world.granted(area, name="张伟"), await world.granted(area, name="张伟")
    for period in ("2026-01", "2026-02", "2026-03", "2026-04"):
        await world.pay(area, period)
    csv = f"name,id_number,date,area\n{dead.name},{dead.id_number},2026-01-20,{area}\n"
    feed = await world.call(
        "POST", "matching", f"/v1/feeds/cremations?area={area}&as_of=2026-04-30&mode=delta", "civil_affairs", area,
        content=csv.encode(), headers={"content-type": "text/csv"},
    )  # fmt: skip
    assert feed.status_code == 201, feed.text
    assert feed.json()["accepted"] == 1
    comparison = await world.post(
        "matching", "/v1/comparisons", "civil_affairs", {"level": "county", "area": area, "as_of": "2026-04-30"},
        area=area,
    )  # fmt: skip
    finding = await until(lambda: _finding(world, area), "the finding")
    assert finding["person_id"] == dead.person_id
    assert (await world.get("matching", f"/v1/comparisons/{comparison['comparison_id']}", area=area))["counts"]
    code, said = await world.liangbu("rerun", comparison["comparison_id"])
    assert (code, "the same" in said) == (0, True), said

    await world.heard()
    draft = await world.draw_up(area, "2026-05")
    assert draft["counts"]["held"] == 2, "the lead holds what was not sent"
    assert draft["counts"]["payable"] == 2, "the namesake is paid"

    await world.post(
        "matching", f"/v1/findings/{finding['finding_id']}/verification", "township",
        {"method": "visit", "outcome": "confirmed", "effective_on": "2026-01-20", "note": "核实"}, area=area,
    )  # fmt: skip
    await world.until_months(dead, "living", [("2026-01", "2026-01", 10000)])
    await world.until_months(namesake, "living", [("2026-01", "2030-04", 10000)])
    recoveries = await until(lambda: _recoveries(world, area, 2), "two recoveries")
    found = {item["subsidy"]: {m["period"]: m["amount_fen"] for m in item["months"]} for item in recoveries}
    assert found == {
        "living": {"2026-02": 10000, "2026-03": 10000, "2026-04": 10000},
        "care": {"2026-02": 11000, "2026-03": 11000, "2026-04": 11000},
    }
    assert {item["person_id"] for item in recoveries} == {dead.person_id}


async def test_who_is_reported_missing_is_held_then_stopped_and_paid_again_on_return(world: World) -> None:
    area = world.county()
    await world.appropriate(area)
    missing, declared = [await world.granted(area, subsidies=("care",)) for _ in range(2)]
    lead = await world.push(missing, "person.missing", "2026-02-10", role="township")
    assert lead["outcome"] == "finding", "a township only reports"
    assert (await world.push(declared, "person.declared_dead", "2026-02-10"))["outcome"] == "fact"
    await world.heard()
    cycle = await world.draw_up(area, "2026-03")
    assert (cycle["counts"]["payable"], cycle["counts"]["held"]) == (4, 1), "January and February of both"

    await world.post(
        "matching", f"/v1/findings/{lead['finding_id']}/verification", "township",
        {"method": "visit", "outcome": "confirmed", "effective_on": "2026-02-10", "note": "派出所证明"}, area=area,
    )  # fmt: skip
    for person in (missing, declared):
        await world.until_months(person, "care", [("2026-01", "2026-02", 11000)])
        await world.push(person, "person.reappeared", "2026-04-20")
    await world.until_months(missing, "care", [("2026-01", "2026-02", 11000), ("2026-04", "2030-04", 11000)])
    await world.until_months(declared, "care", [("2026-01", "2030-04", 11000)])  # the declaration is annulled


async def test_who_withdraws_on_the_day_of_the_approval_keeps_the_months_until_then(world: World) -> None:
    area = world.county()
    person = await world.granted(area, subsidies=("care",))
    path = f"/v1/applications/{person.application_id}"
    withdrawn = await world.post("intake", f"{path}/withdrawal", "partner", {"reason": "自愿退出"}, area=area)
    assert withdrawn["status"] == "withdrawn"
    await world.heard()
    today = business_today()
    last = (
        Period.of(today).previous if today.day == 1 else Period.of(today)
    )  # a withdrawal on the 1st leaves its month out
    assert await world.months(person, "care") == [("2026-01", str(last), 11000)]


async def test_a_dismissed_lead_releases_what_it_held(world: World) -> None:
    area = world.county()
    await world.appropriate(area)
    person = await world.granted(area)
    await world.pay(area, "2026-01")
    finding_body = {"kind": "person.died", "id_number": person.id_number, "occurred_on": "2026-01-25"}
    await world.post("matching", "/v1/events", "township", finding_body, area=area)
    finding = await until(lambda: _finding(world, area), "the finding")
    await world.heard()
    held = await world.pay(area, "2026-02")
    assert {name: held["counts"][name] for name in ("payable", "held", "unpayable")} == {
        "payable": 0,
        "held": 2,
        "unpayable": 0,
    }
    await world.post(
        "matching", f"/v1/findings/{finding['finding_id']}/verification", "township",
        {"method": "visit", "outcome": "dismissed", "note": "本人健在"}, area=area,
    )  # fmt: skip
    await world.pay(area, "2026-03")
    for period in ("2026-02", "2026-03"):
        await world.until_books(person, "living", period, paid_fen=10000, held_fen=0)


async def test_a_standard_raised_with_a_date_in_the_past_becomes_arrears(world: World) -> None:
    area = world.county()
    await world.appropriate(area)
    person = await world.granted(area)
    for period in ("2026-01", "2026-02"):
        await world.pay(area, period)
    layer = f"""
layer: "{area}"
title: 样本县关于提高困难残疾人生活补贴标准的通知
parameters:
  living.amount_fen:
    - since: 2026-01-01
      value: 12000
      source: 样本县发〔2026〕1号
      clause: 第一条
      confidence: K
      sample: true
"""
    answer = await world.call("POST", "eligibility", "/v1/policies", "civil_affairs", area, "a", content=layer)
    assert answer.status_code == 201, answer.text
    approval = await world.call(
        "POST", "eligibility", f"/v1/policies/{answer.json()['policy_id']}/approval", "civil_affairs", area, "b"
    )
    assert approval.status_code == 202, approval.text
    await world.until_months(person, "living", [("2026-01", "2030-04", 12000)])
    await until(lambda: _can_draw_up(world, area), "the re-evaluation to be known")
    cycle = await world.pay(area, "2026-03")
    assert cycle["amount_fen"] == 2 * 2000 + 12000 + 11000
    for period in ("2026-01", "2026-02", "2026-03"):
        await world.until_books(person, "living", period, entitled_fen=12000, paid_fen=12000, owed_fen=0)


async def test_a_failed_payment_is_paid_again_once_two_persons_corrected_the_account(world: World) -> None:
    area = world.county()
    await world.appropriate(area)
    person = await world.granted(area)
    await world.http.post(world.url("onecard_mock", "/v1/faults"), json={"fail_accounts": {person.account: "closed"}})
    try:
        await world.pay(area, "2026-01")
    finally:
        await world.http.delete(world.url("onecard_mock", "/v1/faults"))
    await world.until_books(person, "living", "2026-01", paid_fen=0, owed_fen=10000, payee_ready=False)
    old_account, person.account = person.account, f"62179999{person.account[8:]}"
    change = await world.call(
        "PUT", "intake", f"/v1/persons/{person.person_id}/account", "township", area,
        json={"holder": "own", "holder_name": person.name, "bank": "云南农信", "number": person.account,
              "status": "active"},
    )  # fmt: skip
    assert change.status_code == 202, change.text
    assert change.json()["status"] == "pending"
    same_person = await world.call(
        "POST", "intake", f"/v1/changes/{change.json()['change_id']}/approval", "civil_affairs", area,
        sub=f"township-{area}",
    )  # fmt: skip
    assert same_person.status_code == 403
    await world.post("intake", f"/v1/changes/{change.json()['change_id']}/approval", "civil_affairs", area=area)
    await world.pay(area, "2026-02")
    for period in ("2026-01", "2026-02"):
        await world.until_books(person, "living", period, paid_fen=10000, owed_fen=0)
    assert len([item for item in await world.transfers(person) if item["status"] == "settled"]) == 4
    person.account = old_account
    assert {item["status"] for item in await world.transfers(person)} == {"failed"}


async def test_all_invariants_hold_after_everything(world: World) -> None:
    await world.invariants_hold()


async def _assessed(world: World, person: object) -> object:
    answer = await world.get("intake", f"/v1/applications/{person.application_id}", area=person.area)  # type: ignore[attr-defined]
    return answer.get("assessment")


async def _finding(world: World, area: str) -> object:
    items = (await world.get("matching", f"/v1/findings?area={area}&status=open", area=area))["items"]
    return items[0] if items else None


async def _recoveries(world: World, area: str, count: int) -> object:
    items = (await world.get("disbursement", f"/v1/recoveries?area={area}", area=area))["items"]
    return items if len(items) >= count else None


async def _can_draw_up(world: World, area: str) -> object:
    answer = await world.call(
        "POST", "disbursement", "/v1/cycles", "civil_affairs", area, json={"area": area, "period": "2026-03"}
    )
    return True if answer.status_code == 201 else None
