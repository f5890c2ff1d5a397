"""A reminder's whole way over a real broker: matching, eligibility and notification know each other by events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from libs.common.clock import business_today
from libs.common.settings import Settings
from services.eligibility.main import build as build_eligibility
from services.matching.main import build as build_matching
from services.notification.main import build as build_notification
from tests.conftest import Databases, Issuer, eventually, running
from tests.integration.matching import TOWNSHIP, Matching, invariants_hold

BUILDS: dict[str, Any] = {
    "matching": build_matching,
    "eligibility": build_eligibility,
    "notification": build_notification,
}


@pytest.fixture
async def services(
    databases: Databases, issuer: Issuer, make_settings: Callable[..., Settings], tmp_path: Path
) -> AsyncIterator[dict[str, Matching]]:
    """Each service as its callers see it."""
    async with AsyncExitStack() as stack:
        started = {}
        for name, build in BUILDS.items():
            url = await databases.fresh(name)
            settings = make_settings(url, data_dir=tmp_path, roles="api,relay,consumer,worker")
            started[name] = Matching(await stack.enter_async_context(running(build(settings), settings)), issuer)
        yield started


async def test_who_is_newly_certified_is_prescreened_reminded_by_letter_and_has_a_clock_of_their_own(
    services: dict[str, Matching],
) -> None:
    matching = services["matching"]
    issued = {
        "category": "physical", "level": 2, "expires_on": "2036-03-14", "area": TOWNSHIP, "role": "cdpf",
    }  # fmt: skip
    on = business_today() - timedelta(days=5)
    pushed = await matching.push("certificate.issued", matching.new_id_number(), on.isoformat(), **issued)
    person_id = pushed.json()["person_id"]

    async def case_in(status: str) -> Any:
        answer = await matching.call("GET", "/v1/outreach", params={"person_id": person_id})
        (case,) = answer.json()["items"]
        return case if case["status"] == status else None

    case = await eventually(lambda: case_in("reminding"))
    assert case["eligible"] == ["care"], "of level 2, and not in dibao"

    async def letters() -> Any:
        answer = await services["notification"].call("GET", "/v1/messages", params={"person_id": person_id})
        return [item for item in answer.json()["items"] if item["status"] == "letter_due"]

    (letter,) = await eventually(letters)
    assert letter["kind"] == "reminder", "on paper: nobody knows a phone of theirs"
    handed_over = await services["notification"].call(
        "POST", f"/v1/messages/{letter['message_id']}/delivery", "township", area=TOWNSHIP,
        json={"delivered_on": business_today().isoformat()},
    )  # fmt: skip
    assert handed_over.status_code == 200, handed_over.text
    case = await eventually(lambda: case_in("reminded"))
    assert (case["reminded_by"], case["reminded_on"]) == ("letter", business_today().isoformat())
    assert case["lapses_after"] == case["remind_by"]
    assert await invariants_hold(matching)
