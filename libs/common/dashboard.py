"""What a service's `dashboard.py` is made of: its pages in the console, and the parts that they are built from.

A dashboard imports this module, `listing`, `forms` and NiceGUI, and nothing of its service: it knows its service by
REST alone, with the signed-in user's own token, so that no page can do what the API refuses.

    async def applications(desk: Desk) -> None:
        await listing(desk, "/v1/applications", columns=[...], filters=[...])

    PAGES = [Page("/applications", "申请受理", icon="description", build=applications)]
    PERSON_PANELS = [Panel("申请", build=...)]      # its part of the page about one person
    WORK = [Work("待初审的申请", ...)]              # what waits for somebody, on the first page
    STORY = {"application.assessed": "资格评估"}    # its events in a person's story, in words
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from nicegui import ui

from libs.common.areas import areas_below, full_name_of, lineage, name_of
from libs.common.auth import OFFICIALS, Role
from libs.common.clock import business_today
from libs.common.money import yuan_text
from libs.common.period import SHANGHAI
from libs.common.vocabulary import SUBSIDY_NAMES


class Refused(Exception):
    """A service refused a request or did not answer; the text is a sentence for the user.

    `status` is the HTTP status, None when there was no answer.
    """

    def __init__(self, sentence: str, status: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status


class Rest(Protocol):
    """The REST interface of one service, asked with the user's own token. Every call may raise `Refused`."""

    async def get(self, path: str, **query: object) -> Any:
        """The answer's JSON. Query parameters that are None or empty are left out."""
        ...

    async def post(self, path: str, body: object = None) -> Any: ...

    async def put(self, path: str, body: object) -> Any: ...

    async def delete(self, path: str) -> None: ...

    async def upload(self, path: str, content: AsyncIterable[bytes], **query: object) -> Any:
        """Sends a file as the body, piece by piece; the answer's JSON."""
        ...

    async def send_form(self, path: str, content: AsyncIterable[bytes], **fields: object) -> Any:
        """Sends a file as `file` of a form with other fields; the answer's JSON."""
        ...

    async def download(self, path: str, **query: object) -> bytes:
        """A file. Query parameters that are None or empty are left out."""
        ...


@dataclass(frozen=True, slots=True)
class Desk:
    """Who sits at the console, and what a page may ask. `area` is a prefix, empty for the nation."""

    rest: Rest
    sub: str
    role: Role
    area: str
    find_person: Callable[[str], Awaitable[str]]
    """The person_id of a resident ID; asked by POST, so that no ID is ever in a URL."""

    @property
    def place(self) -> str:
        """The area that a page begins with: the user's own; of whoever sees the nation, the table's first province."""
        return self.area or areas_below("", "province", business_today())[0]


