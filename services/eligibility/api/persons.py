"""What is known of a person, what they are entitled to, and why."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import date
from typing import Annotated, Any

from fastapi import Path, Query
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.auth import Official, Principal
from libs.common.database import Transaction
from libs.common.errors import NotFound
from libs.common.money import yuan_text
from libs.common.period import Day, Period
from libs.common.vocabulary import SUBSIDIES, SUBSIDY_NAMES, Subsidy
from libs.common.web import Tx, router
from services.eligibility.assessments import AssessedDecision
from services.eligibility.determination import Determination, weighed
from services.eligibility.disagreements import Disagreement, disagreements
from services.eligibility.facts import SignedChoice
from services.eligibility.folding import Assertion
from services.eligibility.handlers.entitlements import Person, end_of, load_persons
from services.eligibility.handlers.policies import load_policy

api = router(prefix="/v1/persons/{person_id}", tags=["persons"])

PersonId = Annotated[str, Path(max_length=200)]
AsKnownOn = Annotated[Day | None, Query(description="with what was known by the end of that day")]


@api.get("/facts")
async def show_facts(person_id: PersonId, tx: Tx, caller: Official, as_known_on: AsKnownOn = None) -> dict[str, Any]:
    """The facts as intervals, the assertions that they were folded from, and where those disagree: which counts, why.
    `precedence` is the order in which they count."""
    person = await _visible(tx, caller, person_id, as_known_on)
    assertions = await _assertions(tx, person, as_known_on)
    source_of = {str(assertion["fact_id"]): assertion["source"] for assertion in assertions}
    known = {name: [_plain(entry) for entry in entries] for name, entries in asdict(person.facts()).items()}
    return {
        "person_id": person.person_id,
        "area": person.area,
        "as_known_on": as_known_on,
        "applications": known["applications"],
        "certificate": known["certificates"],
        "low_income": known["low_income"],
        "residence": known["residences"],
        "transfers": known["transfers"],
        "benefits": known["benefits"],
        "custody": known["custody"],
        "life": [{"event": entry["event"], "date": entry["on"]} for entry in known["life"]],
        "long_term_care": known["care_needs"],
        "assertions": assertions,
        "conflicts": [_conflict(found, source_of) for found in disagreements(person.assertions)],
        "precedence": ["valid date", "known time", "rank of source", "fact id"],
    }


@api.get("/entitlements")
async def show_entitlements(
    person_id: PersonId, tx: Tx, caller: Official, as_known_on: AsKnownOn = None
) -> dict[str, list[dict[str, Any]]]:
    """Every payable month, as it stands or as it stood at the end of a day."""
    person = await _visible(tx, caller, person_id)
    if as_known_on is None:
        return {subsidy: person.schedules.get(subsidy, []) for subsidy in SUBSIDIES}
    found = await tx.connection.execute(_SCHEDULES_THEN, {"person_id": person.person_id, "before": end_of(as_known_on)})
    then = {row.subsidy: row.schedule for row in found}
    return {subsidy: then.get(subsidy, []) for subsidy in SUBSIDIES}


@api.get("/decisions/{subsidy}/{period}")
async def explain_month(
    person_id: PersonId, subsidy: Subsidy, period: str, tx: Tx, caller: Official, as_known_on: AsKnownOn = None
) -> AssessedDecision:
    """Why one month is payable, or is not, and what would change it; by the facts, applications and policy that were
    known at the end of a day, or by those of now."""
    month = parse_period(period)
    person = await _visible(tx, caller, person_id, as_known_on)
    policy = await load_policy(tx, None if as_known_on is None else end_of(as_known_on))
    facts = replace(person.facts(), choices=await _choices(tx, person, month))
    decision = Determination([facts], policy, since=month).decision(0, subsidy, month)
    return AssessedDecision.of(weighed(decision, facts, month, policy))


@api.get("/timeline")
async def show_timeline(person_id: PersonId, tx: Tx, caller: Official) -> dict[str, Any]:
    """What this service knows of the person's story, newest first."""
    person = await _visible(tx, caller, person_id)
    found = await tx.connection.execute(_TIMELINE, {"person_ids": person.members})
    items = [{"at": row.at, "what": row.what, "detail": _told(row.what, row.data), "data": row.data} for row in found]
    return {"items": items, "next_cursor": None}


def _told(what: str, data: dict[str, Any]) -> str:
    """One line of the story."""
    if what == "entitlement.changed":
        spans = [f"{m['from']}—{m['to'] or ''} {yuan_text(m['amount_fen'])} 元" for m in data["schedule"]]
        return f"{SUBSIDY_NAMES[data['subsidy']]}: {'; '.join(spans) or '无应发月份'} ({data['cause']})"
    if what == "application.assessed":
        words = {True: "符合", False: "不符合"}
        return "; ".join(f"{SUBSIDY_NAMES[d['subsidy']]}: {words[d['eligible']]}" for d in data["decisions"])
    return f"自 {data['occurred_on']} 起 (来源 {data['source']})"


