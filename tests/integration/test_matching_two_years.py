"""Two years of a county, over REST on a real database: monthly comparisons, June and December, yearly reviews.

Every kind of change comes up once, beside somebody to whom nearly the same happened and who must not be stopped. The
two years lie in the past, so that nothing in them is still to come.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from libs.common.events.eligibility import EntitledMonths, EntitlementChanged
from libs.common.period import Period
from libs.common.settings import Settings
from services.matching.kinds import BENEFIT, KINDS, hold_from
from services.matching.main import build
from tests.conftest import Databases, Issuer, running
from tests.integration.matching import ISSUE, Matching, Recipient, invariants_hold
from tests.integration.test_matching_outreach import applied, prescreened

COUNTY, TOWNSHIPS = "530112", ("530112001", "530112002")
NEIGHBOUR = "530113"
FIRST, LAST = Period(2023, 1), Period(2024, 12)
EVERYBODY = {
    "deaths": "name,id_number,date,area",
    "cremations": "name,id_number,date,area",
    "population": "name,id_number,event,reason,date,area,from_area",
    "court_declarations": "name,id_number,event,date",
    "prisons": "name,id_number,from,to,kind",
    "benefits": "id_number,kind,amount_fen,from,to,last_paid_period,area",
    "certificates": "name,id_number,category,level,issued_on,expires_on,status,changed_on,area",
    "low_income": "name,id_number,category,grace,household_id,from,to,last_paid_period,area",
}
OWN = {"certificates": "cdpf", "low_income": "civil_affairs"}
"""Whose own word these feeds are: what they say acts at once."""
STOPPING = {name for name, kind in KINDS.items() if kind.doubtful}


@dataclass
class County:
    """Who lives there, what each month brings, and what was found in which month."""

    matching: Matching
    rows: dict[tuple[Period, str], list[str]] = field(default_factory=dict)
    expected: dict[tuple[str, str], Period] = field(default_factory=dict)
    """(person, kind) → the month in which it is to be found."""
    found: dict[tuple[str, str], list[Period]] = field(default_factory=dict)
    told: dict[tuple[str, str], list[Period]] = field(default_factory=dict)
    alike: dict[str, str] = field(default_factory=dict)
    """Who must not be stopped → to what this is like."""
    dismissed: set[str] = field(default_factory=set)
    versions: dict[str, int] = field(default_factory=dict)

    async def resident(self, area: str = TOWNSHIPS[0], subsidy: Any = "living") -> Recipient:
        """Somebody who receives a subsidy since before the two years."""
        person = Recipient(id_number := self.matching.new_id_number(), self.person_id(id_number))
        await self.entitle(person.person_id, area=area, subsidy=subsidy)
        return person

    def person_id(self, id_number: str) -> str:
        return self.matching.running.app.state.parts.keys.person.person_id(id_number)

    async def entitle(
        self, person_id: str, *, area: str = TOWNSHIPS[0], subsidy: Any = "living", to: Period | None = None
    ) -> None:
        """What eligibility tells of a person: the months payable, the last one once something stopped them."""
        self.versions[person_id] = version = self.versions.get(person_id, 0) + 1
        months = EntitledMonths(
            from_=FIRST.previous, to=to, amount_fen=9000, area=area[:6], level=2, policy_version="1", cause="approved"
        )
        await self.matching.hear(
            EntitlementChanged(
                person_id=person_id, version=version, subsidy=subsidy, schedule=(months,), cause="play",
                stopped_because="play" if to else None, area=area,
            )
        )  # fmt: skip

    def comes(self, month: str, source: str, row: str) -> None:
        self.rows.setdefault((Period.parse(month), source), []).append(row)

    async def change(self, month: str, source: str, kind: str, row: str, **of: Any) -> Recipient:
        """A recipient to whom it happens: `{}` in the row is the resident ID."""
        person = await self.resident(**of)
        self.comes(month, source, row.format(person.id_number))
        self.expected[person.person_id, kind] = Period.parse(month)
        return person

    async def look_alike(self, month: str, source: str, row: str, **of: Any) -> Recipient:
        """A recipient to whom nearly the same happens."""
        person = await self.resident(**of)
        self.comes(month, source, row.format(person.id_number))
        self.alike[person.person_id] = f"{source} {month}"
        return person

    async def namesake(self, name: str) -> str:
        """A recipient certified by this name, and another ID, which somebody has who bears the same name there."""
        row = f"{name},{{}},physical,2,2018-01-01,2028-01-01,valid,,{TOWNSHIPS[0]}"
        await self.look_alike("2023-01", "certificates", row, subsidy="care")
        return self.matching.new_id_number()

    async def play(self, month: Period) -> None:
        """One month: feeds, signatures, comparison, reviews, verifications, and what eligibility makes of them."""
        for source in EVERYBODY:
            await self._deliver(source, month)
        await self._sign(month)
        await self._compare("county", COUNTY, month)
        if month.month in (6, 12):
            await self._compare("province", "53", month)
        if month.month == 9:
            await self._compare("prefecture", "5301", month)
            await self._compare("annual", "5301", month)
        await self.daily(month.next.first_day)

    async def daily(self, as_of: date) -> None:
        answer = await self.matching.call("POST", "/v1/daily-runs", "admin", json={"as_of": as_of.isoformat()})
        assert answer.status_code == 201, answer.text

    async def _deliver(self, source: str, month: Period) -> None:
        rows = self.rows.get((month, source), [])
        if source in OWN:  # the keepers of a register report every month
            rows = [*rows, self._nobody_s_news(source)]
        if not rows:
            return
        answer = await self.matching.call(
            "POST", f"/v1/feeds/{source}", OWN.get(source, "civil_affairs"), area=COUNTY,
            params={"area": COUNTY, "as_of": month.last_day.isoformat()},
            content="\n".join([EVERYBODY[source], *rows]) + "\n",
        )  # fmt: skip
        assert answer.status_code == 201, answer.text
        assert answer.json()["rejected"] == 0, answer.text
        for row in rows:
            for person_id, kind in [key for key, when in self.expected.items() if when == month]:
                if self._speaks_of(row, person_id) and kind.split(".")[0] in ("certificate", "low_income"):
                    facts = await self.matching.told(person_id, kind)
                    self.told.setdefault((person_id, kind), []).extend([month] * len(facts))
                    await self._stop(person_id, kind, facts[0]["occurred_on"])

    def _speaks_of(self, row: str, person_id: str) -> bool:
        return any(self.person_id(cell) == person_id for cell in row.split(",") if len(cell) == 18)

    def _nobody_s_news(self, source: str) -> str:
        if not hasattr(self, "_bystander"):
            self._bystander = self.matching.new_id_number()
        if source == "certificates":
            return f"旁人,{self._bystander},vision,4,2015-01-01,2045-01-01,valid,,{COUNTY}"
        return f"旁人,{self._bystander},monitored,,,2015-01-01,,,{COUNTY}"

    async def _sign(self, month: Period) -> None:
        for township in TOWNSHIPS:
            body = {"area": township, "period": str(month), "changes": False}
            await self.matching.call("POST", "/v1/monthly-signoffs", "township", area=township, json=body)
        query = {"area": COUNTY, "period": str(month)}
        duties = (await self.matching.call("GET", "/v1/duties", area=COUNTY, params=query)).json()
        assert duties["missing"] == [], f"{month}: {duties['missing']}"

    async def _compare(self, level: str, area: str, month: Period) -> None:
        before = {item["finding_id"] for item in await self._findings()}
        await self.matching.compare(as_of=month.last_day.isoformat(), area=area, level=level)
        for item in await self._findings():
            if item["finding_id"] in before:
                continue
            person_id, kind = item["person_id"], item["kind"]
            self.found.setdefault((person_id, kind), []).append(month)
            outcome = "dismissed" if person_id in self.dismissed else "confirmed"
            verified = await self.matching.verify(item["finding_id"], outcome, role="civil_affairs", area="53")
            assert verified.status_code == 200, verified.text
            if outcome == "confirmed":
                await self._stop(person_id, kind, item["alleged_on"])

    async def _findings(self) -> list[dict[str, Any]]:
        answer = await self.matching.call("GET", "/v1/findings", area="53", params={"status": "open", "limit": 500})
        return answer.json()["items"]

    async def _stop(self, person_id: str, kind: str, on: str) -> None:
        """The month after which eligibility pays no more (domain: which months are payable)."""
        first_unpaid = hold_from(kind, date.fromisoformat(on), "serving")
        await self.entitle(person_id, to=first_unpaid.previous)


async def test_two_years_find_each_change_in_its_month_stop_nobody_else_and_find_nothing_twice(
    databases: Databases, issuer: Issuer, make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = make_settings(await databases.fresh("matching"), data_dir=tmp_path)
    async with running(build(settings), settings) as started:
        county = County(Matching(started, issuer))
        await _what_departments_report(county)
        await _what_keepers_report(county)
        late = await _what_only_the_province_sees(county)
        twice = await _what_is_said_twice(county)
        reached = await _who_is_to_be_told(county)
        month = FIRST
        while month <= LAST:
            await county.play(month)
            await _tell(county, reached, month)
            month = month.next

        by_findings = {key: when for key, when in county.expected.items() if key not in county.told}
        assert county.found == {key: [when] for key, when in by_findings.items()}
        assert county.told == {key: [county.expected[key]] for key in county.told}
        assert {key for key in county.expected if key[1].startswith(("certificate.", "low_income."))} == set(
            county.told
        )
        for (person_id, kind), when in county.told.items():
            assert len(await county.matching.told(person_id, kind)) == 1, f"{kind} of {when} was told twice"
        assert {kind for _, kind in county.expected} == STOPPING
        for person_id, like in county.alike.items():
            told = [event["type"] for event in await county.matching.told(person_id)]
            stopping = STOPPING - {BENEFIT}  # a benefit that stacks with ours is a fact as well
            assert [said for said in told if said.startswith("finding.") or said in stopping] == [], like
        assert county.expected[late.person_id, "person.died"] == Period(2023, 6)
        assert await county.matching.told(twice.person_id, "person.died") == [], "dismissed, it is no fact"
        await _everybody_is_covered_and_told(county, reached)
        assert await invariants_hold(county.matching)


async def _what_departments_report(county: County) -> None:
    """Leads: each is verified by a person before it is a fact."""
    await county.change("2023-02", "deaths", "person.died", "王一,{},2023-02-10,")
    county.comes("2023-02", "deaths", f"王一,{await county.namesake('王一')},2023-02-12,{TOWNSHIPS[0]}")
    await county.change("2023-03", "cremations", "person.died", "王二,{},2023-03-05,")
    county.comes("2023-03", "cremations", f"王二,{await county.namesake('王二')},2023-03-06,{TOWNSHIPS[0]}")
    await county.change("2023-04", "population", "person.died", "王三,{},cancelled,死亡,2023-04-02,,")
    county.comes("2023-04", "population", f"王三,{await county.namesake('王三')},cancelled,死亡,2023-04-03,,")
    await county.change("2023-05", "population", "person.moved", "王四,{},moved,,2023-05-20,530302001," + COUNTY)
    await county.look_alike("2023-05", "population", f"王五,{{}},moved,,2023-05-20,{TOWNSHIPS[1]},{TOWNSHIPS[0]}")
    await county.change("2023-07", "population", "person.missing", "王六,{},missing,,2023-07-15,,")
    await county.look_alike("2023-07", "population", "王七,{},reappeared,,2023-07-15,,")
    await county.change("2023-08", "court_declarations", "person.declared_dead", "王八,{},declared_dead,2023-08-09")
    await county.look_alike("2023-08", "court_declarations", "王九,{},reappeared,2023-08-09")
    await county.change(
        "2023-09", "court_declarations", "person.declared_missing", "李一,{},declared_missing,2023-09-09"
    )
    await county.look_alike("2023-09", "court_declarations", "李二,{},reappeared,2023-09-09")
    await county.change("2023-10", "prisons", "person.imprisoned", "李三,{},2023-10-11,2026-10-10,serving")
    await county.change("2024-01", "prisons", "person.imprisoned", "李四,{},2024-01-05,2025-01-04,detention_serving")
    for month, kind in (
        ("2023-10", "detained"),
        ("2023-11", "probation"),
        ("2024-01", "parole"),
        ("2024-02", "outside"),
    ):
        await county.look_alike(month, "prisons", f"李五,{{}},{month}-03,,{kind}")
    await county.change("2023-11", "benefits", "benefit.started", "{},orphan,190000,2023-11-01,,,")
    await county.look_alike("2023-11", "benefits", "{},old_age,8000,2023-11-01,,,")
    await county.look_alike("2024-03", "benefits", "{},elderly_service,8000,2024-03-01,,,")


async def _what_keepers_report(county: County) -> None:
    """Facts: the federation's word on certificates and civil affairs' on dibao act at once."""
    certificate = "张一,{},physical,2,2018-01-01,"
    for month, status in (
        ("2023-03", "expired"),
        ("2023-06", "frozen"),
        ("2024-04", "cancelled"),
        ("2024-05", "moved_out"),
    ):
        row = certificate + f"2028-01-01,{status},{month}-10,{TOWNSHIPS[0]}"
        await county.change(month, "certificates", f"certificate.{status}", row, subsidy="care")
    in_time = await county.look_alike(
        "2023-03", "certificates", certificate + f"2023-04-30,valid,,{TOWNSHIPS[0]}", subsidy="care"
    )
    renewed = f"张一,{in_time.id_number},physical,2,2023-04-20,2033-04-19,valid,,{TOWNSHIPS[0]}"
    county.comes("2023-04", "certificates", renewed)
    thawed_before = certificate + f"2028-01-01,valid,2022-06-10,{TOWNSHIPS[0]}"
    await county.look_alike("2023-06", "certificates", thawed_before, subsidy="care")
    reissued = f"张一,{{}},physical,2,2024-04-10,2034-04-09,valid,,{TOWNSHIPS[0]}"
    with_a_new_one = await county.look_alike("2024-04", "certificates", reissued, subsidy="care")
    old_one = certificate.format(with_a_new_one.id_number) + f"2028-01-01,cancelled,2024-04-10,{TOWNSHIPS[0]}"
    county.comes("2024-04", "certificates", old_one)
    within = await county.look_alike(
        "2024-04", "certificates", certificate + f"2028-01-01,valid,,{TOWNSHIPS[0]}", subsidy="care"
    )
    moved_within = certificate.format(within.id_number) + f"2028-01-01,valid,2024-05-10,{TOWNSHIPS[1]}"
    county.comes("2024-05", "certificates", moved_within)
    level = f"张三,{{}},physical,{{}},2018-01-01,2028-01-01,valid,{{}},{TOWNSHIPS[0]}"
    reassessed = level.format("{}", 3, "2024-07-10")
    person = await county.change("2024-07", "certificates", "certificate.reassessed", reassessed, subsidy="care")
    county.comes("2023-01", "certificates", level.format(person.id_number, 2, ""))
    confirmed = await county.look_alike("2023-01", "certificates", level.format("{}", 2, ""), subsidy="care")
    county.comes("2024-07", "certificates", level.format(confirmed.id_number, 2, "2024-07-10"))
    dibao = "张二,{},dibao,"
    await county.change(
        "2024-06", "low_income", "low_income.exited", dibao + f",,2020-01-01,2024-06-30,,{TOWNSHIPS[0]}"
    )
    await county.look_alike("2024-06", "low_income", dibao + f"是,,2020-01-01,,,{TOWNSHIPS[0]}")
    borderline = await county.look_alike("2024-06", "low_income", dibao + f",,2020-01-01,2024-06-30,,{TOWNSHIPS[0]}")
    county.comes("2024-06", "low_income", f"张二,{borderline.id_number},borderline,,,2024-07-01,,,{TOWNSHIPS[0]}")


async def _what_only_the_province_sees(county: County) -> Recipient:
    """The neighbour county compares nothing of its own: its death is found in June, by the province."""
    person = await county.resident(area=f"{NEIGHBOUR}001")
    county.comes("2023-06", "deaths", f"赵一,{person.id_number},2023-06-03,{NEIGHBOUR}")
    county.expected[person.person_id, "person.died"] = Period(2023, 6)
    return person


async def _what_is_said_twice(county: County) -> Recipient:
    """A lead that was dismissed is said again, and the dead of the first year are all listed again in the second."""
    alive = await county.change("2023-04", "deaths", "person.died", "钱一,{},2023-04-11,")
    county.dismissed.add(alive.person_id)
    county.comes("2023-08", "deaths", f"钱一,{alive.id_number},2023-04-11,")
    listed = [row for (_, source), rows in sorted(county.rows.items(), key=str) if source == "deaths" for row in rows]
    county.rows.setdefault((Period(2024, 8), "deaths"), []).extend(listed)
    imprisoned = [row for (_, source), rows in county.rows.items() if source == "prisons" for row in rows]
    county.rows.setdefault((Period(2024, 9), "prisons"), []).extend(imprisoned)
    return alive


@dataclass
class Reached:
    """Three who are newly certified: one never answers, one applies, one is never told."""

    silent: str
    applying: str
    forgotten: str


async def _who_is_to_be_told(county: County) -> Reached:
    ids = [county.matching.new_id_number() for _ in range(3)]
    for id_number in ids:
        issued = f"孙一,{id_number},{ISSUE['category']},2,2023-10-20,2033-10-19,valid,,{TOWNSHIPS[0]}"
        county.comes("2023-10", "certificates", issued)
    return Reached(*(county.person_id(id_number) for id_number in ids))


async def _tell(county: County, reached: Reached, month: Period) -> None:
    """In November the township reminds two of them; in December one applies."""
    if month == Period(2023, 10):
        for case in await _cases(county):
            await county.matching.hear(prescreened(case, "care"))
    if month == Period(2023, 11):
        for case in await _cases(county):
            if case["person_id"] != reached.forgotten:
                body = {"outcome": "reminded", "method": "visit", "on": "2023-11-15"}
                path = f"/v1/outreach/{case['outreach_id']}/outcome"
                answer = await county.matching.call("POST", path, "township", area=TOWNSHIPS[0], json=body)
                assert answer.status_code == 200, answer.text
    if month == Period(2023, 12):
        await county.matching.hear(applied(reached.applying, date(2023, 12, 5)))


async def _cases(county: County) -> list[dict[str, Any]]:
    return (await county.matching.call("GET", "/v1/outreach", area=COUNTY)).json()["items"]


async def _everybody_is_covered_and_told(county: County, reached: Reached) -> None:
    for year in (FIRST.year, LAST.year):
        query = {"area": "5301", "year": year}
        review = (await county.matching.call("GET", "/v1/annual-reviews", area="5301", params=query)).json()
        assert (review["done"], review["uncovered"]) == (True, 0), review
    cases = {case["person_id"]: case for case in await _cases(county)}
    assert cases[reached.silent]["status"] == "lapsed"
    assert cases[reached.silent]["lapsed_on"] == "2024-02-01", "three months after 20 October, at the next daily run"
    assert cases[reached.applying]["status"] == "applied"
    assert (cases[reached.forgotten]["status"], cases[reached.forgotten]["alarm_since"]) == ("reminding", "2024-02-01")
    raised = await county.matching.call("GET", "/v1/escalations", area="53", params={"open": True, "limit": 500})
    open_kinds = {item["kind"] for item in raised.json()["items"] if item["area"].startswith(COUNTY)}
    assert open_kinds == {"outreach", "proof_of_life"}, "the county has done its parts; nobody has gone to see anyone"
