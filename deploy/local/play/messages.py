"""What persons were told in the county, once nothing is on its way any more."""

from __future__ import annotations

from collections import Counter

from deploy.local.play.stage import Stage, until

_ENDS = {"letter_due": "to hand over", "suppressed": "not sent to the dead"}
_ON_ITS_WAY = ("queued", "sending", "sent")


async def messages_told(stage: Stage) -> Counter[tuple[str, str]]:
    """How many messages by medium and status. Raises `NeverHappened` if some stay on their way."""

    async def ended() -> Counter[tuple[str, str]] | None:
        answer = await stage.rest.get("notification", "/v1/message-statistics", stage.officials.auditor)
        counted: Counter[tuple[str, str]] = Counter()
        for item in answer["items"]:
            counted[item["medium"], item["status"]] += item["messages"]
        return None if any(status in _ON_ITS_WAY for _, status in counted) else counted

    return await until(ended, "every message to reach its phone or to become a letter")


def messages_line(told: Counter[tuple[str, str]]) -> str:
    """The counts as a line of the summary."""
    parts = [f"{count} by {medium} {_ENDS.get(status, status)}" for (medium, status), count in sorted(told.items())]
    return "messages to persons: " + (", ".join(parts) or "none")
