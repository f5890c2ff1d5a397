"""What a service's `dashboard.py` is made of: its pages in the console, and the parts that they are built from.

A dashboard imports this module and NiceGUI, and nothing of its service: it knows its service by REST alone, with the
signed-in user's own token, so that no page can do what the API refuses.

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

from libs.common.areas import full_name_of, lineage, name_of
from libs.common.auth import OFFICIALS, Role
from libs.common.clock import business_today
from libs.common.money import yuan_text
from libs.common.period import SHANGHAI

PAGE_ROWS = 20

ROLE_NAMES: dict[Role, str] = {
    "partner": "合作系统",
    "township": "乡镇（街道）",
    "cdpf": "残联",
    "civil_affairs": "民政",
    "finance": "财政",
    "auditor": "审计",
    "admin": "系统管理",
}


class Refused(Exception):
    """A service refused a request or did not answer; the text is a sentence for the user.

    `status` is the HTTP status, None when there was no answer.
    """

    def __init__(self, sentence: str, status: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status


OnChosen = Callable[[Sequence[Mapping[str, Any]], Callable[[], Awaitable[None]]], Awaitable[None]]
"""Gets the rows that the user ticked, and what loads the list again."""


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
SUBSIDIES: Words = {"living": ("困难残疾人生活补贴", "quiet"), "care": ("重度残疾人护理补贴", "quiet")}


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


async def listing(
    desk: Desk,
    path: str,
    columns: Sequence[Column],
    filters: Sequence[Filter] = (),
    *,
    empty: str = "没有符合条件的记录",
    on_open: Callable[[Mapping[str, Any]], Awaitable[None]] | None = None,
    on_chosen: tuple[str, OnChosen] | None = None,
) -> None:
    """A list endpoint (`{items, next_cursor}`) as a table with filters and paging; `on_open` gets the opened row.
    `on_chosen`: what a button does with the rows ticked, and how it is called."""
    await _Listing(desk, path, columns, filters, empty, on_open, on_chosen).show()


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


class _Listing:
    def __init__(
        self,
        desk: Desk,
        path: str,
        columns: Sequence[Column],
        filters: Sequence[Filter],
        empty: str,
        on_open: Callable[[Mapping[str, Any]], Awaitable[None]] | None,
        on_chosen: tuple[str, OnChosen] | None,
    ) -> None:
        self._desk, self._path, self._columns, self._filters = desk, path, columns, filters
        self._empty, self._on_open, self._on_chosen = empty, on_open, on_chosen
        # An address may name what to show: `/messages?status=letter_due`.
        given = ui.context.client.request.query_params
        self._asked: dict[str, Any] = {item.key: given.get(item.key, item.initial) for item in filters}
        self._cursors: list[str | None] = [None]
        self._next: str | None = None
        self._items: list[Mapping[str, Any]] = []

    async def show(self) -> None:
        self._bar()
        self._problem = ui.column().classes("w-full")
        with board():
            self._table = table(self._columns, [], empty=self._empty)
            if self._on_open is not None:
                self._table.columns = [
                    *self._table.columns,
                    {"name": "_open", "label": "操作", "field": "_row", "align": "right"},
                ]
                self._table.add_slot("body-cell-_open", _OPEN_CELL)
                self._table.on("open", self._open)
            if self._on_chosen is not None:
                self._table.set_selection("multiple")
                self._table.add_slot("header-selection", _TICK_ALL)
                self._table.add_slot("body-selection", _TICK_ONE)
            with ui.row().classes("lb-pager"):
                if self._on_chosen is not None:
                    ui.button(self._on_chosen[0], icon="done_all", on_click=self._choose).props(
                        "outline no-caps"
                    ).bind_enabled_from(self._table, "selected", backward=bool)
                self._place = ui.label().classes("lb-about").props("role=status")
                ui.space()
                self._back = ui.button("上一页", icon="chevron_left", on_click=self._previous_page).props(
                    "flat no-caps"
                )
                self._forward = ui.button("下一页", on_click=self._next_page).props(
                    "flat no-caps icon-right=chevron_right"
                )
        await self._load()

    def _bar(self) -> None:
        if not self._filters:
            return
        with ui.row().classes("lb-filters").props("role=search"):
            for item in self._filters:
                self._control(item)
            ui.button("查询", icon="search", on_click=self._ask).props("unelevated no-caps")

    def _control(self, item: Filter) -> None:
        def note(event: Any) -> None:
            self._asked[item.key] = event.value or ""

        if item.options is not None:
            ui.select({"": "全部", **item.options}, value=self._chosen(item), label=item.label, on_change=note).props(
                f'outlined dense aria-label="{item.label}" options-dense behavior=menu'
            ).classes("lb-field")
        else:
            field_ = (
                ui.input(item.label, value=self._asked[item.key], on_change=note)
                .props("outlined dense")
                .classes("lb-field")
            )
            field_.on("keydown.enter", self._ask)
            if item.hint:
                field_.tooltip(item.hint)

    def _chosen(self, item: Filter) -> str:
        """An address may also name what is no choice: then all are shown."""
        if self._asked[item.key] not in (item.options or {}):
            self._asked[item.key] = ""
        return str(self._asked[item.key])

    async def _ask(self) -> None:
        self._cursors = [None]
        await self._load()

    async def _next_page(self) -> None:
        self._cursors.append(self._next)
        await self._load()

    async def _previous_page(self) -> None:
        self._cursors.pop()
        await self._load()

    async def _load(self) -> None:
        self._problem.clear()
        try:
            answer = await self._desk.rest.get(self._path, **self._asked, limit=PAGE_ROWS, cursor=self._cursors[-1])
        except Refused as refusal:
            answer = {"items": [], "next_cursor": None}
            with self._problem:
                problem(refusal)
        self._items, self._next = answer["items"], answer.get("next_cursor")
        self._table.selected = []
        fill(self._table, self._columns, self._items)
        self._place.text = f"第 {len(self._cursors)} 页，本页 {len(self._items)} 条"
        self._back.set_enabled(len(self._cursors) > 1)
        self._forward.set_enabled(self._next is not None)

    async def _choose(self) -> None:
        self._problem.clear()
        if self._on_chosen is not None:
            await self._on_chosen[1]([self._items[row["_row"]] for row in self._table.selected], self._load)

    async def _open(self, event: Any) -> None:
        self._problem.clear()
        try:
            if self._on_open is not None:
                await self._on_open(self._items[event.args["_row"]])
        except Refused as refusal:
            with self._problem:
                problem(refusal)


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

_TICK_ALL = '<q-checkbox dense v-model="props.selected" aria-label="全选本页" />'
_TICK_ONE = """
<q-checkbox dense aria-label="选择此行" :model-value="props.selected"
  @update:model-value="(ticked, event) => Object.getOwnPropertyDescriptor(props, 'selected').set(ticked, event)" />
"""
"""Quasar's own boxes have no name for whoever does not see them."""

_OPEN_CELL = """
<q-td :props="props" class="text-right">
  <q-btn flat dense no-caps color="primary" label="查看" class="lb-open"
    @click="$parent.$emit('open', {_row: props.row._row})" />
</q-td>
"""
