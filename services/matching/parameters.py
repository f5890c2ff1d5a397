"""The days, months and ages of matching's duties, and what excludes what."""

from __future__ import annotations

from pathlib import Path

from libs.common.database import Transaction
from libs.common.parameters import Parameters, read_parameters
from libs.common.policies import policies_told

BROUGHT = read_parameters(Path(__file__).with_name("parameters.csv"))


async def load_parameters(tx: Transaction) -> Parameters:
    """What holds now: what was told of each area's policy, over what the program brings."""
    return Parameters(BROUGHT, await policies_told(tx))
