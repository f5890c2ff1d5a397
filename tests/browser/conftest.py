"""Chromium on a running system; a county with something to show on every page."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from libs.common.auth import Role
from tests.e2e.world import Person, World, until

expect.set_options(timeout=30_000)  # a page that an action reloads, on a machine that runs all the tests

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=_QUIET)
        yield browser
        await browser.close()


@dataclass(frozen=True)
class County:
    """Two persons were granted both subsidies and paid for two months; one of them had died in the first."""

    area: str
    alive: Person
    dead: Person


@pytest.fixture(scope="session")
async def county(chromium: Browser, world: World) -> County:
    area = "530114"
    await world.appropriate(area)
    alive, dead = await world.granted(area, name="刘洋"), await world.granted(area, name="张伟")
    for period in ("2026-01", "2026-02"):
        await world.pay(area, period)
    finding = await _finding(world, dead)
    await world.post(
        "matching",
        f"/v1/findings/{finding}/verification",
        "township",
        {"method": "visit", "outcome": "confirmed", "effective_on": "2026-01-20", "note": "核实"},
        area=area,
    )
    await until(lambda: _recovery(world, area), "the recovery")
    return County(area, alive, dead)


async def _finding(world: World, person: Person) -> str:
    csv = f"name,id_number,date,area\n{person.name},{person.id_number},2026-01-20,{person.area}\n"
    path = f"/v1/feeds/cremations?area={person.area}&as_of=2026-02-28&mode=delta"
    headers = {"content-type": "text/csv"}
    feed = await world.call("POST", "matching", path, "civil_affairs", person.area, content=csv, headers=headers)
    assert feed.status_code == 201, feed.text
    comparison = {"level": "county", "area": person.area, "as_of": "2026-02-28"}
    await world.post("matching", "/v1/comparisons", "civil_affairs", comparison, area=person.area)

    async def opened() -> str | None:
        items = (await world.get("matching", f"/v1/findings?area={person.area}", area=person.area))["items"]
        return str(items[0]["finding_id"]) if items else None

    found: str = await until(opened, "the finding")
    return found


async def _recovery(world: World, area: str) -> bool | None:
    return bool((await world.get("disbursement", f"/v1/recoveries?area={area}", area=area))["items"]) or None


@dataclass
class Visitor:
    """Somebody at the console, and what the browser complained of meanwhile."""

    page: Page
    url: str
    complaints: list[str]

    async def open(self, path: str) -> None:
        """Until the page is built."""
        await self.page.goto(self.url + path)
        await expect(self.page.get_by_role("heading", level=1)).to_be_visible()

    @asynccontextmanager
    async def reloading(self) -> AsyncIterator[None]:
        """Around a deed after which the page loads itself anew, until it is built: what is asked of it before that
        would be asked of the page that goes."""
        async with self.page.expect_event("load"):
            yield
        await expect(self.page.get_by_role("heading", level=1)).to_be_visible()

    async def choose(self, role: Role, area: str) -> None:
        """The demo's sign-in, without its form."""
        answer = await self.page.request.post(f"{self.url}/sign-in", form={"role": role, "area": area})
        assert answer.url == self.url + "/", answer.url

    async def html(self, path: str) -> str:
        """What the console sends for a page, before any script."""
        answer = await self.page.request.get(self.url + path)
        assert answer.ok, f"{path}: {answer.status}"
        return await answer.text()


@pytest.fixture
async def visitor(chromium: Browser, world: World) -> AsyncIterator[Visitor]:
    context: BrowserContext = await chromium.new_context(viewport={"width": 1360, "height": 820}, locale="zh-CN")
    page = await context.new_page()
    url = world.url("console", "")
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request", lambda request: complaints.append(f"asks {request.url}") if _is_foreign(request.url, url) else None
    )
    yield Visitor(page, url, complaints)
    await context.close()


def _is_foreign(asked: str, origin: str) -> bool:
    """Everything that a page needs comes from the console itself."""
    return not asked.startswith((origin, origin.replace("http", "ws", 1), "data:", "blob:"))
