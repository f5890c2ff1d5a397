"""The sample as files: department feeds in the columns that matching takes, and bodies of `POST /v1/applications`."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from deploy.local.sample.county import County, LifeChange, Person
from deploy.local.sample.roster import roster_csv

FEED_COLUMNS: dict[str, tuple[str, ...]] = {
    "certificates": (
        *("name", "id_number", "certificate_number", "category", "level", "issued_on", "expires_on", "status"),
        *("cause", "changed_on", "area"),
    ),
    "low_income": (
        *("name", "id_number", "category", "grace", "household_id", "from", "to", "last_paid_period", "area"),
    ),
    "cremations": ("name", "id_number", "date", "area"),
    "deaths": ("name", "id_number", "date", "area"),
    "population": ("name", "id_number", "event", "reason", "date", "area", "from_area"),
    "prisons": ("name", "id_number", "from", "to", "kind"),
    "benefits": ("id_number", "kind", "amount_fen", "from", "to", "last_paid_period", "area"),
    "social_cards": ("id_number", "bank", "number", "status"),
}

Row = dict[str, Any]


def feed_rows(county: County, source: str) -> Iterator[Row]:
    """The rows of one feed, keyed by column; absent keys are empty. KeyError for an unknown source."""
    return _ROWS[source](county)


def feed_csv(source: str, rows: Iterable[Row]) -> str:
    """The rows as CSV text with the feed's header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FEED_COLUMNS[source], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def application(person: Person) -> dict[str, Any]:
    """The body of `POST /v1/applications` for this person."""
    body: dict[str, Any] = {
        "applicant": {
            "name": person.name,
            "id_number": person.id_number,
            "certificate_number": person.certificate_number,
            "hukou_area": person.township,
        },
        "subsidies": list(person.subsidies),
        "applied_on": person.applied_on.isoformat(),
        "channel": person.channel,
        "commitment": {"signed_on": person.applied_on.isoformat(), "version": "sample"},
        "account": _account(person),
        "facts": _declared_facts(person),
    }
    if person.components:
        body["applicant"]["components"] = [{"category": kind, "level": level} for kind, level in person.components]
    if person.phone:
        body["applicant"]["phone"] = person.phone
    if person.channel == "cross_province":
        body["accepted_area"] = "440106"
    if person.guardian:
        body["guardian"] = _guardian(person)
    if (other := person.same_class_benefit) and "care" in person.subsidies:
        keep = "ours" if person.keeps_ours else "other"
        body["choices"] = [{"kind": other.kind, "keep": keep, "signed_on": person.applied_on.isoformat()}]
    return body


def _account(person: Person) -> Row:
    if person.card is not None and person.card_status == "active":
        return {"holder": "own", "bank": person.card.bank, "number": person.card.number, "status": "active"}
    if person.guardian is not None:
        account = person.guardian.account
        reason = "本人社会保障卡未激活" if person.card else "本人尚未办理社会保障卡"
        return {
            "holder": "guardian",
            "bank": account.bank,
            "number": account.number,
            "status": "active",
            "reason": reason,
        }
    if person.card is not None:
        return {"holder": "own", "bank": person.card.bank, "number": person.card.number, "status": "inactive"}
    return {"holder": "own", "status": "none", "reason": "尚未办理社会保障卡"}


def _guardian(person: Person) -> Row:
    guardian = person.guardian
    assert guardian is not None
    number = "id_number" if guardian.kind == "person" else "org_code"
    account = {"bank": guardian.account.bank, "number": guardian.account.number}
    return {
        "kind": guardian.kind,
        "name": guardian.name,
        number: guardian.number,
        "phone": guardian.phone,
        "account": account,
    }


def _declared_facts(person: Person) -> Row:
    facts: Row = {}
    if "care" in person.subsidies:
        facts["long_term_care"] = True
    if person.family and person.family_since:
        facts["low_income"] = {"category": person.family, "from": person.family_since.isoformat()}
    return facts


