"""A month's cycle: drawn up, concurred, approved, submitted, settled; and what it shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from deploy.local.play.stage import Stage, until
from deploy.local.rest import Refused
from libs.common.period import Period

APPROPRIATION_FEN = 50_000_000_00
"""Enough for any sample county and year: half a hundred million yuan."""

Month = tuple[str, str, str]
"""A person's month of a subsidy: person_id, subsidy, period."""


def month_of(item: dict[str, Any]) -> Month:
    return item["person_id"], item["subsidy"], item["period"]


@dataclass(slots=True)
class PaidMonth:
    """One cycle once it is settled, with every payment in it and every month that it could not pay."""

    period: Period
    cycle_id: str
    failed_before: frozenset[Month] = frozenset()
    """What an earlier cycle had tried in vain."""
    payments: list[dict[str, Any]] = field(default_factory=list)
    exceptions: list[dict[str, Any]] = field(default_factory=list)

    def settled(self) -> list[dict[str, Any]]:
        return [payment for payment in self.payments if payment["status"] == "settled"]

    def failed(self) -> list[dict[str, Any]]:
        return [payment for payment in self.payments if payment["status"] in ("failed", "returned")]

    def reissued(self) -> list[dict[str, Any]]:
        """Payments of months that failed before."""
        return [payment for payment in self.payments if month_of(payment) in self.failed_before]

    def arrears(self) -> list[dict[str, Any]]:
        """Payments for earlier months that had not failed: approved late, raised, or held till now."""
        earlier = [payment for payment in self.payments if payment["period"] < str(self.period)]
        return [payment for payment in earlier if month_of(payment) not in self.failed_before]

    def held(self) -> list[dict[str, Any]]:
        """Months that a finding holds."""
        return [month for month in self.exceptions if month["outcome"] == "held"]

    def unpayable(self) -> list[dict[str, Any]]:
        """Of the cycle's own period: nobody to pay to, a card that is not activated, an account that failed."""
        return [
            month
            for month in self.exceptions
            if month["outcome"] == "unpayable" and month["period"] == str(self.period)
        ]

    def own_months(self) -> set[tuple[str, str]]:
        """Person and subsidy of what the cycle's own period owed, paid or not."""
        return {
            (month["person_id"], month["subsidy"])
            for month in (*self.payments, *self.exceptions)
            if month["period"] == str(self.period)
        }

    def paid_fen(self) -> int:
        return sum(payment["amount_fen"] for payment in self.settled())


async def appropriate(stage: Stage, year: int) -> None:
    """The year's money for both subsidies."""
    for subsidy in ("living", "care"):
        body = {
            "area": stage.county.area[:6],
            "subsidy": subsidy,
            "year": year,
            "amount_fen": APPROPRIATION_FEN,
            "document_no": f"样例财社〔{year}〕{1 if subsidy == 'living' else 2}号",
        }
        key = stage.key("appropriate", subsidy, year)
        await stage.rest.post("disbursement", "/v1/appropriations", stage.officials.finance, body, key=key)


async def pay(stage: Stage, period: Period, failed_before: frozenset[Month]) -> PaidMonth:
    """The whole cycle of a period, until every payment has its result."""
    officials, rest = stage.officials, stage.rest
    drawn = await until(lambda: _draw_up(stage, period), f"the cycle of {period} to be drawn up")
    path = f"/v1/cycles/{drawn['cycle_id']}"
    for step, caller in (
        ("concurrence", officials.cdpf),
        ("approval", officials.finance),
        ("submission", officials.finance),
    ):
        await rest.post("disbursement", f"{path}/{step}", caller, {}, key=stage.key(step, drawn["cycle_id"]))

    async def settled() -> bool:
        return (await rest.get("disbursement", path, officials.finance))["status"] in ("settled", "closed")

    await until(settled, f"the cycle of {period} to settle")
    month = PaidMonth(period, drawn["cycle_id"], failed_before)
    async for item in rest.items("disbursement", f"{path}/items", officials.finance):
        (month.payments if item["payment_id"] else month.exceptions).append(item)
    return month


async def _draw_up(stage: Stage, period: Period) -> dict[str, Any] | None:
    """The draft; None while a policy is still being applied to everybody."""
    body = {"area": stage.county.area, "period": str(period)}
    try:
        drawn: dict[str, Any] = await stage.rest.post(
            "disbursement", "/v1/cycles", stage.officials.civil_affairs, body, key=stage.key("cycle", period)
        )
    except Refused as refusal:
        if refusal.status != 409:
            raise
        return None
    return drawn
