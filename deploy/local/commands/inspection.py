"""`status`, `invariants` and `replay`: questions to what runs."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from deploy.local.home import Home, RunningState
from deploy.local.launcher import SERVICES
from deploy.local.rest import Rest, admin

output = Console(soft_wrap=True)


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


def request_replay(home: Home, state: RunningState, service: str) -> None:
    """Ask the service to publish the last event of each aggregate again."""

    async def ask() -> None:
        async with Rest(state.port, home.keys().jwt_private_key) as rest:
            await rest.post(service, "/v1/replays", admin())

    asyncio.run(ask())
