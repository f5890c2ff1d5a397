"""The events that services tell each other: one file per producing service."""

from libs.common.events import disbursement, eligibility, intake, matching, notification

__all__ = ["disbursement", "eligibility", "intake", "matching", "notification"]
