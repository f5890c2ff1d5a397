"""Ports for what tests start."""

from __future__ import annotations

import secrets

from deploy.local.processes import accepts_connections
from libs.common.settings import PORT_OFFSETS


def free_base_port() -> int:
    """A base of ports where nobody listens, below the range from which systems give ports to whoever connects."""
    while True:
        base = 10_000 + secrets.randbelow(1_000) * 20
        if not any(accepts_connections(base + offset) for offset in PORT_OFFSETS.values()):
            return base
