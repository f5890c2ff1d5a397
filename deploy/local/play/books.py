"""What disbursement's books say of a person or the county."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from deploy.local.play.stage import Stage
from deploy.local.sample.county import Person
from libs.common.period import Period

_NOTHING = dict.fromkeys(("entitled_fen", "paid_fen", "in_flight_fen", "held_fen", "owed_fen", "overpaid_fen"), 0)


async def account_of(stage: Stage, id_number: str) -> list[dict[str, Any]]:
    """Each subsidy and month of the person: entitled, paid, in flight, held, owed, overpaid."""
    path = f"/v1/persons/{stage.person_ids[id_number]}/account"
    answer = await stage.rest.get("disbursement", path, stage.officials.auditor)
    items: list[dict[str, Any]] = answer["items"]
    return items


async def living_of(stage: Stage, person: Person, period: Period) -> dict[str, Any]:
    """The person's living subsidy of a month; all amounts are 0 if there is nothing to tell."""
    for item in await account_of(stage, person.id_number):
        if (item["subsidy"], item["period"]) == ("living", str(period)):
            return item
    return dict(_NOTHING)


def recoveries(stage: Stage) -> AsyncIterator[dict[str, Any]]:
    """Every case of an overpayment in the county."""
    caller, area = stage.officials.civil_affairs, stage.county.area
    return stage.rest.items("disbursement", "/v1/recoveries", caller, area=area)
