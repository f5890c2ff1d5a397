"""The command line: `liangbu up`, `run`, `sample`, `token`, `status`, `invariants`, `replay`, `doctor` and the rest.

What a command needs is imported when it runs, where that is much: a token is to come at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, cast
from uuid import UUID

import typer
from rich.console import Console

from deploy.local.home import Home, NotRunning, RunningState
from libs.common import auth
from libs.common.areas import NotAnArea, parse_area
from libs.common.issuer import issue_token

app = typer.Typer(
    name="liangbu",
    help="两补: the two subsidies for persons with disabilities, on one machine.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
errors = Console(stderr=True, soft_wrap=True)

Role = StrEnum("Role", [(role, role) for role in auth.ROLES])  # type: ignore[misc]  # the roles are a Literal elsewhere


def _area(text: str) -> str:
    if text == "00":  # the nation
        return "00"
    try:
        return parse_area(text)
    except NotAnArea as error:
        raise typer.BadParameter(str(error)) from None


AreaOption = Annotated[str, typer.Option("--area", parser=_area, metavar="CODE", help="GB/T 2260 code, e.g. 530102")]


def main() -> None:
    """The entry point `liangbu`."""
    app()


@app.command()
def up() -> None:
    """Start everything with the Yunnan parameters and serve until Ctrl-C."""
    from deploy.local.commands.serving import serve

    raise typer.Exit(serve())


@app.command()
def run(
    persons: Annotated[int, typer.Option(min=100, help="how many persons the sample county has")] = 1000,
    months: Annotated[int, typer.Option(min=1, help="how many months are played; at first 4 or more")] = 5,
    area: AreaOption = "530102",
    seed: Annotated[int, typer.Option(help="another seed is another county")] = 1,
    leave: Annotated[bool, typer.Option("--exit", help="end after the summary; non-zero if anything is wrong")] = False,
) -> None:
    """Start everything, play a sample county through several months over REST, print what became of it, and serve."""
    from deploy.local.commands.serving import SamplePlay, serve

    raise typer.Exit(serve(SamplePlay(persons=persons, months=months, area=area, seed=seed), leave=leave))


@app.command()
def sample(
    area: AreaOption,
    out: Annotated[Path, typer.Option(help="folder to write to", file_okay=False)],
    persons: Annotated[int, typer.Option(min=1)] = 1000,
    seed: int = 1,
) -> None:
    """Write synthetic feeds and applications of a county that does not exist."""
    from deploy.local.sample.county import build_county
    from deploy.local.sample.files import write_county

    try:
        county = build_county(area, persons, seed)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--area") from None
    with _writing_to(out):
        write_county(county, out)
    typer.echo(f"{persons} sample persons of {area} in {out}")


@app.command()
def import_roster(
    file: Annotated[Path, typer.Argument(help="CSV (UTF-8 or GB 18030) or xlsx", exists=True, dir_okay=False)],
    area: AreaOption,
) -> None:
    """Take over the present recipients of a county (存量接管); what cannot be taken over is reported, row by row.

    Exits with 0 if rows were decided on, 1 if the file is no roster, 3 if every row was rejected, 4 if the judgement of
    some has not come.
    """
    from deploy.local.commands.takeover import import_roster as take_over

    home = Home()
    raise typer.Exit(take_over(home, _running(home), file, area))


@app.command()
def token(
    role: Annotated[Role, typer.Option()],
    area: AreaOption,
    subject: Annotated[str | None, typer.Option(help="who it is for; default ROLE-AREA")] = None,
) -> None:
    """Print a bearer token of the embedded issuer, good for 12 hours."""
    home = Home()
    _running(home)
    typer.echo(issue_token(home.keys().jwt_private_key, role=cast(auth.Role, role.value), area=area, subject=subject))


@app.command()
def status() -> None:
    """Show what runs, where, and whether it is ready; exits 1 if something is not."""
    from deploy.local.commands.inspection import show_status

    home = Home()
    raise typer.Exit(0 if show_status(_running(home)) else 1)


@app.command()
def invariants() -> None:
    """Check the invariants of every service; exits 1 if one does not hold."""
    from deploy.local.commands.inspection import show_invariants

    home = Home()
    raise typer.Exit(0 if show_invariants(home, _running(home)) else 1)


@app.command()
def verify_ledger(
    file: Annotated[Path, typer.Argument(help="NDJSON, as exported", exists=True, dir_okay=False)],
) -> None:
    """Check an exported ledger of a comparison, entry by entry; exits 1 where one was changed, moved or left out."""
    from deploy.local.commands.inspection import show_ledger

    raise typer.Exit(0 if show_ledger(file) else 1)


@app.command()
def rerun(comparison_id: Annotated[UUID, typer.Argument(help="as `GET /v1/comparisons` lists it")]) -> None:
    """Run an old comparison again from its stored inputs, by the rules of its day; exits 1 unless it finds the same."""
    from deploy.local.commands.inspection import rerun_comparison
    from deploy.local.rest import Refused

    home = Home()
    try:
        same = rerun_comparison(home, _running(home), comparison_id)
    except Refused as refused:
        raise typer.BadParameter(str(refused), param_hint="COMPARISON_ID") from None
    raise typer.Exit(0 if same else 1)


ServiceName = StrEnum("ServiceName", ["intake", "eligibility", "matching", "disbursement", "notification"])


@app.command()
def replay(service: Annotated[ServiceName, typer.Option(help="whose events are published again")]) -> None:
    """Publish the last event of each aggregate of a service again; who has seen them ignores them."""
    from deploy.local.commands.inspection import request_replay

    home = Home()
    request_replay(home, _running(home), service.value)
    typer.echo(f"{service.value} publishes its latest states again")


@app.command()
def rebuild(
    projection: Annotated[str, typer.Option(help="what is emptied and filled again from events, e.g. holds")],
) -> None:
    """Empty what a service keeps of others' events, and fill it again: its producers replay, then it reads the bus."""
    from deploy.local.commands.inspection import UnknownProjection, rebuild_projection

    home = Home()
    try:
        service, states = rebuild_projection(home, _running(home), projection)
    except UnknownProjection as problem:
        raise typer.BadParameter(str(problem), param_hint="--projection") from None
    typer.echo(f"{service} rebuilt {projection} from {states} states")


@app.command()
def export_contracts(
    out: Annotated[Path, typer.Option(help="folder to write to", file_okay=False)] = Path("docs"),
) -> None:
    """Write the schema of every event to docs/events and the OpenAPI of every service to docs/api."""
    from deploy.local.commands.contracts import export

    with _writing_to(out):
        paths = export(out)
    for path in paths:
        typer.echo(path)


@app.command()
def doctor() -> None:
    """Check that this machine can run it: Python, database, broker, ports, disk; exits 1 if not."""
    from deploy.local.commands.doctor import examine

    raise typer.Exit(0 if examine() else 1)


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    """Ends with a sentence where the folder cannot be written: no permission, no room, a file in the way."""
    try:
        yield
    except OSError as error:
        errors.print(f"无法写入 {error.filename or folder} (cannot write there): {error.strerror}", style="red")
        raise typer.Exit(1) from None


def _running(home: Home) -> RunningState:
    try:
        return home.state()
    except NotRunning as error:
        errors.print(str(error), style="red")
        raise typer.Exit(1) from None


if __name__ == "__main__":
    main()
