"""Who is told what, and at which phone: families, guardians, the dead, two ids that are one person."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from libs.common.clock import business_today, utc_now
from libs.common.database import new_id
from libs.common.events.disbursement import OverpaidMonth, PaymentSettled, RecoveryClosed, RecoveryOpened
from libs.common.events.eligibility import PolicyChanged, PolicyValue
from libs.common.events.envelope import EventData
from libs.common.events.intake import ContactChanged, PayeeAccount, PayeeChanged, PersonIdCorrected
from libs.common.events.matching import (
    CertificateIssued,
    CertificateRenewed,
    FactRetracted,
    FindingDismissed,
    FindingOpened,
    PersonDied,
)
from libs.common.period import SHANGHAI, Period
from services.notification.parameters import load_parameters, quiet_until
from services.notification.sending import QUIET_HOURS, Sending
from services.notification.sms import HttpSmsProvider
from tests.conftest import Databases, Issuer
from tests.integration.test_notification import (
    AREA,
    PERSON,
    PHONE,
    THIS_MONTH,
    Notification,
    approval,
    entitlement,
    in_words,
    notification,
)

Event = tuple[EventData, UUID]
MOTHER, CHILD = "p1-" + "a" * 32, "p1-" + "b" * 32
LONG_NAME = "阿卜杜热合曼·买买提依明江·阿卜杜克里木江买合木提"  # 25 characters with U+00B7


@pytest.fixture
async def service(databases: Databases, make_settings: Any) -> AsyncIterator[Notification]:
    async with notification(databases, make_settings) as made:
        yield made


def contact(
    service: Notification,
    person_id: str,
    name: str = "测试",
    phone: str | None = PHONE,
    *,
    version: int = 1,
    guardian_phone: str | None = None,
) -> Event:
    event_id = new_id()
    data = ContactChanged(
        person_id=person_id,
        version=version,
        area=AREA,
        name=service.sealer.seal(name, event_id, "name"),
        phone=service.sealer.seal(phone, event_id, "phone") if phone else None,
        phone_token=phone and f"token of {phone}",
        guardian_phone=service.sealer.seal(guardian_phone, event_id, "guardian_phone") if guardian_phone else None,
    )
    return data, event_id


def of(person_id: str, event: Event) -> Event:
    return event[0].model_copy(update={"person_id": person_id}), event[1]


def dated(event_type: type[EventData], person_id: str, on: date, **more: Any) -> Event:
    fact = {"fact_id": new_id(), "occurred_on": on, "known_at": utc_now(), "source": "test"}
    return event_type(person_id=person_id, **fact, **more), new_id()


def payee(service: Notification, version: int, number: str | None) -> Event:
    event_id = new_id()
    account = number and PayeeAccount(
        holder="own",
        holder_name=service.sealer.seal("测试", event_id, "account.holder_name"),
        bank="农村信用社",
        number=service.sealer.seal(number, event_id, "account.number"),
        number_last4=number[-4:],
        status="active",
        number_token=f"token of {number}",
    )
    data = PayeeChanged(
        person_id=PERSON,
        version=version,
        area=AREA,
        person_name=service.sealer.seal("测试", event_id, "person_name"),
        account=account or None,
        cannot_act=False,
        effective_on=date(2026, 3, 2),
    )
    return data, event_id


def finding(status: str) -> Event:
    kind = FindingOpened if status == "open" else FindingDismissed
    data = kind(
        person_id=PERSON,
        version=1 if status == "open" else 2,
        finding_id=UUID(int=7),
        kind="person.imprisoned",
        area=AREA,
        status=status,
        alleged_on=THIS_MONTH.first_day,
        hold_from=THIS_MONTH.next,
        due_on=date(2026, 4, 20),
    )
    return data, new_id()


async def stopped(service: Notification, *person_ids: str) -> None:
    """They were paid, and all stop in one batch."""
    for person_id in person_ids:
        await service.receive(of(person_id, entitlement(1, None)))
    await service.receive(
        *(of(person_id, entitlement(2, THIS_MONTH, cause="low_income.exited")) for person_id in person_ids)
    )


@pytest.mark.parametrize("names", [("䶮小龙", "𠮷野木"), (LONG_NAME, "䶮")])
async def test_a_family_on_one_phone_that_is_told_the_same_gets_one_text_with_all_names_unchanged(
    service: Notification, names: tuple[str, str]
) -> None:
    await service.receive(*(contact(service, who, name) for who, name in zip((MOTHER, CHILD), names, strict=True)))
    await stopped(service, MOTHER, CHILD)
    await service.send_all()
    [(phone, said)] = service.provider.texts.values()
    assert phone == PHONE
    assert said.startswith(f"【两补】{names[0]}、{names[1]}：您的重度残疾人护理补贴自")
    messages = await service.messages()
    assert [message["status"] for message in messages] == ["delivered", "delivered"]
    assert all(name not in message["text"] for message in messages for name in names), "the message itself names nobody"


async def test_different_news_for_one_phone_is_not_mixed_up_and_each_says_whose_it_is(service: Notification) -> None:
    await service.receive(contact(service, MOTHER, "甲"), contact(service, CHILD, "乙"))
    await stopped(service, MOTHER)
    await service.receive(of(CHILD, approval()))
    await service.send_all()
    said = sorted(text for _, text in service.provider.texts.values())
    assert len(said) == 2
    assert said[0].startswith("【两补】乙：您于")
    assert said[1].startswith("【两补】甲：您的重度")


async def test_when_the_text_to_a_family_fails_each_of_them_gets_a_letter(service: Notification) -> None:
    service.provider.outcome = "failed"
    await service.receive(contact(service, MOTHER, "甲"), contact(service, CHILD, "乙"))
    await stopped(service, MOTHER, CHILD)
    await service.send_all()
    assert [message["status"] for message in await service.messages()] == ["letter_due", "letter_due"]
    assert len(await service.published("message.failed.v1")) == 2


async def test_answers_lost_do_not_break_a_family_text_apart(service: Notification) -> None:
    service.provider.loses_answers = 2
    await service.receive(contact(service, MOTHER, "甲"), contact(service, CHILD, "乙"))
    await stopped(service, MOTHER, CHILD)
    await service.send_all()
    assert len(service.provider.texts) == 1
    assert {message["status"] for message in await service.messages()} == {"delivered"}


async def test_once_a_death_is_known_the_guardian_is_told_and_without_one_the_family_by_letter(
    service: Notification,
) -> None:
    """Also when the death ended nothing: the spell had ended before."""
    await service.receive(
        contact(service, MOTHER, guardian_phone="13700000001"),
        contact(service, CHILD, phone="13800000002"),
        dated(PersonDied, MOTHER, date(2026, 1, 5)),
        dated(PersonDied, CHILD, date(2026, 1, 5)),
    )
    for person_id in (MOTHER, CHILD):
        recovery = RecoveryOpened(
            person_id=person_id,
            version=1,
            recovery_id=new_id(),
            subsidy="care",
            area=AREA,
            cause="low_income.exited",
            months=(OverpaidMonth(period=Period(2026, 2), amount_fen=11_000),),
            amount_fen=11_000,
            status="open",
        )
        await service.receive((recovery, new_id()))
    await service.send_all()
    [(phone, said)] = service.provider.texts.values()
    assert phone == "13700000001"
    assert "领取人去世后" in said
    assert {(m["person_id"], m["status"]) for m in await service.messages()} == {
        (MOTHER, "delivered"),
        (CHILD, "letter_due"),
    }


def claim_of(recovery_id: UUID, version: int, amount_fen: int, recovered_fen: int = 0) -> RecoveryOpened:
    return RecoveryOpened(
        person_id=PERSON,
        version=version,
        recovery_id=recovery_id,
        subsidy="care",
        area=AREA,
        cause="low_income.exited",
        months=(OverpaidMonth(period=Period(2026, 2), amount_fen=amount_fen),),
        amount_fen=amount_fen,
        recovered_fen=recovered_fen,
        status="open",
    )


async def test_an_overpayment_is_told_once_however_often_something_of_it_is_repaid(service: Notification) -> None:
    recovery_id = new_id()
    await service.receive(service.contact(), (claim_of(recovery_id, 1, 11_000), new_id()))
    await service.receive((claim_of(recovery_id, 2, 11_000, recovered_fen=1_000), new_id()))
    assert len(await service.messages()) == 1
    await service.receive((claim_of(recovery_id, 3, 9_000, recovered_fen=1_000), new_id()))
    assert ["90.00元" in message["text"] for message in await service.messages()] == [False, True]


async def test_a_claim_that_comes_back_after_it_had_shrunk_is_told_once_more(service: Notification) -> None:
    recovery_id = new_id()
    await service.receive(service.contact())
    for version, amount_fen in enumerate((11_000, 5_000, 5_000, 11_000), start=1):
        await service.receive((claim_of(recovery_id, version, amount_fen), new_id()))
    told = sorted(["110.00元" in message["text"] for message in await service.messages()])
    assert told == [False, True, True]


async def test_who_gave_back_a_part_of_what_was_claimed_by_mistake_is_told_that_it_is_paid_again(
    service: Notification,
) -> None:
    last = THIS_MONTH.previous
    case = {"person_id": PERSON, "recovery_id": new_id(), "subsidy": "care", "area": AREA, "cause": "economic_status"}
    claimed = (OverpaidMonth(period=last, amount_fen=11_000),)
    opened = RecoveryOpened(**case, version=1, months=claimed, amount_fen=11_000, status="open")
    given_back = (OverpaidMonth(period=last, amount_fen=4_000),)
    wrong = {"months": given_back, "amount_fen": 4_000, "recovered_fen": 4_000, "due_again_fen": 4_000}
    await service.receive(service.contact(), entitlement(1, None))
    await service.receive((settled(last), new_id()))
    await service.receive(entitlement(2, last.previous, cause="low_income.exited"), (opened, new_id()))
    # It may come before the schedule that makes it so, and twice.
    for version in (2, 3):
        await service.receive((RecoveryClosed(**case, version=version, **wrong, status="closed"), new_id()))
    await service.receive(entitlement(3, None, cause="fact.retracted"))
    told = [message["kind"] for message in await service.messages()]
    assert sorted(told) == ["entitlement_resumed", "entitlement_stopped", "recovery_opened", "recovery_withdrawn"]
    [withdrawal] = [message["text"] for message in await service.messages() if message["kind"] == "recovery_withdrawn"]
    assert "已经退回的，随下一次发放补发" in withdrawal


async def test_who_was_told_to_give_back_by_mistake_is_told_not_to_and_is_promised_nothing(
    service: Notification,
) -> None:
    last = THIS_MONTH.previous
    case = {"person_id": PERSON, "recovery_id": new_id(), "subsidy": "care", "area": AREA, "cause": "economic_status"}
    claimed = (OverpaidMonth(period=last, amount_fen=11_000),)
    opened = RecoveryOpened(**case, version=1, months=claimed, amount_fen=11_000, status="open")
    closed = RecoveryClosed(**case, version=2, months=(), amount_fen=0, status="closed")
    await service.receive(service.contact(), entitlement(1, None))
    await service.receive((settled(last), new_id()))
    await service.receive(entitlement(2, last.previous, cause="low_income.exited"), (opened, new_id()))
    await service.receive(entitlement(3, None, cause="fact.retracted"), (closed, new_id()))
    kinds = {message["kind"] for message in await service.messages()}
    assert kinds == {"entitlement_stopped", "recovery_opened", "entitlement_resumed", "recovery_withdrawn"}


async def test_what_was_given_back_and_is_due_again_is_told_as_arrears(service: Notification) -> None:
    last = THIS_MONTH.previous
    closed = RecoveryClosed(
        person_id=PERSON,
        version=2,
        recovery_id=new_id(),
        subsidy="care",
        area=AREA,
        cause="economic_status",
        months=(OverpaidMonth(period=last, amount_fen=11_000),),
        amount_fen=11_000,
        recovered_fen=11_000,
        status="closed",
    )
    await service.receive(service.contact(), entitlement(1, None))
    await service.receive((settled(last), new_id()))
    await service.receive(entitlement(2, last.previous, cause="low_income.exited"))
    await service.receive((closed, new_id()))
    await service.receive(entitlement(3, None, cause="fact.retracted"))
    arrears = [message["text"] for message in await service.messages() if message["kind"] == "arrears_granted"]
    assert [f"{in_words(last)}应补发110.00元" in told for told in arrears] == [True]


async def test_what_only_the_living_need_is_told_to_nobody_after_a_death(service: Notification) -> None:
    await service.receive(service.contact(), entitlement(1, None), finding("open"))
    await service.receive(dated(PersonDied, PERSON, date(2026, 1, 5)))
    await service.send_all()
    [message] = await service.messages()
    assert (message["kind"], message["status"], message["reason"]) == ("payment_held", "suppressed", "the person died")
    assert service.provider.requests == 0


async def test_a_month_not_paid_yet_is_no_arrears(service: Notification) -> None:
    await service.receive(service.contact(), entitlement(1, None))
    await service.receive(entitlement(2, None, amount_fen=12_000, cause="policy.changed"))
    assert [message["kind"] for message in await service.messages()] == ["entitlement_changed"]


async def test_a_death_that_is_retracted_gives_the_phone_back(service: Notification) -> None:
    death = dated(PersonDied, PERSON, date(2026, 1, 5))
    retraction = dated(FactRetracted, PERSON, date(2026, 1, 5), retracts=death[0].fact_id)  # type: ignore[attr-defined]
    await service.receive(contact(service, PERSON), retraction)
    await service.receive(death, approval())
    await service.send_all()
    assert len(service.provider.texts) == 1


async def test_who_was_declared_dead_and_came_back_before_the_text_left_is_not_told_of_a_death(
    service: Notification,
) -> None:
    await service.receive(service.contact(), entitlement(1, None))
    await service.receive(entitlement(2, Period(2026, 2), cause="person.declared_dead"))
    await service.receive(entitlement(3, None, cause="person.reappeared"))
    await service.send_all()
    told = {message["kind"]: (message["status"], message["reason"]) for message in await service.messages()}
    assert told["entitlement_ended"] == ("suppressed", "the person is alive")
    assert told["entitlement_resumed"] == ("delivered", None)


async def test_a_person_without_a_phone_is_told_at_the_guardians(service: Notification) -> None:
    await service.receive(contact(service, PERSON, phone=None, guardian_phone="13700000001"), approval())
    await service.send_all()
    assert [phone for phone, _ in service.provider.texts.values()] == ["13700000001"]


async def test_messages_go_on_under_the_right_id_and_to_its_phone(service: Notification, issuer: Issuer) -> None:
    await service.receive(contact(service, PERSON, phone=None), approval())
    corrected = PersonIdCorrected(person_id=PERSON, version=1, into_person_id=MOTHER), new_id()
    await service.receive(contact(service, MOTHER), corrected)
    await service.receive(approval())  # told under the wrong id still
    await service.send_all()
    assert [phone for phone, _ in service.provider.texts.values()] == [PHONE, PHONE]
    story = await service.app.http.get(f"/v1/persons/{MOTHER}/timeline", headers=issuer.bearer("township", AREA))
    assert len(story.json()["items"]) == 2
    assert await service.sql(f"SELECT FROM contacts WHERE person_id = '{PERSON}'") == []


async def test_who_had_only_the_wrong_ids_contact_is_reached_by_it(service: Notification) -> None:
    corrected = PersonIdCorrected(person_id=PERSON, version=1, into_person_id=MOTHER), new_id()
    await service.receive(contact(service, PERSON), corrected, of(MOTHER, approval()))
    await service.send_all()
    assert [phone for phone, _ in service.provider.texts.values()] == [PHONE]


async def test_another_account_is_told_to_the_phone_in_use_and_to_the_one_just_replaced(service: Notification) -> None:
    await service.receive(contact(service, PERSON), payee(service, 1, "6217000000001111"))
    await service.receive(payee(service, 2, "6217000000001111"))
    assert await service.messages() == [], "the first account and the same one again are no news"
    await service.receive(contact(service, PERSON, phone="13900005678", version=2))
    await service.receive(payee(service, 3, "6217000000002222"), payee(service, 4, None))
    await service.receive(payee(service, 5, "6217000000003333"))
    await service.send_all()
    told = [(phone, text) for phone, text in service.provider.texts.values() if "发放账户" in text]
    assert sorted(phone for phone, _ in told) == [PHONE] * 3 + ["13900005678"] * 3
    for account in ("尾号2222", "待登记", "尾号3333"):
        assert sum(account in text for _, text in told) == 2
    assert all("6217" not in text for _, text in told)


async def test_a_replaced_phone_is_forgotten_after_its_days(service: Notification, issuer: Issuer) -> None:
    await service.receive(contact(service, PERSON))
    await service.receive(contact(service, PERSON, phone="13900005678", version=2))
    as_of = str(business_today() + timedelta(days=91))
    await service.app.http.post("/v1/daily-runs", json={"as_of": as_of}, headers=issuer.bearer("admin", "53"))
    assert await service.sql("SELECT old_phone FROM contacts") == [{"old_phone": None}]


async def test_a_hold_is_told_without_what_is_alleged_and_its_end_too(service: Notification) -> None:
    await service.receive(service.contact(), entitlement(1, None), finding("open"))
    await service.receive(finding("open"), finding("dismissed"), finding("dismissed"))
    held, released = sorted(await service.messages(), key=lambda message: str(message["message_id"]))
    assert (held["kind"], released["kind"]) == ("payment_held", "hold_released")
    assert f"自{in_words(THIS_MONTH.next)}起暂缓发放，应于2026年4月20日前核实完毕" in held["text"]
    assert not any(word in held["text"] + released["text"] for word in ("狱", "刑", "死"))


async def test_a_lead_about_somebody_who_is_not_paid_is_told_to_nobody(service: Notification) -> None:
    await service.receive(service.contact(), entitlement(1, THIS_MONTH), finding("open"), finding("dismissed"))
    assert await service.messages() == []


def settled(period: Period) -> PaymentSettled:
    return PaymentSettled(
        person_id=PERSON,
        version=2,
        payment_id=new_id(),
        subsidy="care",
        period=period,
        amount_fen=11_000,
        area=AREA,
        status="settled",
        on=THIS_MONTH.first_day,
    )


async def test_more_for_months_paid_is_told_with_months_and_amount(service: Notification) -> None:
    await service.receive(service.contact(), entitlement(1, None))
    await service.receive((settled(THIS_MONTH.previous), new_id()))
    await service.receive(entitlement(2, None, amount_fen=12_000, cause="policy.changed"))
    arrears = [message for message in await service.messages() if message["kind"] == "arrears_granted"]
    [first, last] = in_words(THIS_MONTH.plus(-9)), in_words(THIS_MONTH.previous)
    assert [f"{first}至{last}应补发90.00元" in message["text"] for message in arrears] == [True]


async def test_an_expiring_certificate_is_told_half_a_year_and_a_month_ahead_once_each(
    service: Notification, issuer: Issuer
) -> None:
    expires_on = on_28th(7)
    certificate = {"category": "vision", "level": 1, "expires_on": expires_on}
    await service.receive(
        service.contact(),
        entitlement(1, None),
        dated(CertificateIssued, PERSON, date(2017, 10, 1), **certificate),
        dated(CertificateIssued, MOTHER, date(2017, 10, 1), **certificate),  # is not paid
    )
    day = timedelta(days=1)
    for as_of, told in [
        (on_28th(1) - day, 0),
        (on_28th(1), 1),
        (on_28th(1) + day, 1),
        (on_28th(6) - day, 1),
        (on_28th(6), 2),
        (expires_on, 2),
        (expires_on + day, 2),
    ]:
        messages = await expiries_told(service, issuer, as_of)
        assert (as_of, len(messages)) == (as_of, told)
    assert all(f"{in_words(THIS_MONTH.plus(7))}28日到期" in message["text"] for message in messages)


async def test_who_renewed_is_not_told_and_who_is_heard_of_late_is_told_once(
    service: Notification, issuer: Issuer
) -> None:
    old = {"category": "vision", "level": 1, "expires_on": on_28th(1)}
    await service.receive(
        entitlement(1, None),
        of(MOTHER, entitlement(1, None)),
        dated(CertificateIssued, PERSON, date(2017, 10, 1), **old),
        dated(CertificateRenewed, PERSON, date(2026, 2, 1), **(old | {"expires_on": date(2036, 1, 31)})),
        dated(CertificateIssued, MOTHER, date(2017, 10, 1), **old),
    )
    for days in (3, 2):
        told = await expiries_told(service, issuer, on_28th(1) - timedelta(days=days))
        assert [message["person_id"] for message in told] == [MOTHER]


def on_28th(months: int) -> date:
    return THIS_MONTH.plus(months).first_day.replace(day=28)


async def expiries_told(service: Notification, issuer: Issuer, as_of: date) -> list[dict[str, Any]]:
    """The notices there are after the daily run of a day."""
    body, admin = {"as_of": str(as_of)}, issuer.bearer("admin", "53")
    ran = await service.app.http.post("/v1/daily-runs", json=body, headers=admin)
    assert ran.status_code == 201, ran.text
    return [message for message in await service.messages() if message["kind"] == "certificate_expiring"]


async def test_at_night_texts_wait_for_the_morning_and_letters_do_not(service: Notification) -> None:
    night = datetime(2026, 3, 2, 23, tzinfo=SHANGHAI)
    await service.receive(service.contact(), approval(), of(MOTHER, approval()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(service.provider.app())) as http:
        client = HttpSmsProvider(http, "http://sms.test", "key")
        await Sending(service.app.app.state.database, service.sealer, client, clock=lambda: night).step()
    waiting, letter = sorted(await service.messages(), key=lambda message: str(message["person_id"]))
    assert (waiting["status"], waiting["reason"], letter["status"]) == ("queued", QUIET_HOURS, "letter_due")
    assert waiting["next_try_at"] == datetime(2026, 3, 3, 8, tzinfo=SHANGHAI)
    assert service.provider.requests == 0


def policy(area: str, version: int, **values: int) -> Event:
    told = [
        PolicyValue(parameter=name.replace("_", "."), since=date(2016, 1, 1), value=values[name]) for name in values
    ]
    return PolicyChanged(area=area, version=version, policy_version=f"sample-{version}", values=tuple(told)), new_id()


async def test_the_policy_of_the_nearest_area_decides_when_texts_may_go_and_which_notices_are_due(
    service: Notification, issuer: Issuer
) -> None:
    certificate = {"category": "vision", "level": 1, "expires_on": on_28th(7)}
    await service.receive(
        service.contact(),
        entitlement(1, None),
        dated(CertificateIssued, PERSON, date(2017, 10, 1), **certificate),
        policy("", 9, quiet_until=6, expiry_first=12),
        policy(AREA[:4], 2, quiet_until=10, expiry_first=2),
        policy(AREA[:4], 1, quiet_until=7, expiry_first=12),  # came late, and is older
    )
    assert await expiries_told(service, issuer, on_28th(4)) == []
    assert len(await expiries_told(service, issuer, on_28th(5))) == 1
    async with service.app.app.state.database.transaction() as tx:
        in_force = await load_parameters(tx)
    morning = datetime(2026, 3, 3, 9, tzinfo=SHANGHAI)
    assert quiet_until(in_force, AREA, morning) == datetime(2026, 3, 3, 10, tzinfo=SHANGHAI)
    assert quiet_until(in_force, "440106", morning) is None
    assert quiet_until(in_force, AREA, morning.replace(hour=22)), "what was not told stays what the program brings"


async def test_a_letter_that_cannot_be_handed_over_is_dead_and_is_told(service: Notification, issuer: Issuer) -> None:
    await service.receive(approval())
    await service.send_all()
    [message] = await service.messages()
    path, township = f"/v1/messages/{message['message_id']}", issuer.bearer("township", AREA)
    http = service.app.http
    failed = await http.post(f"{path}/failure", json={"reason": "查无此人"}, headers=township)
    assert (failed.json()["status"], failed.json()["reason"]) == ("failed", "查无此人")
    assert (await http.post(f"{path}/failure", json={"reason": "查无此人"}, headers=township)).status_code == 409
    assert len(await service.published("message.failed.v1")) == 1
    shown = (await http.get(path, headers=township)).json()
    assert [step["status"] for step in shown["history"]][0::1][-1] == "failed"
    assert (await http.get(path, headers=issuer.bearer("township", "530103001"))).status_code == 404


async def test_a_text_is_previewed_with_samples_and_stores_nothing(service: Notification, issuer: Issuer) -> None:
    http, county = service.app.http, issuer.bearer("civil_affairs", "530102")
    path = "/v1/templates/entitlement_stopped/preview"
    shown = (await http.post(path, json={}, headers=county)).json()
    assert "自2026年4月起停发" in shown["text"]
    assert "60日内申请行政复议" in shown["text"]
    assert (shown["sample"], shown["sms_parts"]) == (True, -(-shown["characters"] // 67))
    tried = await http.post(path, json={"text": "您的{subsidy}停发"}, headers=county)
    assert tried.json()["text"] == "您的重度残疾人护理补贴停发"
    assert (await http.post(path, json={"text": "{name}"}, headers=county)).status_code == 422
    assert await service.sql("SELECT FROM templates") == []


async def test_messages_are_counted_by_kind_medium_and_status(service: Notification, issuer: Issuer) -> None:
    await service.receive(service.contact(), approval(), approval())
    counted = await service.app.http.get("/v1/message-statistics", headers=issuer.bearer("township", AREA))
    assert counted.json()["items"] == [
        {"kind": "application_approved", "medium": "sms", "status": "queued", "messages": 2}
    ]
