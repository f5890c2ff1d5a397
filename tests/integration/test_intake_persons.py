"""A person's account, guardian and contact: proposed by one, approved by another, told at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from libs.common.clock import business_today, utc_now
from libs.common.database import new_id
from libs.common.events.envelope import FactEvent
from libs.common.events.intake import Component
from libs.common.events.matching import CertificateIssued, CertificateReassessed, CertificateRenewed, FactRetracted
from libs.common.period import Period
from tests.integration.intake import Office
from tests.unit.intake.samples import guardian, guardian_account, id_number

OWN = {"holder": "own", "bank": "富滇银行", "number": "6217009999999990777", "status": "active"}


async def propose(office: Office, person_id: str, kind: str, body: dict[str, Any], sub: str = "proposer") -> str:
    answer = await office.put(f"/persons/{person_id}/{kind}", "township", body, sub)
    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "pending"
    return str(answer.json()["change_id"])


async def approve(office: Office, change_id: str, sub: str = "approver") -> Any:
    return await office.post(f"/changes/{change_id}/approval", "civil_affairs", sub=sub)


async def of_a_child(office: Office, **changes: Any) -> str:
    """A child who is paid through the guardian."""
    born = business_today().replace(day=1) - timedelta(days=3650)
    body = office.declaration(born=born, category="mental", level=2, guardian=guardian(), account=guardian_account())
    return str((await office.granted(body | changes))["person_id"])


async def test_an_account_changes_with_two_persons_and_is_told_at_once(office: Office) -> None:
    person_id = (await office.granted())["person_id"]
    change_id = await propose(office, person_id, "account", OWN)
    assert len(await office.told("payee.changed", person_id)) == 1, "a proposal changes nothing yet"

    assert (await approve(office, change_id, sub="proposer")).status_code == 403
    approved = await approve(office, change_id)
    assert approved.status_code == 200, approved.text
    assert approved.json()["status"] == "approved"
    before, after = await office.told("payee.changed", person_id)
    assert after["version"] == before["version"] + 1
    assert after["account"]["number_last4"] == "0777"
    assert after["account"]["number_token"] != before["account"]["number_token"]
    assert (await approve(office, change_id)).status_code == 409


async def test_who_may_not_approve_a_change_may_not(office: Office) -> None:
    person_id = (await office.granted())["person_id"]
    change_id = await propose(office, person_id, "account", OWN)
    for role in ("township", "cdpf", "finance", "admin", "partner"):
        answer = await office.post(f"/changes/{change_id}/approval", role)
        assert answer.status_code == 403
    elsewhere = await office.post(f"/changes/{change_id}/approval", "civil_affairs", area="530302", sub="x")
    assert elsewhere.status_code == 404
    assert (await office.put(f"/persons/{person_id}/account", "partner", OWN)).status_code == 403


async def test_two_who_approve_at_once_put_it_in_force_once(office: Office) -> None:
    person_id = (await office.granted())["person_id"]
    change_id = await propose(office, person_id, "account", OWN)
    answers = await asyncio.gather(*(approve(office, change_id, sub=f"approver {n}") for n in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert [told["version"] for told in await office.told("payee.changed", person_id)] == [1, 2]


async def test_a_later_proposal_takes_the_place_of_one_that_waits(office: Office) -> None:
    person_id = (await office.granted())["person_id"]
    first = await propose(office, person_id, "account", OWN)
    second = await propose(office, person_id, "account", OWN | {"number": "6217008888888880888"})
    assert (await approve(office, first)).status_code == 409
    assert (await approve(office, second)).status_code == 200
    assert (await office.told("payee.changed", person_id))[-1]["account"]["number_last4"] == "0888"


async def test_the_holder_s_name_must_be_the_person_s(office: Office) -> None:
    person_id = (await office.granted())["person_id"]
    other = await office.put(f"/persons/{person_id}/account", "township", OWN | {"holder_name": "张三"})
    assert other.status_code == 422
    assert other.json()["errors"][0]["path"] == "holder_name"
    same = await office.put(f"/persons/{person_id}/account", "township", OWN | {"holder_name": "阿依古丽・买买提"})
    assert same.status_code == 202


async def test_while_the_own_card_is_active_no_guardian_is_paid(office: Office) -> None:
    person_id = await of_a_child(office, account=OWN)
    refused = await office.put(f"/persons/{person_id}/account", "township", guardian_account())
    assert refused.status_code == 409
    dormant = await propose(office, person_id, "account", OWN | {"status": "inactive"})
    assert (await approve(office, dormant)).status_code == 200
    change_id = await propose(office, person_id, "account", guardian_account())
    assert (await approve(office, change_id)).status_code == 200
    assert (await office.told("payee.changed", person_id))[-1]["account"]["holder"] == "guardian"


async def test_a_capable_adult_is_never_paid_through_a_guardian(office: Office) -> None:
    none = {"holder": "own", "status": "none"}
    person_id = (await office.granted(account=none))["person_id"]
    assert (await office.told("payee.changed", person_id))[0]["account"] is None, "entitled, and unpaid until a card"
    assert (await office.put(f"/persons/{person_id}/account", "township", guardian_account())).status_code == 409
    change_id = await propose(office, person_id, "guardian", guardian())
    assert (await approve(office, change_id)).status_code == 200
    refused = await office.put(f"/persons/{person_id}/account", "township", guardian_account())
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["path"] == "holder"


async def test_one_found_unable_to_act_may_be_paid_through_a_guardian(office: Office) -> None:
    person_id = (await office.granted(account={"holder": "own", "status": "none"}))["person_id"]
    assert (await approve(office, await propose(office, person_id, "guardian", guardian()))).status_code == 200
    finding = {"incapacity": {"basis": "court", "found_on": "2026-02-01", "document_no": "(2026)云0102民特1号"}}
    assert (await office.put(f"/persons/{person_id}/capacity", "civil_affairs", finding)).status_code == 200
    change_id = await propose(office, person_id, "account", guardian_account())
    assert (await approve(office, change_id)).status_code == 200
    told = (await office.told("payee.changed", person_id))[-1]
    assert (told["cannot_act"], told["account"]["holder"]) == (True, "guardian")


async def test_who_is_assessed_anew_as_able_to_act_is_not_paid_through_a_guardian_any_longer(office: Office) -> None:
    person_id = await of_a_guardian(office)
    reassessed = certified(CertificateReassessed, person_id, category="mental", level=3)
    for _ in range(2):
        await office.tell(reassessed)
    told = await office.told("payee.changed", person_id)
    assert [(one["cannot_act"], one["account"]["holder"]) for one in told] == [(True, "guardian"), (False, "guardian")]
    assert (await office.get(f"/persons/{person_id}")).json()["cannot_act"] is False


async def test_a_mental_component_lets_a_guardian_be_paid_and_a_retracted_one_never_did(office: Office) -> None:
    person_id = (await office.granted(account={"holder": "own", "status": "none"}))["person_id"]
    parts = (Component(category="physical", level=1), Component(category="mental", level=2))
    gained = certified(CertificateReassessed, person_id, category="multiple", level=1, components=parts)
    await office.tell(gained)
    assert (await approve(office, await propose(office, person_id, "guardian", guardian()))).status_code == 200
    assert (await approve(office, await propose(office, person_id, "account", guardian_account()))).status_code == 200
    renewed = certified(CertificateRenewed, person_id, category="multiple", level=1)
    await office.tell(renewed)
    told = (await office.told("payee.changed", person_id))[-1]
    assert (told["cannot_act"], told["account"]["holder"]) == (True, "guardian"), "a file does not name components"

    await office.tell(retracting(renewed), retracting(gained))
    assert (await office.told("payee.changed", person_id))[-1]["cannot_act"] is False


async def test_of_certificates_the_latest_counts_in_whatever_order_they_are_heard_of(office: Office) -> None:
    person_id = await of_a_guardian(office)
    able = certified(CertificateReassessed, person_id, category="physical", level=1, ago=1)
    await office.tell(retracting(able), certified(CertificateRenewed, person_id, category="mental", level=1, ago=2))
    before = len(await office.told("payee.changed", person_id))
    older = certified(CertificateIssued, person_id, category="vision", level=1, ago=3000)
    await office.tell(older, able)
    assert len(await office.told("payee.changed", person_id)) == before, "one is older, the other never was"


async def test_a_certificate_with_a_date_counts_before_one_that_the_application_leaves_undated(office: Office) -> None:
    person_id = await of_a_guardian(office)
    await office.tell(certified(CertificateIssued, person_id, category="physical", level=1, ago=3000))
    assert (await office.told("payee.changed", person_id))[-1]["cannot_act"] is False


async def test_a_certificate_of_a_day_to_come_counts_from_that_day_on(office: Office) -> None:
    person_id = await of_a_guardian(office)
    await office.tell(certified(CertificateReassessed, person_id, category="physical", level=1, ago=-20))
    assert len(await office.told("payee.changed", person_id)) == 1
    for days, times in ((19, 1), (20, 2), (21, 2)):
        as_of = (business_today() + timedelta(days=days)).isoformat()
        assert (await office.post("/daily-runs", "admin", {"as_of": as_of}, area="00")).is_success
        assert len(await office.told("payee.changed", person_id)) == times
    assert (await office.told("payee.changed", person_id))[-1]["cannot_act"] is False


async def test_a_certificate_that_was_told_before_the_approval_counts_with_it(office: Office) -> None:
    body = office.declaration(account={"holder": "own", "status": "none"})
    person_id = (submitted := await office.submit(body))["person_id"]
    await office.tell(certified(CertificateReassessed, person_id, category="intellectual", level=2))
    await office.approve_by_three(submitted["application_id"])
    await office.assess(submitted["application_id"], "living", "care")
    assert [one["cannot_act"] for one in await office.told("payee.changed", person_id)] == [True]


async def of_a_guardian(office: Office) -> str:
    """Somebody who cannot act by their certificate, and is paid through a guardian."""
    body = office.declaration(category="mental", level=2, guardian=guardian(), account=guardian_account())
    return str((await office.granted(body))["person_id"])


def certified(kind: type[Any], person_id: str, *, ago: int = 0, **said: Any) -> Any:
    """A certificate of so many days ago, as the federation tells it."""
    occurred_on = business_today() - timedelta(days=ago)
    about = {"fact_id": new_id(), "known_at": utc_now(), "source": "certificates", "area": "530102"}
    return kind(person_id=person_id, occurred_on=occurred_on, **about, **said)


def retracting(fact: FactEvent) -> FactRetracted:
    about = {"person_id": fact.person_id, "known_at": utc_now(), "source": fact.source}
    return FactRetracted(fact_id=new_id(), occurred_on=fact.occurred_on, retracts=fact.fact_id, **about)


async def test_nothing_more_goes_to_a_former_guardian(office: Office) -> None:
    person_id = await of_a_child(office)
    mother = guardian(name="热依汗", account={"bank": "富滇银行", "number": "6217001111111110999"})
    assert (await approve(office, await propose(office, person_id, "guardian", mother))).status_code == 200
    account = (await office.told("payee.changed", person_id))[-1]["account"]
    assert (account["holder"], account["number_last4"]) == ("guardian", "0999")

    without_account = guardian(name="祖母", account=None)
    assert (await approve(office, await propose(office, person_id, "guardian", without_account))).status_code == 200
    assert (await office.told("payee.changed", person_id))[-1]["account"] is None


async def test_what_two_persons_changed_while_an_application_was_reviewed_stands_once_it_is_approved(
    office: Office,
) -> None:
    async def reviewed(body: dict[str, Any], kind: str, change: dict[str, Any]) -> dict[str, Any]:
        """Granted living and applying for care as before, while account or guardian are changed."""
        person_id = (await office.granted(body | {"subsidies": ["living"]}))["person_id"]
        application_id = (await office.submit(body | {"subsidies": ["care"]}))["application_id"]
        assert (await approve(office, await propose(office, person_id, kind, change))).status_code == 200
        await office.approve_by_three(application_id)
        await office.assess(application_id, "care")
        assert (await office.read(application_id))["status"] == "approved"
        account: dict[str, Any] = (await office.told("payee.changed", person_id))[-1]["account"]
        return account

    assert (await reviewed(office.declaration(), "account", OWN))["number_last4"] == "0777"
    born = business_today().replace(day=1) - timedelta(days=3650)
    child = office.declaration(born=born, category="mental", level=2, guardian=guardian(), account=guardian_account())
    mother = guardian(name="热依汗", account={"bank": "富滇银行", "number": "6217001111111110999"})
    assert (await reviewed(child, "guardian", mother))["number_last4"] == "0999"


async def test_an_institution_as_guardian_is_paid_as_one(office: Office) -> None:
    house = {
        "kind": "institution",
        "name": "昆明市儿童福利院",
        "org_code": "12530100MB0000001X",
        "phone": "087165130000",
    }
    person_id = await of_a_child(office, guardian=house, account=guardian_account(number="530100123456789"))
    account = (await office.told("payee.changed", person_id))[-1]["account"]
    assert (account["holder"], account["org_code"]) == ("institution", "12530100MB0000001X")


async def test_who_comes_of_age_is_told_of_by_the_daily_run_once(office: Office) -> None:
    birthday = Period.of(business_today()).next.first_day
    through_guardian = {"guardian": guardian(), "account": guardian_account()}
    born = birthday.replace(year=birthday.year - 18)
    body = office.declaration(born=born, category="physical", level=2, **through_guardian)
    person_id = (await office.granted(body))["person_id"]
    assert (await office.told("payee.changed", person_id))[-1]["cannot_act"] is True
    as_of = {"as_of": birthday.isoformat()}
    for _ in range(2):
        answer = await office.post("/daily-runs", "admin", as_of, area="00")
        assert answer.status_code == 201, answer.text
    told = await office.told("payee.changed", person_id)
    assert [item["cannot_act"] for item in told] == [True, False]


async def test_one_account_for_two_persons_is_an_alarm(office: Office) -> None:
    shared = {"account": OWN | {"number": f"62170000{office.area}0128"}}
    first, second = [(await office.granted(**shared))["person_id"] for _ in range(2)]
    alarms = (await office.get("/account-alarms")).json()["items"]
    assert [(alarm["number_last4"], sorted(alarm["person_ids"])) for alarm in alarms] == [
        ("0128", sorted([first, second]))
    ]
    other = OWN | {"number": f"62170000{office.area}0999"}
    approved = await approve(office, await propose(office, second, "account", other))
    assert approved.json()["shared_with"] == []
    approved = await approve(office, await propose(office, first, "account", other))
    assert approved.json()["shared_with"] == [second]


async def test_a_person_is_found_by_the_resident_id_and_shown_masked(office: Office) -> None:
    body = office.declaration()
    person_id = (await office.granted(body))["person_id"]
    number = body["applicant"]["id_number"]
    found = await office.post("/persons/search", "township", {"id_number": number.lower()})
    assert found.json() == {"person_id": person_id}
    assert (await office.post("/persons/search", "township", {"id_number": id_number()})).status_code == 404
    assert (await office.post("/persons/search", "township", {"id_number": "123"})).status_code == 422
    assert (await office.post("/persons/search", "partner", {"id_number": number}, sub="other")).status_code == 404
    assert (await office.post("/persons/search", "township", {"id_number": number}, area="530302")).status_code == 404

    shown = await office.get(f"/persons/{person_id}")
    assert shown.json()["account"]["number"].endswith("0128")
    for secret in (number, body["applicant"]["name"], body["account"]["number"], body["applicant"]["phone"]):
        assert secret not in shown.text
    assert (await office.get(f"/persons/{person_id}", area="530302")).status_code == 404
    assert (await office.get("/persons/p1-unknown")).status_code == 404


async def test_the_timeline_tells_the_story_newest_first(office: Office) -> None:
    person_id = (await office.granted())["person_id"]
    await propose(office, person_id, "account", OWN)
    items = (await office.get(f"/persons/{person_id}/timeline")).json()["items"]
    what = [item["what"] for item in items]
    assert what[0] == "提出变更"
    assert what[-1] == "提交申请"
    assert {"乡镇（街道）初审", "残联审核", "民政审定", "资格认定", "收款账户生效"} <= set(what)
    assert [item["at"] for item in items] == sorted((item["at"] for item in items), reverse=True)


async def test_a_township_changes_how_a_person_is_reached(office: Office) -> None:
    person_id = (await office.submit())["person_id"]
    before = len(await office.told("contact.changed", person_id))
    path = f"/persons/{person_id}/contact"
    assert (await office.put(path, "township", {"phone": "+86 139-1234-5678"})).status_code == 200
    assert (await office.put(path, "township", {"phone": "13912345678"})).status_code == 200
    assert len(await office.told("contact.changed", person_id)) == before + 1
    assert (await office.put(path, "township", {"phone": "12"})).status_code == 422
    assert (await office.put(path, "finance", {"phone": "13912345678"})).status_code == 403


async def test_the_phone_that_was_given_last_stands_whichever_application_is_approved_last(office: Office) -> None:
    async def reached(person_id: str) -> str:
        shown = await office.get(f"/persons/{person_id}", "auditor", params={"reason": "核对"})
        return str(shown.json()["phone"])

    async def approve_care(application_id: str) -> None:
        await office.approve_by_three(application_id)
        await office.assess(application_id, "care")

    body = office.declaration()
    person_id = (await office.granted(body | {"subsidies": ["living"]}))["person_id"]
    earlier = (await office.submit(body | {"subsidies": ["care"]}))["application_id"]
    path = f"/persons/{person_id}/contact"
    assert (await office.put(path, "township", {"phone": "13912345678"})).status_code == 200
    await approve_care(earlier)
    assert await reached(person_id) == "13912345678", "given while it was under review"

    await office.post(f"/applications/{earlier}/withdrawal", "township", {"reason": "本人改变主意"})
    later = body | {"subsidies": ["care"], "applicant": body["applicant"] | {"phone": "13700007777"}}
    await approve_care((await office.submit(later))["application_id"])
    assert await reached(person_id) == "13700007777"


async def test_a_change_is_not_meant_for_the_future(office: Office) -> None:
    person_id = (await office.granted())["person_id"]
    tomorrow = (business_today() + timedelta(days=1)).isoformat()
    answer = await office.put(f"/persons/{person_id}/account", "township", OWN | {"from": tomorrow})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "from"


async def test_an_auditor_reads_a_person_whole_for_a_reason(office: Office) -> None:
    body = office.declaration()
    person_id = (await office.submit(body))["person_id"]
    whole = await office.get(f"/persons/{person_id}", "auditor", params={"reason": "年度审计"})
    assert whole.json()["id_number"] == body["applicant"]["id_number"]
    assert (await office.get(f"/persons/{person_id}", "finance", params={"reason": "x"})).status_code == 403


async def corrected(office: Office, person_id: str, number: str) -> Any:
    proposed = await office.put(f"/persons/{person_id}/id-number", "township", {"id_number": number})
    assert proposed.status_code == 202, proposed.text
    return await approve(office, proposed.json()["change_id"])


async def test_a_corrected_resident_id_takes_everything_along(office: Office) -> None:
    submitted = await office.granted()
    wrong, number = submitted["person_id"], id_number()
    assert (await corrected(office, wrong, number)).json()["person_id"] != wrong
    right = (await office.post("/persons/search", "township", {"id_number": number})).json()["person_id"]
    told = (await office.told("person.id_corrected", wrong))[0]
    assert told["into_person_id"] == right
    assert (await office.told("payee.changed", right))[-1]["account"]["number_last4"] == "0128"
    assert len(await office.told("contact.changed", right)) == 1

    shown = (await office.get(f"/persons/{right}")).json()
    assert [item["application_id"] for item in shown["applications"]] == [submitted["application_id"]]
    assert shown["accounts"][0]["replaced_at"] is None
    gone = await office.get(f"/persons/{wrong}")
    assert (gone.status_code, gone.json()["person_id"]) == (409, right)
    again = await office.post("/applications", "partner", office.declaration(number=number))
    assert again.json()["application_id"] == submitted["application_id"], "one application, whatever the ID"
    answered = await office.running.http.post(
        "/v1/public/progress", json={"receipt_no": submitted["receipt_no"], "id_last4": number[-4:]}
    )
    assert answered.json()["status"] == "approved"


async def test_two_persons_become_one_and_keep_one_account(office: Office) -> None:
    number = id_number()
    right = await office.granted(office.declaration(number=number, subsidies=("care",)))
    wrong = await office.granted(office.declaration(subsidies=("living",), account=OWN))
    assert (await corrected(office, wrong["person_id"], number)).json()["person_id"] == right["person_id"]
    shown = (await office.get(f"/persons/{right['person_id']}")).json()
    assert len(shown["applications"]) == 2
    assert [account["replaced_at"] is None for account in shown["accounts"]].count(True) == 1
    assert (await office.told("payee.changed", right["person_id"]))[-1]["account"]["number_last4"] == "0128"


async def test_two_who_are_paid_the_same_do_not_become_one(office: Office) -> None:
    number = id_number()
    await office.granted(office.declaration(number=number))
    wrong = await office.granted()
    answer = await corrected(office, wrong["person_id"], number)
    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]) == (409, "both-granted")
    assert (await office.get(f"/persons/{wrong['person_id']}")).status_code == 200


async def test_a_resident_id_is_corrected_by_two(office: Office) -> None:
    person_id = (await office.submit())["person_id"]
    path = f"/persons/{person_id}/id-number"
    assert (await office.put(path, "township", {"id_number": "530102"})).status_code == 422
    proposed = await office.put(path, "civil_affairs", {"id_number": id_number()}, "one")
    assert (await approve(office, proposed.json()["change_id"], sub="one")).status_code == 403


async def test_changes_that_wait_are_listed_for_who_decides_and_masked(office: Office) -> None:
    submitted = await office.granted()
    account = {"holder": "own", "bank": "中国农业银行", "number": "6228481234567890123", "status": "active"}
    path = f"/persons/{submitted['person_id']}/account"
    change_id = (await office.put(path, "township", account, "clerk a")).json()["change_id"]
    listed = (await office.get("/changes", params={"status": "pending"})).json()["items"]
    assert [(item["change_id"], item["kind"], item["proposed_by"]) for item in listed] == [
        (change_id, "account", "clerk a")
    ]
    assert listed[0]["says"].startswith("本人账户，中国农业银行")
    assert "6228481234567890123" not in str(listed)
    assert (await office.get("/changes", area="530199")).json()["items"] == []
    await office.post(f"/changes/{change_id}/approval", "civil_affairs", None, "clerk b")
    assert (await office.get("/changes", params={"status": "pending"})).json()["items"] == []
