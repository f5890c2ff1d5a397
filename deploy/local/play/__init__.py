"""The sample county played through several months, over REST only, as its officials would work.

Every call carries an idempotency key that follows from the county and the deed, so that a play that was interrupted is
simply played again. What must come of it is checked as it goes (`expectations`).
"""

from deploy.local.play.story import play_county

__all__ = ["play_county"]
