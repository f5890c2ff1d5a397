from __future__ import annotations

import re

import pytest

from libs.common.errors import InvalidInput
from libs.common.vocabulary import CATEGORY_NAMES
from services.notification import texts
from services.notification.texts import KINDS, PLACEHOLDERS, Kind, Template


@pytest.mark.parametrize("kind", KINDS)
def test_the_systems_own_texts_may_be_sent(kind: Kind) -> None:
    texts.check(kind, texts.in_force(kind, "530102", []).text)


def test_the_nearest_area_with_a_text_of_its_own_counts_and_its_newest_version() -> None:
    written = [
        Template("reminder", "53", 1, "province"),
        Template("reminder", "5301", 1, "prefecture, old"),
        Template("reminder", "5301", 2, "prefecture"),
        Template("reminder", "530103", 1, "another county"),
        Template("contact_changed", "530102", 1, "another kind"),
    ]
    assert texts.in_force("reminder", "530102", written).text == "prefecture"
    assert texts.in_force("reminder", "5303", written).text == "province"
    assert texts.in_force("reminder", "4401", written).version == 0


@pytest.mark.parametrize(
    ("text", "what_is_wrong"),
    [
        ("", "1 to"),
        ("长" * 301, "1 to"),
        ("您的{level}补贴", "unknown placeholder"),
        ("{subsidy.__class__}", "unknown placeholder"),
        ("{subsidy!r}", "unknown placeholder"),
        ("{subsidy:>999999}", "unknown placeholder"),
        ("您的{subsidy", "braces"),
        ("您的视力残疾补贴{subsidy}", "disability type"),
        ("您的一级补贴{subsidy}", "disability type"),
        ("身份证530102194408120015", "ID or account"),
    ],
)
def test_texts_that_may_not_be_sent_are_refused_with_the_reason(text: str, what_is_wrong: str) -> None:
    with pytest.raises(InvalidInput, match=what_is_wrong):
        texts.check("entitlement_resumed", text)


def test_no_reason_that_a_person_is_told_names_a_disability_or_a_prison() -> None:
    told = [
        texts.why_stopped(because) for because in [*texts._REASONS, "not_in_prison", "person.imprisoned", "severity"]
    ]
    told += [part for problem in texts.ACCOUNT_PROBLEMS.values() for part in problem]
    for sentence in told:
        assert not any(f"{name}残疾" in sentence for name in CATEGORY_NAMES.values())
        assert not re.search("狱|刑|级", sentence)


def test_every_placeholder_of_a_kind_is_one_that_its_own_text_uses() -> None:
    for kind in KINDS:
        values = dict.fromkeys(PLACEHOLDERS[kind], "值")
        assert "{" not in texts.render(texts.in_force(kind, "", []), values)
