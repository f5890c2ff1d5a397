"""What every scene of the play needs: the county, its officials, and a way to reach the services."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from deploy.local.launcher import SERVICES
from deploy.local.play.expectations import Expectations
from deploy.local.rest import Caller, Rest, admin
from deploy.local.sample.county import County, Person
from libs.common.clock import utc_now

CONCURRENT_CALLS = 16
PATIENCE_S = 120

T = TypeVar("T")


class NeverHappened(Exception):
    """Something that the play waits for did not come in time."""

    def __init__(self, what: str, last: object) -> None:
        super().__init__(f"waited {PATIENCE_S} s in vain for {what}; last seen: {last}")


@dataclass(frozen=True, slots=True)
class Officials:
    """Who works in the county; four eyes are two subjects."""

    area: str

    @property
    def partner(self) -> Caller:
        """The province's platform for applications and partner systems."""
        return Caller("partner", "00", "sample-platform")

    def township(self, township: str) -> Caller:
        return Caller("township", township)

    @property
    def cdpf(self) -> Caller:
        return Caller("cdpf", self.area)

    @property
    def civil_affairs(self) -> Caller:
        return Caller("civil_affairs", self.area)

    @property
    def prefecture(self) -> tuple[Caller, Caller]:
        """Two persons of the prefecture's civil affairs: one proposes policy, the other approves it."""
        area = self.area[:4]
        return Caller("civil_affairs", area), Caller("civil_affairs", area, f"civil_affairs-{area}-second")

    @property
    def finance(self) -> Caller:
        return Caller("finance", self.area)

    @property
    def auditor(self) -> Caller:
        return Caller("auditor", self.area)


@dataclass(slots=True)
class Stage:
    """The county being played."""

    rest: Rest
    county: County
    officials: Officials
    expectations: Expectations
    report: Callable[[str], None]
    person_ids: dict[str, str] = field(default_factory=dict)
    """By resident ID, of those who applied."""
    granted: set[str] = field(default_factory=set)
    """The person_id of those who were granted something."""
    _numbers: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self._numbers = {person.id_number: index for index, person in enumerate(self.county.persons)}

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Report what was done and how long it took."""
        began = time.monotonic()
        yield
        self.report(f"{what} ({time.monotonic() - began:.1f} s)")

    def number(self, person: Person) -> int:
        """A name for the person that is no identity."""
        return self._numbers[person.id_number]

    def key(self, *deed: object) -> str:
        """The idempotency key of a deed of this county."""
        words = (self.county.area, self.county.seed, len(self.county.persons), *deed)
        return str(uuid.uuid5(uuid.NAMESPACE_URL, "liangbu-sample:" + "/".join(map(str, words))))

    def person_id(self, person: Person) -> str:
        return self.person_ids[person.id_number]

    async def run_daily(self, as_of: str) -> None:
        """What the scheduler does on a day, on every service."""
        calls = (self.rest.post(name, "/v1/daily-runs", admin(), {"as_of": as_of}) for name in SERVICES)
        await asyncio.gather(*calls)

    async def until_heard(self) -> None:
        """Return once everything that was accepted until now has reached every service that listens."""
        since = utc_now()
        await until(lambda: self._heard(since), f"all services to hear what happened until {since:%H:%M:%S}")

    async def _heard(self, since: datetime) -> bool:
        statuses = await asyncio.gather(*(self.rest.get(name, "/v1/status", admin()) for name in SERVICES))
        return all(
            status["unpublished"] == 0
            and all(mark["until"] and datetime.fromisoformat(mark["until"]) >= since for mark in status["watermarks"])
            for status in statuses
        )


async def until(check: Callable[[], Awaitable[T | None]], what: str, pause_s: float = 0.25) -> T:
    """The first truthy result of `check`. Raises `NeverHappened` when patience ends."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while not (result := await check()):
        if asyncio.get_running_loop().time() > deadline:
            raise NeverHappened(what, result)
        await asyncio.sleep(pause_s)
    return result


async def each(deed: Callable[[Any], Awaitable[T]], things: Iterable[Any]) -> list[T]:
    """The deed done to each thing, a bounded number at once; the results in order."""
    places = asyncio.Semaphore(CONCURRENT_CALLS)

    async def one(thing: Any) -> T:
        async with places:
            return await deed(thing)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(thing)) for thing in things]
    return [task.result() for task in tasks]
