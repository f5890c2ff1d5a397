"""Entitled people by the hundred, as disbursement knows them once it has heard of them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sqlalchemy import text

from libs.common.database import Database
from libs.common.privacy import Sealer

AMOUNT_FEN = 10_000


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is entitled to one subsidy and has an account."""

    person_id: str
    area: str
    account: str


async def insert_people(database: Database, sealer: Sealer, area: str, count: int) -> list[Person]:
    """Entitled to living from March 2026 on, each with a card of their own."""
    people = [Person(f"p1-{secrets.token_hex(8)}", area, f"62{secrets.randbelow(10**14):014d}") for _ in range(count)]
    known = {
        "ids": [one.person_id for one in people],
        "names": [sealer.seal("阿依·买买提", "payees", one.person_id, "holder_name") for one in people],
        "numbers": [sealer.seal(one.account, "payees", one.person_id, "number") for one in people],
        "area": area,
        "fen": AMOUNT_FEN,
    }
    async with database.transaction() as tx:
        await tx.connection.execute(
            text(
                "WITH people AS (SELECT * FROM unnest(CAST(:ids AS text[]), CAST(:names AS text[]),"
                " CAST(:numbers AS text[])) AS p (id, name, number)),"
                " entitled AS (INSERT INTO entitlements SELECT id, 'living', 1, 'application.approved', NULL, :area,"
                " now() FROM people RETURNING person_id),"
                " spans AS (INSERT INTO entitled_spans SELECT person_id, 'living', daterange('2026-03-01', NULL), :fen,"
                " :area, 1, 'physical', 'test', 'application.approved', 1 FROM entitled)"
                " INSERT INTO payees (person_id, version, area, person_name, holder, holder_name, bank, number,"
                " number_last4) SELECT id, 1, :area, name, 'own', name, '农村信用社', number, '0000' FROM people"
            ),
            known,
        )
    return people
