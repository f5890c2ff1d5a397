"""Hours, days and months of notices."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Literal

from libs.common.database import Transaction
from libs.common.parameters import Parameters, read_parameters
from libs.common.period import SHANGHAI
from libs.common.policies import policies_told

Name = Literal[
    "quiet.from",
    "quiet.until",
    "sms.unsent",
    "sms.unconfirmed",
    "expiry.first",
    "expiry.last",
    "phone.remembered",
    "remedy.reconsideration",
    "remedy.litigation",
]

BROUGHT = read_parameters(Path(__file__).with_name("parameters.csv"))


async def load_parameters(tx: Transaction) -> Parameters:
    """What holds now: what was told of each area's policy, over what the program brings."""
    return Parameters(BROUGHT, await policies_told(tx))


def quiet_until(parameters: Parameters, area: str, now: datetime) -> datetime | None:
    """When texts may go to `area` again; None while they may. Equal hours are no quiet hours."""
    local = now.astimezone(SHANGHAI)
    begins, ends = (_hour(parameters, name, area, local.date()) for name in ("quiet.from", "quiet.until"))
    at = local.time()
    if begins <= ends:
        is_quiet, next_day = begins <= at < ends, False
    else:
        is_quiet, next_day = at >= begins or at < ends, at >= begins
    if not is_quiet:
        return None
    return datetime.combine(local.date() + timedelta(days=next_day), ends, SHANGHAI)


def _hour(parameters: Parameters, name: str, area: str, on: date) -> time:
    return time(parameters.number(name, area, on))
