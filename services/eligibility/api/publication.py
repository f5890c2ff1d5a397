"""What anybody may read of policy, without a login (notice 1.1)."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import Query
from fastapi.responses import HTMLResponse

from libs.common.areas import Area
from libs.common.clock import business_today
from libs.common.web import Tx, router
from services.eligibility.handlers.policies import load_policy
from services.eligibility.public_page import page

api = router(prefix="/v1/public", tags=["public"])


@api.get("/policy", response_class=HTMLResponse)
async def show_policy(
    tx: Tx, area: Annotated[Area, Query()], on: Annotated[date | None, Query()] = None
) -> HTMLResponse:
    """The policy of an area on a day as a page: standards, scope, materials, process, and what changed when."""
    return HTMLResponse(page(await load_policy(tx), area, on or business_today()))
