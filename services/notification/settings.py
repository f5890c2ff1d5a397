"""Notification's settings, besides those of every process."""

from __future__ import annotations

from pydantic import Field

from libs.common.settings import Settings


class NotificationSettings(Settings):
    """Without a provider messages are made and stay `queued`: nothing claims to have been sent."""

    sms_url: str = Field(default="", description="base address of the SMS provider; empty: none")
    sms_key: str = Field(default="", description="bearer key that the provider gave")
    sms_timeout_s: float = 10.0
