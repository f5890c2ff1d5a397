"""`status`, `invariants`, `rerun`, `verify-ledger`, `replay`, `rebuild`: questions to what runs, or ran."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from rich.console import Console
from rich.table import Table

from deploy.local.home import Home, RunningState
from deploy.local.launcher import SERVICES
from deploy.local.rest import Rest, admin
from services.matching.ledger import broken_at

output = Console(soft_wrap=True)

_LOOK_EVERY_S = 0.2


def show_status(state: RunningState) -> bool:
    """Print each process with its address and readiness; whether all are ready."""
    table = Table("process", "address", "pid", "restarts", "state", title=f"liangbu, pid {state.pid}")
    table.add_row("PostgreSQL", f"127.0.0.1:{state.postgres_port}", "", "", "")
    table.add_row("broker", f"127.0.0.1:{state.broker_port}", "", "", "")
    all_ready = True
    for name, service in state.services.items():
        address = f"http://127.0.0.1:{service['port']}"
        problem = _problem_of(address)
        all_ready = all_ready and problem is None
        table.add_row(name, address, str(service["pid"]), str(service["restarts"]), problem or "ready")
    output.print(table)
    return all_ready


def _problem_of(address: str) -> str | None:
    try:
        answer = httpx.get(f"{address}/readyz", timeout=5)
    except httpx.TransportError as error:
        return f"does not answer ({type(error).__name__})"
    if answer.status_code == 200:
        return None
    return "; ".join(answer.json().get("problems", [f"status {answer.status_code}"]))


def show_invariants(home: Home, state: RunningState) -> bool:
    """Print each invariant of each service; whether all hold."""
    return asyncio.run(_show_invariants(home, state))


async def _show_invariants(home: Home, state: RunningState) -> bool:
    async with Rest(state.port, home.keys().jwt_private_key) as rest:
        checked = await check_invariants(rest)
    for line in checked:
        output.print(("[green]holds [/]" if line["holds"] else "[red]BROKEN[/]"), f"{line['service']}: {line['says']}")
        for broken in line["broken_by"]:
            output.print("       ", broken)
    return all(line["holds"] for line in checked)


async def check_invariants(rest: Rest) -> list[dict[str, Any]]:
    """Every invariant of every service: service, name, says, holds, broken_by."""
    answers = await asyncio.gather(*(rest.get(name, "/v1/invariants", admin()) for name in SERVICES))
    return [{"service": answer["service"], **item} for answer in answers for item in answer["invariants"]]


def rerun_comparison(home: Home, state: RunningState, comparison_id: UUID) -> bool:
    """Print whether an old comparison finds again what its ledger says, and what is not as it was; whether it does."""
    return asyncio.run(_rerun_comparison(home, state, comparison_id))


async def _rerun_comparison(home: Home, state: RunningState, comparison_id: UUID) -> bool:
    async with Rest(state.port, home.keys().jwt_private_key) as rest:
        again = await rest.post("matching", f"/v1/comparisons/{comparison_id}/reruns", admin())
    found = f"{again['leads']} leads with the digest {again['digest']}"
    if not again["same"]:
        output.print(f"[red]DIFFERS[/] {found}, recorded was {again['recorded_digest']}")
        output.print("changed since:", ", ".join(again["changed"]) or "nothing that was stored")
        return False
    output.print(f"[green]the same[/] {found}, from inputs and rules as they were stored")
    return True


def show_ledger(file: Path) -> bool:
    """Print whether the lines of an exported ledger follow from each other, and what it ends with; whether they do."""
    lines = file.read_text(encoding="utf-8", errors="replace").removesuffix("\n").split("\n")
    broken = broken_at(lines)
    if broken is not None:
        output.print(f"[red]BROKEN[/] line {broken + 1} does not follow: an entry was changed, moved or left out")
        return False
    output.print(f"[green]whole[/] {len(lines)} entries; the last hash is", json.loads(lines[-1])["hash"])
    output.print("What is cut off at the end shows by that hash alone: compare it with the service's own ledger.")
    return True


class UnknownProjection(ValueError):
    """No service keeps a projection of this name."""

    def __init__(self, known: Sequence[str]) -> None:
        super().__init__(f"there is none of this name; there are {', '.join(sorted(known))}")


def rebuild_projection(home: Home, state: RunningState, name: str) -> tuple[str, int]:
    """Have the projection's producers replay, then its service rebuild it; that service, and from how many states."""
    return asyncio.run(_rebuild(home, state, name))


async def _rebuild(home: Home, state: RunningState, name: str) -> tuple[str, int]:
    async with Rest(state.port, home.keys().jwt_private_key) as rest:
        keepers = {
            item["name"]: (service, item["producers"])
            for service in SERVICES
            for item in (await rest.get(service, "/v1/projections", admin()))["items"]
        }
        if name not in keepers:
            raise UnknownProjection(list(keepers))
        service, producers = keepers[name]
        for producer in producers:
            await rest.post(producer, "/v1/replays", admin())
        for producer in producers:
            while (await rest.get(producer, "/v1/status", admin()))["is_replaying"]:  # noqa: ASYNC110 (elsewhere)
                await asyncio.sleep(_LOOK_EVERY_S)
        rebuilt = await rest.post(service, f"/v1/projections/{name}/rebuild", admin())
    return service, rebuilt["states"]


def request_replay(home: Home, state: RunningState, service: str) -> None:
    """Ask the service to publish the last event of each aggregate again."""

    async def ask() -> None:
        async with Rest(state.port, home.keys().jwt_private_key) as rest:
            await rest.post(service, "/v1/replays", admin())

    asyncio.run(ask())
