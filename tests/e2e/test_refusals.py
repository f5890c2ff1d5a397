"""What the doors refuse: bad input, wrong roles and areas, forged webhooks. Each refusal is clear; nothing is lost."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from standardwebhooks import Webhook

from libs.common.settings import PORT_OFFSETS
from tests.e2e.world import World, until


async def apply(world: World, body: Any, area: str, **how: Any) -> httpx.Response:
    return await world.call("POST", "intake", "/v1/applications", "partner", area, json=body, **how)


async def test_an_id_with_a_bad_checksum_is_named_by_its_field(world: World) -> None:
    area = world.county()
    body = world.application(world.person(area), "2026-01-10", ["care"])
    number = body["applicant"]["id_number"]
    body["applicant"]["id_number"] = number[:-1] + ("0" if number[-1] != "0" else "1")
    answer = await apply(world, body, area)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert "applicant.id_number" in {error["path"] for error in answer.json()["errors"]}


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"subsidies": []}, "subsidies"),
        ({"subsidies": ["housing"]}, "subsidies.0"),
        ({"channel": "carrier pigeon"}, "channel"),
        ({"applied_on": "2199-01-01"}, "applied_on"),
        ({"applied_on": "yesterday"}, "applied_on"),
        ({"commitment": None}, "commitment"),
    ],
)
async def test_each_wrong_field_is_named(world: World, change: dict[str, Any], path: str) -> None:
    area = world.county()
    body = {**world.application(world.person(area), "2026-01-10", ["care"]), **change}
    answer = await apply(world, body, area)
    assert answer.status_code == 422, answer.text
    assert any(error["path"].startswith(path.split(".")[0]) for error in answer.json()["errors"])


async def test_a_wrong_role_a_wrong_area_and_a_stranger_s_object(world: World) -> None:
    area, elsewhere = world.county(), world.county()
    person = world.person(area)
    body = world.application(person, "2026-01-10", ["care"])
    assert (await world.call("POST", "intake", "/v1/applications", "finance", area, json=body)).status_code == 403
    assert (await apply(world, body, elsewhere)).status_code == 403
    await world.apply(person, "2026-01-10", ["care"])
    path = f"/v1/applications/{person.application_id}"
    assert (await world.call("GET", "intake", path, "township", elsewhere)).status_code == 404
    review = {"stage": "township", "outcome": "approve"}
    assert (
        await world.call("POST", "intake", f"{path}/reviews", "township", elsewhere, json=review)
    ).status_code == 404
    assert (await world.call("POST", "intake", f"{path}/reviews", "finance", area, json=review)).status_code == 403
    listed = await world.call("GET", "intake", f"/v1/applications?area={area}", "township", elsewhere)
    assert listed.status_code == 403


async def test_reviews_out_of_order_or_by_one_person_are_refused(world: World) -> None:
    area = world.county()
    person = await world.apply(world.person(area), "2026-01-10", ["care"])
    path = f"/v1/applications/{person.application_id}/reviews"
    early = {"stage": "cdpf", "outcome": "approve"}
    assert (await world.call("POST", "intake", path, "cdpf", area, json=early)).status_code == 409
    first = {"stage": "township", "outcome": "approve"}
    assert (await world.call("POST", "intake", path, "township", area, "one person", json=first)).status_code < 300
    assert (await world.call("POST", "intake", path, "cdpf", area, "one person", json=early)).status_code == 403
    unreasoned = {"stage": "cdpf", "outcome": "reject"}
    assert (await world.call("POST", "intake", path, "cdpf", area, json=unreasoned)).status_code == 422


async def test_a_second_application_for_the_same_subsidy_is_answered_with_the_first(world: World) -> None:
    area = world.county()
    person = await world.apply(world.person(area), "2026-01-10", ["care"])
    answer = await apply(world, world.application(person, "2026-02-10", ["care"]), area)
    assert answer.status_code == 409
    assert answer.json()["application_id"] == person.application_id


async def test_a_body_of_10_megabytes_and_broken_json(world: World) -> None:
    area = world.county()
    headers = {"content-type": "application/json"}
    large = await world.call(
        "POST", "intake", "/v1/applications", "partner", area, content=b" " * (10 << 20), headers=headers
    )
    broken = await world.call("POST", "intake", "/v1/applications", "partner", area, content=b"{", headers=headers)
    assert (large.status_code, broken.status_code) == (413, 400)


async def test_the_same_idempotency_key_with_the_same_and_another_body(world: World) -> None:
    area = world.county()
    body, headers = world.application(world.person(area), "2026-01-10", ["care"]), {"Idempotency-Key": str(uuid4())}
    first = await apply(world, body, area, headers=headers)
    again = await apply(world, body, area, headers=headers)
    other = await apply(world, world.application(world.person(area), "2026-01-10", ["care"]), area, headers=headers)
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 409)
    assert first.json() == again.json()


async def test_an_application_that_qualifies_for_nothing_goes_back_to_civil_affairs(world: World) -> None:
    area = world.county()
    person = world.person(area, level=4)
    await world.apply(person, "2026-01-10", ["care"])
    await world.review_all(person)
    answer = await until(lambda: _back(world, person), "its return to civil affairs")
    care = next(item for item in answer["assessment"]["decisions"] if item["subsidy"] == "care")
    failed = [reason for reason in care["reasons"] if reason["outcome"] == "fail"]
    assert failed
    assert all(reason["citation"] for reason in care["reasons"])


async def _back(world: World, person: Any) -> Any:
    answer = await world.get("intake", f"/v1/applications/{person.application_id}", area=person.area)
    assert answer["status"] != "approved"
    return answer if answer["stage"] == "civil_affairs" and answer["status"] == "in_review" else None


class Bank:
    """Signs webhooks as the bank does, or as a forger would."""

    def __init__(self, world: World, secret: str | None = None) -> None:
        keys = json.loads((world.home / "keys.json").read_text())
        self._signer = Webhook(secret or keys["onecard_webhook_secrets"].split(",")[0])
        self._world = world

    async def tell(
        self, body: dict[str, Any], *, webhook_id: str | None = None, age: timedelta = timedelta()
    ) -> httpx.Response:
        content, identity, moment = json.dumps(body), webhook_id or str(uuid4()), datetime.now(UTC) - age
        headers = {
            "webhook-id": identity,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": self._signer.sign(identity, moment, content),
            "content-type": "application/json",
        }
        url = self._world.url("disbursement", "/webhooks/onecard")
        return await self._world.http.post(url, content=content, headers=headers)


def settled(payment_id: str) -> dict[str, Any]:
    return {"type": "payment.settled", "payment_id": payment_id, "settled_on": "2026-01-31", "bank_ref": "样本"}


async def test_a_forged_a_stale_and_an_unsigned_webhook_are_401(world: World) -> None:
    body = settled(str(uuid4()))
    forged = await Bank(world, "whsec_" + "QUFB" * 8).tell(body)
    stale = await Bank(world).tell(body, age=timedelta(minutes=6))
    early = await Bank(world).tell(body, age=timedelta(minutes=-6))
    unsigned = await world.http.post(world.url("disbursement", "/webhooks/onecard"), json=body)
    assert [answer.status_code for answer in (forged, stale, early, unsigned)] == [401, 401, 401, 401]


async def test_a_webhook_for_an_unknown_payment_becomes_a_case(world: World) -> None:
    payment_id = str(uuid4())
    answer = await Bank(world).tell(settled(payment_id))
    assert answer.status_code == 202
    cases = (await world.get("disbursement", "/v1/cases?limit=500", area="53"))["items"]
    assert payment_id in json.dumps(cases)


async def test_a_repeated_webhook_changes_nothing_more(world: World) -> None:
    area = world.county()
    await world.appropriate(area)
    person = await world.granted(area, subsidies=("care",))
    await world.pay(area, "2026-01")
    before = await world.books(person, "care")
    [transfer] = await world.transfers(person)
    body, identity = settled(transfer["payment_id"]), str(uuid4())
    answers = [await Bank(world).tell(body, webhook_id=identity) for _ in range(3)]
    assert {answer.status_code for answer in answers} <= {200, 202}
    assert answers[-1].status_code == 200
    assert await world.books(person, "care") == before
    await world.invariants_hold()


async def test_one_person_cannot_carry_a_cycle_alone(world: World) -> None:
    area = world.county()
    await world.appropriate(area)
    await world.granted(area)
    await world.heard()
    cycle = await world.draw_up(area, "2026-01")
    path = f"/v1/cycles/{cycle['cycle_id']}"
    early = await world.call("POST", "disbursement", f"{path}/approval", "finance", area)
    assert early.status_code == 409
    assert (await world.call("POST", "disbursement", f"{path}/concurrence", "finance", area)).status_code == 403
    alone = await world.call("POST", "disbursement", f"{path}/concurrence", "cdpf", area, f"civil_affairs-{area}")
    assert alone.status_code == 403


async def test_a_cycle_without_money_is_refused_saying_how_much_is_missing(world: World) -> None:
    area = world.county()
    await world.appropriate(area, amount_fen=15000)
    await world.granted(area)
    await world.heard()
    cycle = await world.draw_up(area, "2026-02")
    path = f"/v1/cycles/{cycle['cycle_id']}"
    await world.post("disbursement", f"{path}/concurrence", "cdpf", area=area)
    answer = await world.call("POST", "disbursement", f"{path}/approval", "finance", area)
    assert answer.status_code == 409, answer.text
    assert "50" in answer.text or "5000" in answer.text, "living is short by 50 yuan, care by 70"


@pytest.mark.parametrize("name", PORT_OFFSETS)
async def test_every_process_tells_without_a_token_how_it_is_and_what_it_measures(world: World, name: str) -> None:
    for path in ("/healthz", "/readyz", "/metrics", *(["/openapi.json"] if name != "console" else [])):
        answer = await world.http.get(world.url(name, path))
        assert answer.status_code == 200, path
    assert "process_cpu_seconds_total" in (await world.http.get(world.url(name, "/metrics"))).text
