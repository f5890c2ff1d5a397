"""`python -m services.eligibility.bulk AREA FOLDER`: judges everybody of a county, a prefecture or a province anew.

Writes `FOLDER/facts` and `FOLDER/schedules` (Parquet); stores nothing. LIANGBU_DATABASE_URL names eligibility's
database, LIANGBU_ENGINE where to judge.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from libs.common.database import Database
from libs.common.settings import Settings, settings_from_environment
from services.eligibility.bulk.evaluation import evaluate
from services.eligibility.bulk.roster import export_facts
from services.eligibility.handlers.policies import load_policy
from services.eligibility.policy.parameters import PolicySet


async def read(area: str, facts: Path, settings: Settings) -> tuple[int, PolicySet]:
    """How many persons' facts were written, and the policy in force."""
    database = Database(settings.database_url, service="eligibility", pool_size=1)
    try:
        persons = await export_facts(database, area, facts)
        async with database.transaction() as tx:
            return persons, await load_policy(tx)
    finally:
        await database.close()


def main(area: str, folder: Path, settings: Settings) -> None:
    persons, policy = asyncio.run(read(area, folder / "facts", settings))
    if persons:
        evaluate(folder / "facts", folder / "schedules", policy, engine=settings.engine)
    print(f"{persons:,} persons judged")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("area", help="its code: 53, 5301, 530102 …")
    parser.add_argument("folder", type=Path, help="a new folder")
    arguments = parser.parse_args()
    main(arguments.area, arguments.folder, settings_from_environment())
