"""How often something may be asked. Counted in this process: with several replicas each allows as much."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from services.intake.errors import TooManyRequests

_MOST_KEYS = 10_000
"""Then the oldest are forgotten, so that inventing keys cannot fill the memory."""


class RateLimit:
    """At most `times` in `window_s` seconds for each key. `clock` tells seconds that never go back."""

    def __init__(self, times: int, window_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._times = times
        self._window_s = window_s
        self._clock = clock
        self._taken: dict[str, deque[float]] = {}

    def take(self, key: str) -> None:
        """Counts one; TooManyRequests when there is no room."""
        self.require_room(key)
        taken = self._taken.pop(key, deque())
        taken.append(self._clock())
        self._taken[key] = taken  # now the newest
        while len(self._taken) > _MOST_KEYS:
            self._taken.pop(next(iter(self._taken)))

    def require_room(self, key: str) -> None:
        """TooManyRequests, with the seconds to wait, when `take` would find no room."""
        taken, now = self._taken.get(key, deque()), self._clock()
        while taken and taken[0] <= now - self._window_s:
            taken.popleft()
        if len(taken) >= self._times:
            raise TooManyRequests(retry_after_s=int(taken[0] + self._window_s - now) + 1)


class Throttle:
    """At most `per_minute` for each key, evenly; what was not used may come at once. Told by one number a key."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._apart_s = 60.0 / per_minute
        self._clock = clock
        self._free_at: dict[str, float] = {}

    def take(self, key: str, count: int = 1) -> None:
        """Counts `count`; TooManyRequests, with the seconds to wait, when a minute's worth is used up."""
        now = self._clock()
        free_at = max(self._free_at.pop(key, now), now)
        if free_at - now + self._apart_s > 60.0:
            self._free_at[key] = free_at
            raise TooManyRequests(retry_after_s=int(free_at - now + self._apart_s - 60.0) + 1)
        self._free_at[key] = free_at + count * self._apart_s  # now the newest
        while len(self._free_at) > _MOST_KEYS:
            self._free_at.pop(next(iter(self._free_at)))
