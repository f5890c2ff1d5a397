"""Every benchmark in turn, each in a process of its own: `python -m benchmarks [NAME …]`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NOT_BENCHMARKS = {"__init__", "__main__", "departments", "peers", "platform", "population"}


def main(names: list[str]) -> int:
    here = Path(__file__).parent
    found = sorted(file.stem for file in here.glob("*.py") if file.stem not in NOT_BENCHMARKS)
    failed = 0
    for name in names or found:
        print(f"\n== {name}", flush=True)
        failed += (
            subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=here.parent, check=False).returncode != 0
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
