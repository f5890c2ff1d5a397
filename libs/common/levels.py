"""How severe a disability is. Apart from the word lists: processes that start for one piece of work read those, and
what Pydantic takes to import is a quarter of their start."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Level = Annotated[int, Field(ge=1, le=4, description="1 is the most severe")]
