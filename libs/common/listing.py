"""A list of a service as a page shows it: a table with filters and paging, whose rows are opened or ticked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from nicegui import ui

from libs.common.dashboard import Column, Desk, Filter, Refused, board, fill, problem, table

PAGE_ROWS = 20

OnChosen = Callable[[Sequence[Mapping[str, Any]], Callable[[], Awaitable[None]]], Awaitable[None]]
"""Gets the rows that the user ticked, and what loads the list again."""


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
