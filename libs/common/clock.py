"""The one place that reads the wall clock. Domain code gets its dates as arguments; routes ask here."""

from __future__ import annotations

from datetime import UTC, date, datetime

from libs.common.period import business_date


def utc_now() -> datetime:
    return datetime.now(UTC)


def business_today() -> date:
    """Today's Asia/Shanghai date: when something happened that comes without a date of its own."""
    return business_date(utc_now())
