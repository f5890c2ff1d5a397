from __future__ import annotations

from datetime import datetime

import pytest

from libs.common.parameters import Parameters
from libs.common.period import SHANGHAI
from services.notification.parameters import BROUGHT, quiet_until


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-03-02 07:59", "2026-03-02 08:00"),
        ("2026-03-02 08:00", None),
        ("2026-03-02 20:59", None),
        ("2026-03-02 21:00", "2026-03-03 08:00"),
        ("2026-12-31 23:30", "2027-01-01 08:00"),
    ],
)
def test_nobody_is_written_to_between_nine_in_the_evening_and_eight_in_the_morning_in_beijing(
    now: str, until: str | None
) -> None:
    def moment(text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)

    assert quiet_until(Parameters(BROUGHT), "530102", moment(now)) == (until and moment(until))