Build = Callable[[Desk], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the console, reached from its menu. Roles that are not named do not see it."""

    path: str
    title: str
    icon: str
    build: Build
    roles: tuple[Role, ...] = OFFICIALS


@dataclass(frozen=True, slots=True)
class Panel:
    """A service's part of the page about one person."""

    title: str
    build: Callable[[Desk, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Work:
    """Something that waits for the signed-in role: what the list `path` holds under `query`, worked on at `page`.

    `{role}` in the query stands for the role.
    """

    title: str
    page: str
    roles: tuple[Role, ...]
    path: str
    query: Mapping[str, str] = field(default_factory=dict)


async def count_work(desk: Desk, work: Work) -> str:
    """How much of it there is in one's area; `500+` where a page of the list does not hold it all."""
    query = {key: value.format(role=desk.role) for key, value in work.query.items()}
    answer = await desk.rest.get(work.path, area=desk.area, limit=WORK_LIMIT, **query)
    return f"{WORK_LIMIT}+" if answer.get("next_cursor") else str(len(answer["items"]))


WORK_LIMIT = 500

Tone = str
"""One of `good`, `busy`, `bad`, `quiet`: how a word is coloured. The word itself always says it too."""

Words = Mapping[str, tuple[str, Tone]]
"""A status word → its Chinese and its tone."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: `show` turns the value into text; `words` makes it a coloured word instead.

    `numeric` stands right, `wide` may wrap; `link` is the address of a page of the console, with
    the row's fields in braces.
    """

    key: str
    label: str
    show: Callable[[Any], str] = field(default=lambda value: as_text(value))
    words: Words | None = None
    numeric: bool = False
    mono: bool = False
    wide: bool = False
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """One query parameter that the user may set: a choice among `options`, or free text."""

    key: str
    label: str
    options: Mapping[str, str] | None = None
    initial: str = ""
    hint: str = ""


def as_text(value: Any) -> str:
    return "—" if value is None or value == "" else str(value)


def as_yuan(amount_fen: Any) -> str:
    """Fen as yuan with separators: `1234567` → `12,345.67`."""
    if amount_fen is None:
        return "—"
    yuan, _, fen = yuan_text(int(amount_fen)).partition(".")
    return f"{int(yuan):,}.{fen}" if yuan != "-0" else f"-0.{fen}"


def as_area(code: Any) -> str:
    """An area's code with the name of the nearest area around it that the table names."""
    if not code:
        return "—"
    names = (name_of(around, business_today()) for around in reversed(lineage(str(code))))
    nearest = next((name for name in names if not name.isdigit()), "")
    return f"{nearest} {code}".strip()


def as_moment(text: Any) -> str:
    """A timestamp in Beijing time, to the minute."""
    return datetime.fromisoformat(text).astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M") if text else "—"


def as_short(identity: Any) -> str:
    """The head of a long identifier: enough to tell two apart."""
    text = as_text(identity)
    return text if len(text) <= 12 else f"{text[:11]}…"


def as_words(words: Words) -> Callable[[Any], str]:
    """A list of status words, or one, in Chinese."""

    def show(value: Any) -> str:
        values = value if isinstance(value, list) else [value]
        return "、".join(words.get(item, (as_text(item), ""))[0] for item in values) or "—"

    return show


def options_of(words: Words) -> dict[str, str]:
    """The words as a filter's options."""
    return {key: chinese for key, (chinese, _) in words.items()}


def area_filter(desk: Desk) -> Filter:
    """The area that a list is about: at first one's own."""
    return Filter("area", "地区代码", initial=desk.area, hint=full_name_of(desk.area, business_today()))


PERSON = Column("person_id", "人员", show=as_short, mono=True, link="/persons/{person_id}")
SHORT_SUBSIDIES: Words = {"living": ("生活补贴", "quiet"), "care": ("护理补贴", "quiet")}
SUBSIDIES: Words = {subsidy: (chinese, "quiet") for subsidy, chinese in SUBSIDY_NAMES.items()}


def heading(title: str, about: str = "") -> None:
    """The title of a page and one sentence on what it shows."""
    with ui.column().classes("lb-heading"):
        ui.label(title).classes("lb-title").props("role=heading aria-level=1")
        if about:
            ui.label(about).classes("lb-about")


def section(title: str) -> ui.column:
    """A titled card; use it as a context manager."""
    with ui.column().classes("lb-card") as card:
        ui.label(title).classes("lb-section").props("role=heading aria-level=2")
    return card


def board() -> ui.column:
    """A card that a table fills to its edges; use it as a context manager."""
    return ui.column().classes("lb-card lb-flush")


def problem(refusal: Refused) -> None:
    """A refusal, readable, where its answer would have stood."""
    with ui.row().classes("lb-problem").props("role=alert"):
        ui.icon("error_outline").props("aria-hidden=true")
        ui.label(str(refusal))


def table(columns: Sequence[Column], items: Sequence[Mapping[str, Any]], *, empty: str = "没有记录") -> ui.table:
    """A plain table of what a service answered."""
    made = ui.table(rows=[], columns=[_quasar_column(column) for column in columns], row_key="_row")
    made.classes("lb-table").props(f'flat dense no-data-label="{empty}" hide-pagination')
    made.add_slot("body-cell", _CELL)
    made.add_slot("no-data", '<span class="lb-about">{{ props.message }}</span>')
    fill(made, columns, items)
    return made


def fill(made: ui.table, columns: Sequence[Column], items: Sequence[Mapping[str, Any]]) -> None:
    """Shows other rows in a table that `table` made."""
    made.rows = [_row(number, columns, item) for number, item in enumerate(items)]


def facts(pairs: Sequence[tuple[str, str]], *, in_rows: bool = False) -> None:
    """Labelled values: in a grid, or one to a row where there is little room."""
    with ui.element("dl").classes("lb-rows" if in_rows else "lb-facts"):
        for label, value in pairs:
            with ui.element("div"):
                with ui.element("dt"):
                    ui.label(label)
                with ui.element("dd"):
                    ui.label(value)


@contextmanager
def dialog(title: str) -> Iterator[ui.dialog]:
    """A dialog under its title, with a way out; it opens at the end of the block."""
    with ui.dialog().props(f'aria-label="{title}"') as made, ui.card().classes("lb-dialog"):
        ui.label(title).classes("lb-section").props("role=heading aria-level=2")
        yield made
        ui.button("关闭", on_click=made.close).props("flat no-caps")
    made.open()


def subheading(title: str) -> None:
    """A heading inside a section."""
    ui.label(title).classes("lb-subheading").props("role=heading aria-level=3")


def word(value: str | None, words: Words) -> None:
    """One status word as a coloured badge."""
    chinese, tone = words.get(value or "", (as_text(value), "quiet"))
    ui.label(chinese).classes(f"lb-word lb-{tone}")


async def timeline(desk: Desk, person_id: str) -> None:
    """A service's part of a person's story, newest first: the panel of a service that has nothing better."""
    answer = await desk.rest.get(f"/v1/persons/{person_id}/timeline")
    told = [Column("at", "时间", show=as_moment), Column("what", "事项"), Column("detail", "说明", wide=True)]
    table(told, answer["items"], empty="没有相关记录")


def _quasar_column(column: Column) -> dict[str, Any]:
    return {
        "name": column.key,
        "label": column.label,
        "field": column.key,
        "align": "right" if column.numeric else "left",
        "classes": " ".join(name for name, on in (("lb-mono", column.mono), ("lb-wide-cell", column.wide)) if on),
    }


def _row(number: int, columns: Sequence[Column], item: Mapping[str, Any]) -> dict[str, Any]:
    """What the browser gets of a row: the shown columns as text, and the tones of its words. Nothing else."""
    row: dict[str, Any] = {"_row": number, "_tones": {}, "_links": {}}
    for column in columns:
        value = item.get(column.key)
        if column.words is not None:
            row[column.key], row["_tones"][column.key] = column.words.get(str(value), (as_text(value), "quiet"))
        else:
            row[column.key] = column.show(value)
        if column.link is not None and value:
            row["_links"][column.key] = column.link.format_map(item)
    return row


_CELL = """
<q-td :props="props">
  <span v-if="props.row._tones[props.col.name]" :class="'lb-word lb-' + props.row._tones[props.col.name]">
    {{ props.value }}
  </span>
  <a v-else-if="props.row._links[props.col.name]" :href="props.row._links[props.col.name]">{{ props.value }}</a>
  <template v-else>{{ props.value }}</template>
</q-td>
"""
