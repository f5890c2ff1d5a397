"""What happens to people and rules between the cycles: certificates, dibao, deaths, policy, accounts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from deploy.local.play.stage import Stage, until
from deploy.local.sample.county import Account, LifeChange, Person
from deploy.local.sample.files import FEED_COLUMNS, Row, feed_csv, feed_rows
from libs.common.period import Period


async def load_benefits(stage: Stage, as_of: date) -> None:
    """What other departments pay, known before anybody applies."""
    await upload(stage, "benefits", feed_rows(stage.county, "benefits"), as_of)


async def upload(stage: Stage, source: str, rows: Iterable[Row], as_of: date) -> dict[str, Any]:
    """Upload a department's feed; its rows are all good, so none may be rejected."""
    answer: dict[str, Any] = await stage.rest.upload_csv(
        "matching",
        f"/v1/feeds/{source}",
        stage.officials.civil_affairs,
        feed_csv(source, rows),
        area=stage.county.area,
        as_of=as_of.isoformat(),
        mode="delta",
    )
    stage.expectations.equal(f"rejected rows of the {source} feed of {as_of}", answer["rejected"], 0)
    return answer


async def push(stage: Stage, kind: str, person: Person, occurred_on: date, **more: Any) -> None:
    """A partner pushes one change."""
    body = {"kind": kind, "id_number": person.id_number, "occurred_on": occurred_on.isoformat(), **more}
    key = stage.key("event", kind, stage.number(person), occurred_on)
    await stage.rest.post("matching", "/v1/events", stage.officials.partner, body, key=key)


async def expire_certificate(stage: Stage, person: Person, on: date) -> None:
    """The certificate's first day of being expired."""
    await push(stage, "certificate.expired", person, on)


async def renew_certificate(stage: Stage, person: Person, on: date) -> None:
    """A new certificate of the same category and level, for ten years."""
    expires_on = on.replace(year=on.year + 10).isoformat()
    more: dict[str, Any] = {"category": person.category, "level": person.level, "expires_on": expires_on}
    if person.components:
        more["components"] = [{"category": kind, "level": level} for kind, level in person.components]
    await push(stage, "certificate.renewed", person, on, **more)


async def leave_dibao(stage: Stage, person: Person, first_day_out: date) -> None:
    await push(stage, "low_income.exited", person, first_day_out)


async def report_deaths(stage: Stage, changes: Iterable[LifeChange], as_of: date) -> None:
    """The registers of cremations and deaths, as delivered on a day."""
    by_feed: dict[str, list[Row]] = {"cremations": [], "deaths": []}
    for change in changes:
        row = {"name": change.name, "id_number": change.id_number, "date": change.on, "area": stage.county.area}
        by_feed[change.feed].append(row)
    for source, rows in by_feed.items():
        assert "date" in FEED_COLUMNS[source]
        if rows:
            await upload(stage, source, rows, as_of)


async def compare(stage: Stage, as_of: date) -> None:
    """The county's monthly comparison, to its end."""
    officials, rest = stage.officials, stage.rest
    body = {"level": "county", "area": stage.county.area, "as_of": as_of.isoformat()}
    key = stage.key("compare", as_of)
    comparison = await rest.post("matching", "/v1/comparisons", officials.civil_affairs, body, key=key)
    path = f"/v1/comparisons/{comparison['comparison_id']}"

    async def done() -> bool:
        found = await rest.get("matching", path, officials.civil_affairs)
        return found["status"] in ("done", "completed", "finished")

    await until(done, "the comparison to end")


async def findings(stage: Stage) -> list[dict[str, Any]]:
    """Every finding of the county, answered or not."""
    pages = stage.rest.items("matching", "/v1/findings", stage.officials.civil_affairs, area=stage.county.area)
    return [finding async for finding in pages]


async def register_leads(stage: Stage) -> list[dict[str, Any]]:
    """What registers of cards and guardians have otherwise than is on record."""
    area = stage.county.area
    pages = stage.rest.items("intake", "/v1/register-leads", stage.officials.civil_affairs, area=area, status="open")
    return [lead async for lead in pages]


async def verify(stage: Stage, finding: dict[str, Any], outcome: str, effective_on: date | None, note: str) -> None:
    """The township answers a finding."""
    body: dict[str, Any] = {"method": "document", "outcome": outcome, "note": note}
    if effective_on is not None:
        body["effective_on"] = effective_on.isoformat()
    path = f"/v1/findings/{finding['finding_id']}/verification"
    caller = stage.officials.township(stage.county.area)
    await stage.rest.post("matching", path, caller, body, key=stage.key("verify", finding["finding_id"]))


async def raise_living(stage: Stage, since: Period, amount_fen: int) -> str:
    """The prefecture raises living from a past month on: one person proposes, another approves. The policy's id."""
    prefecture = stage.county.area[:4]
    layer = f"""layer: "{prefecture}"
title: 样例州市关于提高困难残疾人生活补贴标准的通知
parameters:
  living.amount_fen:
    - since: {since.first_day}
      value: {amount_fen}
      source: 样例民发〔{since.year}〕1号
      clause: 第一条
      confidence: V
      sample: true
"""
    proposer, approver = stage.officials.prefecture
    key = stage.key("policy", since, amount_fen)
    proposed = await stage.rest.post("eligibility", "/v1/policies", proposer, {"yaml": layer}, key=key)
    policy_id: str = proposed["policy_id"]
    await stage.rest.post(
        "eligibility", f"/v1/policies/{policy_id}/approval", approver, {}, key=stage.key("approve", policy_id)
    )
    return policy_id


async def correct_account(stage: Stage, person: Person, account: Account) -> None:
    """The township proposes the new account, civil affairs approves it: two persons."""
    body = {"holder": "own", "bank": account.bank, "number": account.number, "status": "active"}
    path = f"/v1/persons/{stage.person_id(person)}/account"
    change = await stage.rest.put("intake", path, stage.officials.township(person.township), body)
    approval = f"/v1/changes/{change['change_id']}/approval"
    key = stage.key("approve account", change["change_id"])
    await stage.rest.post("intake", approval, stage.officials.civil_affairs, {}, key=key)
