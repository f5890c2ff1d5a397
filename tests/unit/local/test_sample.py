from __future__ import annotations

import csv
import json
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from deploy.local.sample.county import FIRST_PERIOD, County, build_county
from deploy.local.sample.files import FEED_COLUMNS, application, feed_rows, write_county
from libs.common.areas import contains
from libs.common.identity import CertificateNumber, ResidentId, parse_account, parse_name, parse_phone
from libs.common.vocabulary import CATEGORIES

ON = FIRST_PERIOD.first_day


@pytest.fixture(scope="module")
def county() -> County:
    return build_county("530102", persons=2000, seed=7)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("again", 3), ("other", 4)):
        write_county(build_county("530102", persons=50, seed=seed), tmp_path / name)
    assert files(tmp_path / "one") == files(tmp_path / "again")
    assert files(tmp_path / "one")["applications.ndjson"] != files(tmp_path / "other")["applications.ndjson"]


def test_every_identity_is_valid_as_it_stands(county: County) -> None:
    for person in county.persons:
        resident = ResidentId.parse(person.id_number, on=ON)
        assert (str(resident), resident.birth_date) == (person.id_number, person.birth_date)
        certificate = CertificateNumber.parse(person.certificate_number, on=ON)
        certificate.require_holder(resident)
        assert (certificate.category, certificate.level) == (person.category, person.level)
        assert parse_name(person.name) == person.name
        assert person.phone is None or parse_phone(person.phone) == person.phone
        assert person.card is None or parse_account(person.card.number) == person.card.number


def test_no_number_belongs_to_two(county: County) -> None:
    numbers = [person.id_number for person in county.persons] + [r.id_number for r in county.relatives]
    accounts = [person.card.number for person in county.persons if person.card]
    assert len(set(numbers)) == len(numbers)
    assert len(set(accounts)) == len(accounts)


def test_twenty_eight_persons_have_every_category_and_level() -> None:
    persons = build_county("532302", persons=28, seed=1).persons
    assert {(p.category, p.level) for p in persons} == {(c, level) for c in CATEGORIES for level in (1, 2, 3, 4)}


def test_three_persons_have_a_dotted_and_a_rare_name() -> None:
    names = [person.name for person in build_county("530102", persons=3, seed=9).persons]
    assert any("\u00b7" in name for name in names)
    assert any(not "\u4e00" <= c <= "\u9fff" and c != "\u00b7" for name in names for c in name)


def test_shares_are_those_of_a_county(county: County) -> None:
    categories = Counter(person.category for person in county.persons)
    families = Counter(person.family for person in county.persons)
    assert categories.most_common(1)[0][0] == "physical"
    assert 0.45 < categories["physical"] / 2000 < 0.6
    assert 0.5 < families["dibao"] / 2000 < 0.75
    assert families[None] > 200
    assert 20 < families["tekun"] < 150
    assert sum(person.guardian is not None for person in county.persons) > 200
    assert any(p.guardian and p.guardian.kind == "institution" for p in county.persons)
    kinds = {benefit.kind for person in county.persons for benefit in person.benefits}
    assert {"orphan", "unattended_child_full", "elderly_care", "old_age"} <= kinds


def test_some_households_hold_several_persons(county: County) -> None:
    sizes = Counter(person.household_id for person in county.persons if person.household_id)
    assert max(sizes.values()) >= 2


def test_a_component_of_a_multiple_disability_has_its_level(county: County) -> None:
    multiple = [person for person in county.persons if person.category == "multiple"]
    assert all(min(level for _, level in person.components) == person.level for person in multiple)
    assert all(not person.components for person in county.persons if person.category != "multiple")


def test_who_cannot_act_has_a_guardian_and_is_paid_to_the_own_card_first(county: County) -> None:
    minor = next(p for p in county.persons if p.birth_date > date(2010, 1, 1) and p.card_status == "active")
    assert minor.guardian is not None
    assert application(minor)["account"]["holder"] == "own"
    without = next(p for p in county.persons if p.guardian and p.card_status != "active")
    account = application(without)["account"]
    assert account["holder"] == "guardian"
    assert account["reason"]


def test_certificates_run_ten_years_and_are_in_force_at_the_start(county: County) -> None:
    for person in county.persons:
        assert person.issued_on <= ON <= person.expires_on
        assert person.issued_on.replace(day=1).year + 10 == person.expires_on.replace(day=1).year or (
            person.issued_on.month,
            person.issued_on.day,
        ) == (1, 1)


def test_the_choice_of_the_higher_is_signed_by_who_has_both(county: County) -> None:
    both = [p for p in county.persons if p.same_class_benefit and "care" in p.subsidies]
    assert {application(person)["choices"][0]["keep"] for person in both} == {"ours", "other"}


def test_feeds_have_the_columns_of_the_contract(county: County, tmp_path: Path) -> None:
    write_county(county, tmp_path)
    for source, columns in FEED_COLUMNS.items():
        with (tmp_path / "feeds" / f"{source}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert rows, source
        assert tuple(rows[0]) == columns
        assert all(ResidentId.parse(row["id_number"], on=date(2026, 6, 1)) for row in rows)
    bodies = [json.loads(line) for line in (tmp_path / "applications.ndjson").read_text("utf-8").splitlines()]
    assert len(bodies) == 2000
    assert all(contains("530102", body["applicant"]["hukou_area"]) for body in bodies)
    assert json.loads((tmp_path / "sample.json").read_text())["sample"] is True
    assert "synthetic" in (tmp_path / "README.md").read_text("utf-8")


def test_a_register_also_holds_strangers_with_the_name_of_somebody_paid(county: County) -> None:
    ids = {person.id_number for person in county.persons}
    names = {person.name for person in county.persons}
    rows = list(feed_rows(county, "cremations"))
    assert any(row["id_number"] in ids for row in rows)
    assert any(row["id_number"] not in ids and row["name"] in names for row in rows)


def test_nobody_dies_before_applying(county: County) -> None:
    applied = {person.id_number: person.applied_on for person in county.persons}
    assert all(change.on > applied[change.id_number] for change in county.changes if change.id_number in applied)


def test_a_township_and_a_county_without_named_townships_can_be_samples() -> None:
    assert {p.township for p in build_county("530102003", persons=5, seed=1).persons} == {"530102003"}
    assert all(len(p.township) == 9 for p in build_county("533423", persons=5, seed=1).persons)
    with pytest.raises(ValueError, match="county or a township"):
        build_county("5301", persons=5, seed=1)
