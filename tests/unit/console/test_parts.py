"""What dashboards are built from: how values are shown, and what reaches the browser."""

from __future__ import annotations

import inspect

import pytest

from libs.common.dashboard import (
    PERSON,
    Column,
    Page,
    Panel,
    Refused,
    _row,
    as_area,
    as_moment,
    as_short,
    as_words,
    as_yuan,
)
from libs.common.events.envelope import FactEvent, event_types
from services.console.main import DASHBOARDS
from services.console.settings import ConsoleSettings
from services.eligibility.dashboard import STORY, typed


@pytest.mark.parametrize(
    ("amount_fen", "shown"),
    [(0, "0.00"), (5, "0.05"), (-5, "-0.05"), (123_456_789, "1,234,567.89"), (-1_234_567, "-12,345.67"), (None, "—")],
)
def test_fen_are_shown_as_yuan(amount_fen: int | None, shown: str) -> None:
    assert as_yuan(amount_fen) == shown


def test_an_area_without_a_name_is_shown_with_the_nearest_one_that_has() -> None:
    assert as_area("530102") == "五华区 530102"
    assert as_area("530102001") == "五华区 530102001"
    assert as_area("990101") == "990101"
    assert as_area(None) == "—"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("living.amount_fen", "120", 12_000),
        ("living.amount_fen", "1,120.5", 112_050),
        ("care.amount_fen", "1级 120；2级：110.00", {"1": 12_000, "2": 11_000}),
        ("care.levels", "[1, 2, 3]", [1, 2, 3]),
        ("living.categories", "dibao", "dibao"),
    ],
)
def test_a_parameter_is_tried_with_what_a_user_writes(name: str, text: str, value: object) -> None:
    assert typed(name, text) == value


@pytest.mark.parametrize("text", ["", "abc", "1.234", "1级 x"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="取值"):
        typed("care.amount_fen", text)


def test_a_persons_story_has_a_word_for_every_kind_of_fact() -> None:
    told = {name.removesuffix(".v1") for name, event in event_types().items() if issubclass(event, FactEvent)}
    assert told | {"care_need.assessed", "residence.observed"} <= set(STORY)


def test_moments_are_shown_in_beijing_time() -> None:
    assert as_moment("2026-03-15T16:30:00+00:00") == "2026-03-16 00:30"


def test_an_unknown_word_is_shown_as_it_is() -> None:
    assert as_words({"a": ("甲", "good")})(["a", "b"]) == "甲、b"


def test_the_browser_gets_only_the_columns_that_are_shown() -> None:
    columns = [PERSON, Column("status", "状态", words={"open": ("待核实", "busy")})]
    row = _row(0, columns, {"person_id": "p1-" + "a" * 32, "status": "open", "phone": "13800001234"})
    assert row == {
        "_row": 0,
        "_tones": {"status": "busy"},
        "_links": {"person_id": "/persons/p1-" + "a" * 32},
        "person_id": as_short("p1-" + "a" * 32),
        "status": "待核实",
    }


def test_every_service_brings_pages_of_its_own_path_and_a_panel_about_a_person() -> None:
    paths = [page.path for dashboard in DASHBOARDS for page in dashboard.pages]
    assert len(paths) == len(set(paths))
    for dashboard in DASHBOARDS:
        assert all(isinstance(page, Page) and inspect.iscoroutinefunction(page.build) for page in dashboard.pages)
        assert all(isinstance(panel, Panel) for panel in dashboard.panels)
        assert dashboard.pages
        assert dashboard.panels


def test_what_waits_leads_to_a_page_that_its_roles_see() -> None:
    pages = {page.path: page for dashboard in DASHBOARDS for page in dashboard.pages}
    waiting = [work for dashboard in DASHBOARDS for work in dashboard.work]
    assert waiting
    for work in waiting:
        assert set(work.roles) <= set(pages[work.page.partition("?")[0]].roles), work.title


def test_services_are_found_beside_the_console_or_by_a_pattern() -> None:
    assert ConsoleSettings(port=9000).url_of("matching") == "http://127.0.0.1:9003"
    settings = ConsoleSettings(services_url="http://{service}.liangbu:{port}")
    assert settings.url_of("matching") == "http://matching.liangbu:8003"
