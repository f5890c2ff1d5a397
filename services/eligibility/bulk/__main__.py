"""`python -m services.eligibility.bulk FACTS SCHEDULES`: judges a folder of facts, on the engine of LIANGBU_ENGINE."""

from __future__ import annotations

import argparse
from pathlib import Path

from libs.common.settings import settings_from_environment
from services.eligibility.bulk.evaluation import evaluate
from services.eligibility.policy.parameters import shipped

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("facts", type=Path)
    parser.add_argument("schedules", type=Path)
    arguments = parser.parse_args()
    evaluate(arguments.facts, arguments.schedules, shipped(), engine=settings_from_environment().engine)
