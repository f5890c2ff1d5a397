"""A paper as the answer to a request."""

from __future__ import annotations

import asyncio
from typing import Literal

from starlette.responses import Response

from libs.common.papers.printing import Paper, print_pdf, show_html

Form = Literal["pdf", "html"]

_HTML_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


async def answer_with(paper: Paper, form: Form) -> Response:
    """The paper in that form; kept by no cache, for it names a person or is made from data that change."""
    headers = {"Cache-Control": "no-store", "Content-Disposition": "inline"}
    if form == "html":
        return Response(show_html(paper), media_type="text/html", headers=headers | _HTML_HEADERS)
    printed = await asyncio.to_thread(print_pdf, paper)
    return Response(printed, media_type="application/pdf", headers=headers)
