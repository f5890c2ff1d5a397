"""A resident ID that was mistyped and is corrected: one person, one history of payments, no month paid twice."""

from __future__ import annotations

from typing import Any

from tests.e2e.world import World, until


async def test_a_corrected_resident_id_takes_the_payments_along(world: World) -> None:
    area = world.county()
    await world.appropriate(area)
    wrong = await world.granted(area, subsidies=("living",))
    await world.pay(area, "2026-02")
    right = await world.corrected(wrong)
    await world.until_months(right, "living", [("2026-01", "2030-04", 10_000)])
    for period in ("2026-01", "2026-02"):
        await world.until_books(right, "living", period, paid_fen=10_000, owed_fen=0, overpaid_fen=0)

    cycle = await world.pay(area, "2026-03")
    assert (cycle["counts"]["settled"], cycle["amount_fen"]) == (1, 10_000)
    assert len(await world.transfers(right)) == 3
    assert (await world.get("disbursement", f"/v1/recoveries?area={area}", area=area))["items"] == []

    # What a department still reports under the wrong ID stops the right one.
    await world.push(wrong, "certificate.expired", "2026-04-15")
    await world.until_months(right, "living", [("2026-01", "2026-04", 10_000)])

    async def told() -> Any:
        path = f"/v1/persons/{right.person_id}/timeline"
        items = (await world.get("matching", path, area=area))["items"]
        return items or None

    await until(told, "matching's part of the right person's story")
    await world.invariants_hold()
