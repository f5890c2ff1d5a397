"""What a dashboard lets its user do: forms that a service takes or refuses, deeds behind a button, papers."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from nicegui import events, ui

from libs.common.dashboard import Desk, Refused, problem

Done = Callable[[], Awaitable[None] | None]
FORMS = {"pdf": "PDF", "xlsx": "Excel"}


@dataclass(frozen=True, slots=True)
class Field:
    """One input. `yuan` becomes fen, `number` a whole number; what is not `required` and left empty is not sent."""

    key: str
    label: str
    kind: Literal["text", "yuan", "number", "date", "month"] = "text"
    options: Mapping[str, str] | None = None
    initial: str = ""
    required: bool = True


def form(
    desk: Desk,
    path: str,
    fields: Sequence[Field],
    *,
    button: str,
    done: Done | None = None,
    body: Callable[[dict[str, Any]], Mapping[str, Any]] = dict,
    primary: bool = True,
    method: Literal["post", "put"] = "post",
) -> None:
    """Inputs and a button that sends them; `body` makes of the values what the service takes, or raises `Refused`.
    A refusal is shown below."""
    inputs: dict[str, Any] = {}
    with ui.row().classes("lb-filters"):
        for item in fields:
            inputs[item.key] = _input(item)
        sending = ui.button(button).props("unelevated no-caps" if primary else "outline no-caps")
    refused = ui.column().classes("w-full")

    async def send() -> None:
        refused.clear()
        try:
            values = {item.key: _value(item, inputs[item.key].value) for item in fields}
            given = body({key: value for key, value in values.items() if value is not None})
        except Refused as refusal:
            with refused:
                problem(refusal)
            return
        if await posted(desk, path, given, refused, method=method):
            ui.notify(f"{button}：已完成")
            await _call(done)

    sending.on_click(send)


def deed(desk: Desk, label: str, path: str, *, done: Done | None = None, sure: str = "", method: str = "post") -> None:
    """A button that posts without a body; `sure` is asked first."""
    refused = ui.column().classes("w-full")

    async def do() -> None:
        if sure and not await _is_sure(sure):
            return
        if await posted(desk, path, None, refused, method=method):
            ui.notify(f"{label}：已完成")
            await _call(done)

    ui.button(label, on_click=do).props("unelevated no-caps" if not sure else "outline no-caps")


def choice(options: Mapping[str, str], label: str) -> ui.select:
    """One of these, at first the first."""
    made = ui.select(dict(options), value=next(iter(options)), label=label).classes("lb-field")
    return made.props(f'outlined dense options-dense behavior=menu aria-label="{label}"')


def sending_file(
    send: Callable[[AsyncIterable[bytes], ui.column], Awaitable[None]], *, accept: str, most_mib: int, about: str
) -> None:
    """A button that has a file chosen and hands it to `send`, which says in the column what became of it, or raises
    `Refused`. `accept` are endings of names, `about` the same in words."""

    def say(what: Refused | str) -> None:
        answered.clear()
        with answered:
            problem(what) if isinstance(what, Refused) else ui.label(what)

    async def take(sent: events.UploadEventArguments) -> None:
        try:
            await send(sent.file.iterate(), answered)
        except Refused as refusal:
            say(refusal)

    largest = f"{most_mib >> 10} GB" if most_mib >= 1024 else f"{most_mib} MB"
    # Quasar's own buttons have no names: it stays hidden behind one that has.
    made = ui.upload(
        auto_upload=True, on_begin_upload=lambda: say("正在上传"), on_upload=take, max_file_size=most_mib << 20
    )
    made.on_rejected(lambda: say(Refused(f"文件超过 {largest} 或类型不符，没有上传")))
    made.on("failed", lambda: say(Refused("上传中断，没有保存任何内容，请重新选择文件上传")))
    made.props(f'accept="{accept}"').classes("hidden")
    choose = ui.button("选择文件", icon="upload_file").props("unelevated no-caps")
    choose.on("click", js_handler=f"() => getHtmlElement({made.id}).querySelector('input').click()")
    ui.label(f"{about}，最大 {largest}").classes("lb-about")
    answered = ui.column().classes("w-full")


def paper(desk: Desk, name: str, path: str, forms: Sequence[str] = ("pdf", "xlsx"), **query: object) -> None:
    """A paper's name with a button for each form that it can be had in; `path` is without the form."""
    with ui.row().classes("lb-paper"):
        ui.label(name)
        ui.space()
        for form_ in forms:
            _download_button(desk, name, f"{path}.{form_}", FORMS.get(form_, form_.upper()), form_, query)


async def posted(
    desk: Desk, path: str, body: Mapping[str, Any] | None, refused: ui.column, *, method: str = "post"
) -> bool:
    """Whether the service took it; if not, its reason stands in `refused`."""
    refused.clear()
    try:
        match method:
            case "delete":
                await desk.rest.delete(path)
            case "put":
                await desk.rest.put(path, body)
            case _:
                await desk.rest.post(path, body)
    except Refused as refusal:
        with refused:
            problem(refusal)
        return False
    return True


def fen_of(text: str, label: str) -> int:
    """Yuan as a user writes them, in fen. `Refused` names the label."""
    try:
        fen = Decimal(text.replace(",", "")) * 100
    except InvalidOperation:
        raise Refused(f"{label}应为金额（元）") from None
    if not fen.is_finite() or fen != fen.to_integral_value():
        raise Refused(f"{label}最多两位小数")
    return int(fen)


def _download_button(desk: Desk, name: str, path: str, label: str, form_: str, query: dict[str, object]) -> None:
    async def download() -> None:
        try:
            content = await desk.rest.download(path, **query)
        except Refused as refusal:
            ui.notify(str(refusal), type="negative")
            return
        ui.download.content(content, f"{name}.{form_}")

    ui.button(label, icon="download", on_click=download).props(f'flat dense no-caps aria-label="下载{name} {label}"')


def _input(item: Field) -> Any:
    props = f'outlined dense aria-label="{item.label}"'
    if item.options is not None:
        first = item.initial or next(iter(item.options), "")
        return (
            ui.select(dict(item.options), value=first, label=item.label)
            .props(f"{props} options-dense behavior=menu")
            .classes("lb-field")
        )
    example = {"date": "2026-03-31", "month": "2026-03"}.get(item.kind)
    made = ui.input(item.label, value=item.initial).props(props).classes("lb-field")
    return made.tooltip(f"例如 {example}") if example else made


def _value(item: Field, entered: Any) -> Any:
    text = str(entered or "").strip()
    if not text:
        if item.required:
            raise Refused(f"请填写{item.label}")
        return None
    if item.kind == "number":
        if not text.isdecimal():
            raise Refused(f"{item.label}应为整数")
        return int(text)
    if item.kind == "yuan":
        return fen_of(text, item.label)
    return text


async def _is_sure(question: str) -> bool:
    with ui.dialog().props('aria-label="请确认"') as dialog, ui.card().classes("lb-dialog"):
        ui.label(question)
        with ui.row():
            ui.button("确定", on_click=lambda: dialog.submit(True)).props("unelevated no-caps")
            ui.button("取消", on_click=lambda: dialog.submit(False)).props("flat no-caps")
    return bool(await dialog)


async def _call(done: Done | None) -> None:
    if done is not None:
        result = done()
        if result is not None:
            await result