def parse_period(text_: str) -> Period:
    """A period in a path; NotFound where it is none."""
    try:
        return Period.parse(text_)
    except ValueError as error:
        raise NotFound("没有这个月份 (no such period)") from error


async def _visible(tx: Transaction, caller: Principal, person_id: str, as_known_on: date | None = None) -> Person:
    """The person, if known here and in the caller's area now or before; NotFound otherwise."""
    known_before = None if as_known_on is None else end_of(as_known_on)
    [person] = await load_persons(tx, [person_id], known_before)
    if person.area is None or not any(caller.covers(area) for area in (person.area, *person.lived_in)):
        raise NotFound("没有此人 (no such person)")
    return person


async def _assertions(tx: Transaction, person: Person, as_known_on: date | None) -> list[dict[str, Any]]:
    known_before = None if as_known_on is None else end_of(as_known_on)
    found = await tx.connection.execute(_ASSERTIONS, {"person_ids": person.members, "known_before": known_before})
    return [dict(row) for row in found.mappings()]


async def _choices(tx: Transaction, person: Person, month: Period) -> tuple[SignedChoice, ...]:
    """What the person had chosen by the end of the month (择高声明), as the applications tell it."""
    found = await tx.connection.execute(_CHOICES, {"person_ids": person.members, "until": month.last_day})
    return tuple(SignedChoice(row.kind, row.keep, row.signed_on) for row in found)


def _conflict(found: Disagreement, source_of: dict[str, str]) -> dict[str, Any]:
    def told(assertion: Assertion) -> dict[str, Any]:
        return {
            "fact_id": assertion.fact_id,
            "source": source_of.get(assertion.fact_id),
            "kind": assertion.kind,
            "occurred_on": assertion.on,
            "known_at": assertion.known_at,
            "data": assertion.data,
        }

    return {
        "line": found.line,
        "on": found.on,
        "won": told(found.won),
        "lost": [told(assertion) for assertion in found.lost],
        "because": found.because,
    }


def _plain(entry: dict[str, Any]) -> dict[str, Any]:
    plain = {name.rstrip("_"): value for name, value in entry.items()}
    if "components" in plain:
        plain["components"] = [{"category": category, "level": level} for category, level in plain["components"]]
    return plain


_SCHEDULES_THEN = text(
    """
    SELECT DISTINCT ON (subsidy) subsidy, schedule FROM entitlements
    WHERE person_id = :person_id AND recorded_at < :before ORDER BY subsidy, version DESC
    """
).columns(schedule=JSONB)

_ASSERTIONS = text(
    """
    SELECT a.fact_id, a.kind, lower(a.valid) AS occurred_on, a.known_at, a.source, a.rank, a.data,
        a.recorded_at,
        EXISTS (SELECT 1 FROM assertions r WHERE r.person_id = ANY(:person_ids) AND r.kind = 'fact.retracted'
                AND r.data ->> 'retracts' = CAST(a.fact_id AS text)
                AND (CAST(:known_before AS timestamptz) IS NULL OR r.known_at < :known_before)) AS retracted
    FROM assertions a
    WHERE a.person_id = ANY(:person_ids)
      AND (CAST(:known_before AS timestamptz) IS NULL OR a.known_at < :known_before)
    ORDER BY lower(a.valid), a.known_at, a.rank, a.fact_id
    """
).columns(data=JSONB)

_CHOICES = text(
    """
    SELECT choice.kind, choice.keep, choice.signed_on
    FROM applications, jsonb_to_recordset(facts -> 'choices') AS choice (kind text, keep text, signed_on date)
    WHERE person_id = ANY(:person_ids) AND choice.signed_on <= :until
    """
)

_TIMELINE = text(
    """
    SELECT recorded_at AS at, kind AS what, jsonb_build_object('occurred_on', lower(valid), 'source', source,
        'known_at', known_at) || data AS data FROM assertions WHERE person_id = ANY(:person_ids)
    UNION ALL
    SELECT recorded_at, 'entitlement.changed', jsonb_build_object('subsidy', subsidy, 'version', version,
        'cause', cause, 'stopped_because', stopped_because, 'schedule', schedule)
    FROM entitlements WHERE person_id = ANY(:person_ids)
    UNION ALL
    SELECT s.assessed_at, 'application.assessed', jsonb_build_object('application_id', s.application_id,
        'decisions', s.decisions) FROM assessments s JOIN applications a USING (application_id)
    WHERE a.person_id = ANY(:person_ids)
    ORDER BY at DESC LIMIT 500
    """
).columns(data=JSONB)
