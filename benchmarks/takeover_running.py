"""A roster taken over by a running system: `python -m benchmarks.takeover_running [--persons N] [--every SECONDS]`.

All services side by side on this machine, each a process of its own, on a durable PostgreSQL. Told are the rows a
second from the upload until every service has everything, and on the way there; the core time a row of each process, of
PostgreSQL by database, without what it takes at rest; the most memory of each; and the disk that it takes. In the end
every row must have been decided on, and the first cycle pay no month that was paid elsewhere.

`--persons 1000000 --every 60`: about half an hour; 6 GB of memory for the broker, which keeps its log there, and 25 GB
below TMPDIR.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg

from deploy.local.home import Home
from deploy.local.launcher import Launcher
from deploy.local.processes import ProcessFailed, accepts_connections
from deploy.local.rest import Caller, Rest
from deploy.local.sample.county import FIRST_PERIOD, build_county
from deploy.local.sample.roster import roster_csv
from libs.common.database import asyncpg_dsn
from libs.common.settings import PORT_OFFSETS
from libs.common.vocabulary import SUBSIDIES

AREA = "530102"
_LOOK_S = 1.0
_SETTLED_S = 3.0
_AT_REST_S = 8.0
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")

_ARRIVED = {
    "intake": "SELECT (SELECT count(*) FROM accounts), (SELECT count(*) FROM entitlements)",
    "disbursement": "SELECT (SELECT count(*) FROM payees WHERE version > 0), (SELECT count(*) FROM entitlements)",
    "matching": "SELECT (SELECT count(DISTINCT person_id) FROM applications), (SELECT count(*) FROM roster)",
    "notification": "SELECT (SELECT count(*) FROM contacts), (SELECT count(*) FROM schedules)",
}
"""How many recipients and schedules a service has: as many as intake, once it has everything."""


class Used:
    """The core seconds of every process below this one, and the most memory it had."""

    def __init__(self, launcher: Launcher) -> None:
        assert launcher.broker.process is not None
        self._logs = launcher.home.log
        self._processes = {name: child.process for name, child in launcher.children.items()}
        self._processes["broker"] = launcher.broker.process
        self._names = {process.pid: name for name, process in self._processes.items()}
        self._seconds: dict[tuple[str, int], float] = {}
        self.peak_mib: dict[str, float] = {}

    def look(self) -> None:
        """ProcessFailed, with the end of its log, if one of them ended: nobody starts it again here."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise ProcessFailed(name, f"ended with status {process.returncode}", self._logs(name))
        parents = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        ours = {os.getpid()}
        while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
            ours |= more
        for pid in ours - {os.getpid()}:
            with suppress(OSError):
                self._look_at(pid)

    def _look_at(self, pid: int) -> None:
        folder = Path(f"/proc/{pid}")
        words = (folder / "cmdline").read_text().replace("\0", " ").split()
        name = self._names.get(pid)
        if name is None:  # `postgres: postgres intake 127.0.0.1(50000) idle` serves a database
            name = f"PostgreSQL, {words[2]}" if words[:2] == ["postgres:", "postgres"] else "PostgreSQL itself"
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        self._seconds[name, pid] = (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND
        if pid in self._names:
            memory = next(line for line in (folder / "status").read_text().splitlines() if line.startswith("VmHWM"))
            self.peak_mib[name] = int(memory.split()[1]) / 1024

    def seconds(self) -> dict[str, float]:
        total: dict[str, float] = defaultdict(float)
        for (name, _), seconds in self._seconds.items():
            total[name] += seconds
        return total


async def cores_at_rest(used: Used) -> dict[str, float]:
    """What runs costs while nothing happens."""
    await asyncio.sleep(_SETTLED_S)
    used.look()
    before = used.seconds()
    await asyncio.sleep(_AT_REST_S)
    used.look()
    return {name: (seconds - before.get(name, 0)) / _AT_REST_S for name, seconds in used.seconds().items()}


async def take_over(launcher: Launcher, content: bytes, rows: int, every_s: float) -> None:
    used = Used(launcher)
    at_rest = await cores_at_rest(used)
    before = used.seconds()
    databases = {name: await asyncpg.connect(asyncpg_dsn(launcher.postgres.url(name))) for name in _ARRIVED}
    caller = Caller("civil_affairs", AREA)
    async with Rest(launcher.base_port, launcher.keys.jwt_private_key) as rest:
        began = time.perf_counter()
        report = await rest.upload("intake", "/v1/roster-imports", caller, content, area=AREA)
        told_at, told, path = began, 0, f"/v1/roster-imports/{report['import_id']}"
        spent_before = sum(before.values())
        while report["status"] != "finished":
            await asyncio.sleep(_LOOK_S)
            used.look()
            if (now := time.perf_counter()) - told_at >= every_s:
                report = await rest.get("intake", path, caller)
                decided = report["read"] - report["waiting"]
                so_far = sum(used.seconds().values())
                print(f"{now - began:6.0f} s: {report['read']:9,} read, {decided:9,} decided,"
                      f" {(decided - told) / (now - told_at):6,.0f} a second,"
                      f" {(so_far - spent_before) / (now - told_at):.2f} cores", flush=True)  # fmt: skip
                told_at, told, spent_before = now, decided, so_far
        finished_s = time.perf_counter() - began
        while len({await database.fetchrow(_ARRIVED[name]) for name, database in databases.items()}) > 1:
            await asyncio.sleep(_LOOK_S / 4)
        arrived_s = time.perf_counter() - began
        used.look()
    print(f"{report['granted']:,} granted; finished after {finished_s:.1f} s: {rows / finished_s:,.0f} rows a second")
    print(f"everywhere after {arrived_s:.1f} s: {rows / arrived_s:,.0f} rows a second")
    spent = {name: seconds - before.get(name, 0) for name, seconds in used.seconds().items()}
    net = {name: seconds - at_rest.get(name, 0) * arrived_s for name, seconds in spent.items()}
    for name, seconds in sorted(net.items(), key=lambda item: -item[1]):
        memory = f"{used.peak_mib[name]:7.0f} MiB" if name in used.peak_mib else ""
        print(f"{name:26} {seconds / rows * 1000:6.2f} ms a row; at rest {at_rest.get(name, 0):5.3f} cores; {memory}")
    print(f"{'all':26} {sum(net.values()) / rows * 1000:6.2f} ms a row; at rest {sum(at_rest.values()):5.3f} cores")
    await check(launcher, caller, databases["disbursement"], report, rows)
    for database in databases.values():
        await database.close()


async def check(
    launcher: Launcher, caller: Caller, books: asyncpg.Connection, report: dict[str, Any], rows: int
) -> None:
    """Fails unless every row was decided on, and the first cycle pays whoever is due, and no month a second time."""
    decided = report["accepted"] - report["waiting"] + report["rejected"] + report["known"]
    assert (report["read"], decided) == (rows, rows), report
    while await books.fetchval("SELECT EXISTS (SELECT FROM takeovers WHERE absorbed_at IS NULL)"):
        await asyncio.sleep(_LOOK_S)
    payable = 0
    async with Rest(launcher.base_port, launcher.keys.jwt_private_key) as rest:
        for subsidy in SUBSIDIES:
            body = {"area": AREA, "period": str(FIRST_PERIOD), "subsidy": subsidy}
            payable += (await rest.post("disbursement", "/v1/cycles", caller, body))["counts"]["payable"]
    twice = await books.fetchval(
        "SELECT count(*) FROM payments p JOIN openings o USING (person_id, subsidy) WHERE p.period <@ o.months"
    )
    assert payable > 0
    assert twice == 0, f"{twice} months would be paid twice"
    print(f"every row decided on; the first cycle has {payable:,} payments, none for a month that was paid elsewhere")


def roster(persons: int) -> bytes:
    return roster_csv(build_county(AREA, persons, 1)).encode()


async def main(persons: int, every_s: float) -> None:
    with ProcessPoolExecutor(1) as apart:  # the memory that it takes to draw a million persons goes with its process
        content = apart.submit(roster, persons).result()
    base_port = next(
        base for base in range(20_000, 30_000, 20)
        if not any(accepts_connections(base + offset) for offset in PORT_OFFSETS.values())
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="liangbu-bench-") as folder:
        launcher = Launcher(Home(Path(folder)), base_port, daily_runs=False)
        try:
            await launcher.start()
            await take_over(launcher, content, persons, every_s)
            size = subprocess.run(["du", "-sm", folder], check=True, capture_output=True, text=True).stdout.split()[0]
            print(f"{int(size) / 1024:.1f} GiB on disk")
        finally:
            launcher.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--persons", type=int, default=20_000)
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two looks at how far it is")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.persons, arguments.every))
