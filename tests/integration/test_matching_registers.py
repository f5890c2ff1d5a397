"""Registers of cards, guardianships and institutions: told to intake once, and only of whom we pay (notice 4.4-4.6)."""

from __future__ import annotations

from typing import Any

from tests.integration.matching import Matching, Recipient

TOLD = "register.told"


async def said(matching: Matching, person_id: str, field: str) -> list[list[dict[str, Any]]]:
    return [event[field] for event in await matching.told(person_id, TOLD)]


async def test_cards_are_told_once_whole_and_again_only_when_they_change(matching: Matching) -> None:
    paid, stranger = await matching.recipient(), matching.new_id_number()
    heading, one = "id_number,bank,number,status\n", f"{paid.id_number},农信社,6231900000012345,inactive\n"
    other = f"{stranger},农信社,6231900000012346,active\n"
    for mode in ("delta", "snapshot"):
        feed = await matching.upload("social_cards", heading + one + one + other, mode=mode)
        assert (feed.status_code, feed.json()["status"]) == (201, "ready"), feed.text
    ((card,),) = await said(matching, paid.person_id, "cards")
    assert (card["bank"], card["status"]) == ("农信社", "inactive")

    changed = heading + one.replace("inactive", "active")
    assert (await matching.upload("social_cards", changed, as_of="2026-05-31")).status_code == 201
    late = heading + one.replace("inactive", "none")
    assert (await matching.upload("social_cards", late, as_of="2026-03-31")).status_code == 201
    (_, last) = await matching.told(paid.person_id, TOLD)
    assert (last["version"], last["as_of"], last["cards"][0]["status"]) == (2, "2026-05-31", "active")
    assert "6231900000012345" not in str(last)
    keys = matching.running.app.state.parts.keys.person
    assert await matching.told(keys.person_id(stranger)) == [], "nobody we pay"


async def test_all_guardians_of_a_person_are_told_together_by_their_ids(matching: Matching) -> None:
    child, father, mother = await matching.recipient(), matching.new_id_number(), matching.new_id_number()
    csv = (
        "id_number,guardian_name,guardian_id_number,from,to\n"
        f"{child.id_number},张父,{father},2020-01-01,2026-03-31\n{child.id_number},李母,{mother},2026-04-01,\n"
        f"{child.id_number},本人,{child.id_number},2026-04-01,\n"
    )
    assert (await matching.upload("guardianships", csv)).status_code == 201
    keys = matching.running.app.state.parts.keys.person
    assert await said(matching, child.person_id, "guardians") == [
        [
            {"from": "2020-01-01", "to": "2026-03-31", "guardian_person_id": keys.person_id(father)},
            {"from": "2026-04-01", "to": None, "guardian_person_id": keys.person_id(mother)},
        ]
    ], "and nobody is their own guardian"


async def test_a_county_tells_nothing_of_persons_of_another(matching: Matching) -> None:
    child = await matching.recipient(area="530103001")
    csv = f"id_number,org_code,from,to\n{child.id_number},A1,2026-01-01,\n"
    assert (await matching.upload("institution_residents", csv)).status_code == 201
    assert await matching.told(child.person_id, TOLD) == []


async def test_an_account_is_told_as_the_token_that_intake_knows_accounts_by(matching: Matching) -> None:
    paid = await matching.recipient()
    csv = f"id_number,bank,number,status\n{paid.id_number},农信社,6231 9000 0001 2345,active\n"
    assert (await matching.upload("social_cards", csv)).status_code == 201
    token = matching.running.app.state.parts.keys.person.token("account", "6231900000012345")
    assert await said(matching, paid.person_id, "cards") == [
        [{"bank": "农信社", "number_token": token, "status": "active"}]
    ]


async def test_whom_a_whole_register_names_no_more_is_told_with_what_was_said_last(matching: Matching) -> None:
    listed, gone, unread, elsewhere = [await matching.recipient() for _ in range(3)] + [
        await matching.recipient(area="530103001")
    ]
    heading = "id_number,org_code,from,to\n"

    def row(person: Recipient, begins: str = "2026-01-01") -> str:
        return f"{person.id_number},A1,{begins},\n"

    first = heading + row(listed) + row(gone) + row(unread) + row(elsewhere)
    for area in ("530102", "530103"):
        about = {"area": area, "as_of": "2026-04-30", "mode": "snapshot"}
        path = "/v1/feeds/institution_residents"
        assert (await matching.call("POST", path, area=area, params=about, content=first)).status_code == 201
    later = heading + row(listed) + row(unread, "soon")
    assert (await matching.upload("institution_residents", heading + row(listed), as_of="2026-05-31")).is_success
    assert len(await matching.told(gone.person_id, TOLD)) == 1, "a delta need not name everybody"
    for _ in range(2):
        answer = await matching.upload("institution_residents", later, as_of="2026-05-31", mode="snapshot")
        assert answer.json()["rejected"] == 1
    (before, last) = await matching.told(gone.person_id, TOLD)
    assert (before["listed"], last["listed"], last["version"], last["as_of"]) == (True, False, 2, "2026-05-31")
    assert last["residences"] == before["residences"]
    for person in (listed, unread, elsewhere):
        assert len(await matching.told(person.person_id, TOLD)) == 1

    assert (await matching.upload("institution_residents", first, as_of="2026-06-30", mode="snapshot")).is_success
    assert [told["listed"] for told in await matching.told(gone.person_id, TOLD)] == [True, False, True]


async def test_an_older_register_tells_nobody_missing(matching: Matching) -> None:
    child = await matching.recipient()
    heading, row = "id_number,org_code,from,to\n", f"{child.id_number},A1,2026-01-01,\n"
    for as_of in ("2026-03-31", "2026-05-31"):
        assert (await matching.upload("institution_residents", heading + row, as_of=as_of, mode="snapshot")).is_success
    other = heading + f"{matching.new_id_number()},A1,2026-01-01,\n"
    assert (await matching.upload("institution_residents", other, as_of="2026-04-30", mode="snapshot")).is_success
    assert len(await matching.told(child.person_id, TOLD)) == 1
