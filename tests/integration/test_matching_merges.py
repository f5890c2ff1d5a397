"""A corrected resident ID merges two persons: what matching knows of both follows to the one that stays."""

from __future__ import annotations

from libs.common.events.intake import PersonIdCorrected
from tests.integration.matching import TOWNSHIP, Matching, invariants_hold


async def test_facts_findings_and_later_news_follow_to_the_survivor(matching: Matching) -> None:
    wrong, right = matching.new_id_number(), matching.new_id_number()
    frozen = (await matching.push("certificate.frozen", wrong, "2026-03-15", area=TOWNSHIP, role="cdpf")).json()
    lead = (await matching.push("person.missing", wrong, "2026-03-20", role="township", area=TOWNSHIP)).json()
    old, new = frozen["person_id"], matching.running.app.state.parts.keys.person.person_id(right)
    merged = PersonIdCorrected(person_id=old, version=1, into_person_id=new)
    await matching.hear(merged)
    await matching.hear(PersonIdCorrected(person_id=old, version=2, into_person_id=new))
    items = (await matching.call("GET", f"/v1/persons/{new}/timeline")).json()["items"]
    assert {item["what"] for item in items} == {"finding.opened", "certificate.frozen"}
    assert (await matching.call("GET", f"/v1/persons/{old}/timeline")).status_code == 404
    told = (await matching.told(new))[-1]
    assert (told["type"], told["finding_id"], told["version"]) == ("finding.opened", lead["finding_id"], 2)
    assert (await matching.verify(lead["finding_id"], "confirmed")).status_code == 200
    later = (await matching.push("certificate.expired", wrong, "2026-05-15", area=TOWNSHIP, role="cdpf")).json()
    assert later["person_id"] == new
    assert await invariants_hold(matching)


async def test_what_both_were_said_to_be_is_held_once(matching: Matching) -> None:
    first, second = matching.new_id_number(), matching.new_id_number()
    by = {"role": "township", "area": TOWNSHIP}
    kept = (await matching.push("person.missing", first, "2026-03-20", **by)).json()
    same = (await matching.push("person.missing", second, "2026-03-20", **by)).json()
    await matching.hear(PersonIdCorrected(person_id=same["person_id"], version=1, into_person_id=kept["person_id"]))
    (still_open,) = await matching.findings(status="open")
    assert still_open["finding_id"] == kept["finding_id"]
    told = [event["type"] for event in await matching.told(same["person_id"])]
    assert told[-2:] == ["finding.dismissed", "person.merged"]
    assert await invariants_hold(matching)
