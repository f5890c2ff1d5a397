"""What notification tells: what reached people and what did not."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from libs.common.events.envelope import EventData, event


@event
class ReminderDelivered(EventData):
    """The outreach reminder of notice 1 reached the person, by SMS or by letter."""

    type: ClassVar[str] = "reminder.delivered.v1"
    producer: ClassVar[str] = "notification"

    outreach_id: UUID
    message_id: UUID
    medium: Literal["sms", "letter"]
    delivered_at: datetime

    @property
    def aggregate(self) -> str:
        return f"reminder:{self.outreach_id}"


@event
class MessageFailed(EventData):
    type: ClassVar[str] = "message.failed.v1"
    producer: ClassVar[str] = "notification"

    message_id: UUID
    kind: str
    reason: str

    @property
    def aggregate(self) -> str:
        return f"message:{self.message_id}"