def write_county(county: County, folder: Path) -> None:
    """Write `applications.ndjson`, `feeds/*.csv`, `roster.csv`, `sample.json`, and a README that says that nobody in it
    is real."""
    (folder / "feeds").mkdir(parents=True, exist_ok=True)
    with (folder / "applications.ndjson").open("w", encoding="utf-8", newline="\n") as file:
        for person in county.persons:
            file.write(json.dumps(application(person), ensure_ascii=False) + "\n")
    for source in FEED_COLUMNS:
        text = feed_csv(source, feed_rows(county, source))
        (folder / "feeds" / f"{source}.csv").write_text(text, encoding="utf-8", newline="\n")
    (folder / "roster.csv").write_text(roster_csv(county), encoding="utf-8", newline="\n")
    marks = {
        "sample": True,
        "area": county.area,
        "persons": len(county.persons),
        "seed": county.seed,
        "first_period": str(county.first_period),
    }
    (folder / "sample.json").write_text(json.dumps(marks, indent=2) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(_readme(county), encoding="utf-8")


def _readme(county: County) -> str:
    families = Counter(person.family or "none" for person in county.persons)
    levels = Counter(person.level for person in county.persons)
    shares = ", ".join(f"{kind} {count}" for kind, count in sorted(families.items()))
    command = f"liangbu sample --persons {len(county.persons)} --area {county.area} --seed {county.seed}"
    return f"""# A sample (样例数据), not a county

Everything here is synthetic: `{command}`.
Names are drawn at random and numbers are formed by rule; any likeness to a real person is chance. Never load it into a
system that pays anybody.

- `applications.ndjson`: one body of `POST /v1/applications` a line
- `feeds/*.csv`: the departments' files for `POST /v1/feeds/{{source}}`
- `roster.csv`: the same persons as a roster to take over instead (`liangbu import-roster`): paid elsewhere until the
  month before the first period
- persons by level: {", ".join(f"{level}: {levels[level]}" for level in sorted(levels))}
- persons by family: {shares}
"""


# --- rows of each feed ---------------------------------------------------------------------------------------------


def _certificates(county: County) -> Iterator[Row]:
    for person in county.persons:
        yield {
            "name": person.name,
            "id_number": person.id_number,
            "certificate_number": person.certificate_number,
            "category": person.category,
            "level": person.level,
            "issued_on": person.issued_on,
            "expires_on": person.expires_on,
            "status": "valid",
            "changed_on": person.issued_on,
            "area": person.township,
        }


def _low_income(county: County) -> Iterator[Row]:
    area_of: dict[str, str] = {}
    for person in county.persons:
        if person.family and person.household_id:
            area_of[person.household_id] = person.township
            yield {
                "name": person.name,
                "id_number": person.id_number,
                "category": person.family,
                "household_id": person.household_id,
                "from": person.family_since,
                "area": person.township,
            }
    for relative in county.relatives:
        yield {
            "name": relative.name,
            "id_number": relative.id_number,
            "category": relative.family,
            "household_id": relative.household_id,
            "from": relative.since,
            "area": area_of[relative.household_id],
        }


def _changes_of(county: County, feed: str) -> list[LifeChange]:
    return sorted((c for c in county.changes if c.feed == feed), key=lambda change: (change.on, change.id_number))


def _cremations(county: County) -> Iterator[Row]:
    for change in _changes_of(county, "cremations"):
        yield {"name": change.name, "id_number": change.id_number, "date": change.on, "area": county.area}


def _deaths(county: County) -> Iterator[Row]:
    for change in _changes_of(county, "deaths"):
        yield {"name": change.name, "id_number": change.id_number, "date": change.on, "area": county.area}


def _population(county: County) -> Iterator[Row]:
    for change in _changes_of(county, "population"):
        yield {
            "name": change.name,
            "id_number": change.id_number,
            "event": change.kind,
            "date": change.on,
            "area": change.to_area or county.area,
            "from_area": county.area if change.to_area else "",
        }


def _prisons(county: County) -> Iterator[Row]:
    for change in _changes_of(county, "prisons"):
        yield {"name": change.name, "id_number": change.id_number, "from": change.on, "kind": change.kind}


def _benefits(county: County) -> Iterator[Row]:
    for person in county.persons:
        for benefit in person.benefits:
            yield {
                "id_number": person.id_number,
                "kind": benefit.kind,
                "amount_fen": benefit.amount_fen,
                "from": benefit.since,
                "to": benefit.until,
                "area": person.township,
            }


def _social_cards(county: County) -> Iterator[Row]:
    for person in county.persons:
        if person.card is not None:
            yield {
                "id_number": person.id_number,
                "bank": person.card.bank,
                "number": person.card.number,
                "status": person.card_status,
            }


_ROWS: dict[str, Callable[[County], Iterator[Row]]] = {
    "certificates": _certificates,
    "low_income": _low_income,
    "cremations": _cremations,
    "deaths": _deaths,
    "population": _population,
    "prisons": _prisons,
    "benefits": _benefits,
    "social_cards": _social_cards,
}
