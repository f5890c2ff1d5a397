"""What is published of an area's policy, since when it reads like that, and who has to sign it again (1.2, 6.3)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select, text

from libs.common.audit import record
from libs.common.auth import Principal
from libs.common.database import Transaction
from libs.common.errors import InvalidInput, NotFound
from libs.common.policies import policies
from services.intake.application_records import Filed, load_application, save_declaration
from services.intake.declarations import Commitment
from services.intake.errors import AlreadyClosed
from services.intake.guide import Guide, guide
from services.intake.notice import Notice, notice, says
from services.intake.policy_records import parameters_of, policy_of
from services.intake.vault import Vault

Kind = Literal["letter", "guide"]


@dataclass(frozen=True, slots=True)
class Signature:
    """The letter that stands with an application. `to_sign_again`: what it says has changed since it was signed."""

    signed_on: date | None
    version: str | None
    published_on: date | None
    to_sign_again: bool


async def notice_of(tx: Transaction, area: str, on: date) -> Notice:
    """What the letter of an area says on a day. NotFound before any standards are known."""
    policy = await policy_of(tx, area, on)
    found = notice(area, policy["policy_version"], policy["parameters"])
    if found is None:
        raise NotFound(f"no standards are known for {on}")
    return found


async def guide_of(tx: Transaction, area: str, on: date) -> Guide:
    """The service guide of an area on a day. NotFound before any standards are known."""
    return guide(await notice_of(tx, area, on), await parameters_of(tx, area), on)


async def published_on(tx: Transaction, kind: Kind, area: str, on: date) -> date | None:
    """Since when the letter or guide of the area, or the nearest around it, has read as it does `on` that day."""
    found = await tx.connection.execute(_PUBLISHED, {"kind": kind, "area": area, "on": on})
    day: date | None = found.scalar_one_or_none()
    return day


async def publish_what_changed(tx: Transaction, as_of: date) -> int:
    """Notes of each area with policy of its own what reads differently by `as_of` than it did; how much was new.

    What is known first counts as published on the day of its newest value: nobody signs again what did not change.
    """
    changed = 0
    for area in (await tx.connection.execute(select(policies.c.area).order_by(policies.c.area))).scalars().all():
        try:
            letter, service_guide = await notice_of(tx, area, as_of), await guide_of(tx, area, as_of)
        except NotFound:
            continue  # policy without standards: there is nothing to publish yet
        held = (await policy_of(tx, area, as_of))["parameters"]
        newest = max(parameter["since"] for parameter in held if says(parameter["name"]))
        for kind, content in (("letter", asdict(letter)), ("guide", asdict(service_guide))):
            version = content.pop("version")  # changes with values that are not told here, too
            row = {"kind": kind, "area": area, "policy_version": version, "digest": _digest(content)}
            added = await tx.connection.execute(_PUBLISH, row | {"as_of": as_of, "newest": newest})
            changed += added.rowcount
    return changed


async def signature_of(tx: Transaction, filed: Filed, on: date) -> Signature:
    """How the letter of an application stands."""
    found = await tx.connection.execute(_SIGNED, {"application_id": filed.application.application_id})
    row = found.one()
    published = await published_on(tx, "letter", filed.application.area, on)
    outdated = published is not None and (row.committed_on is None or row.committed_on < published)
    return Signature(
        signed_on=row.committed_on,
        version=row.commitment_version,
        published_on=published,
        to_sign_again=outdated and row.is_open,
    )


async def sign_again(
    tx: Transaction, vault: Vault, caller: Principal, application_id: UUID, *, signed_on: date, on: date
) -> Signature:
    """Notes that the letter was signed as it reads on `signed_on`. InvalidInput, AlreadyClosed."""
    filed = await load_application(tx, caller, application_id, lock=True)
    if filed.application.status in ("rejected", "withdrawn"):
        raise AlreadyClosed(f"its status is {filed.application.status}")
    before = await signature_of(tx, filed, on)
    if signed_on > on or (before.signed_on is not None and signed_on < before.signed_on):
        raise InvalidInput.at("signed_on", "日期尚未到来，或早于上次签署 (in the future, or before the last signature)")
    version = (await notice_of(tx, filed.application.area, signed_on)).version
    declaration = filed.declaration(vault)
    commitment = Commitment(signed_on=signed_on, version=version)
    await save_declaration(tx, vault, application_id, declaration.model_copy(update={"commitment": commitment}))
    await record(tx, caller, "sign commitment", str(application_id), person_id=filed.application.person_id)
    after = replace(before, signed_on=signed_on, version=version)
    return replace(after, to_sign_again=after.published_on is not None and signed_on < after.published_on)


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


_PUBLISHED = text(
    "SELECT published_on FROM publications WHERE kind = :kind AND starts_with(:area, area) AND published_on <= :on"
    " ORDER BY length(area) DESC, published_on DESC LIMIT 1"
)
_PUBLISH = text(
    """
    WITH latest AS (
        SELECT digest, published_on FROM publications WHERE kind = :kind AND area = :area
        ORDER BY published_on DESC LIMIT 1)
    INSERT INTO publications (kind, area, published_on, policy_version, digest)
    SELECT :kind, :area, CASE WHEN EXISTS (SELECT FROM latest) THEN CAST(:as_of AS date) ELSE :newest END,
        :policy_version, :digest
    WHERE NOT EXISTS (SELECT FROM latest WHERE digest = :digest OR published_on > CAST(:as_of AS date))
    ON CONFLICT (kind, area, published_on)
    DO UPDATE SET policy_version = excluded.policy_version, digest = excluded.digest
    """
)
_SIGNED = text(
    "SELECT committed_on, commitment_version, EXISTS (SELECT FROM applied_subsidies s"
    " WHERE s.application_id = a.application_id AND s.state IN ('open', 'granted')) AS is_open"
    " FROM applications a WHERE application_id = :application_id"
)
