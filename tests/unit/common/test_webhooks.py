"""Webhooks of outside parties: who signed one, while keys change."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from libs.common.webhooks import BadSignature, verified

OLD, NEW, FORGED = (f"whsec_{b64encode(word * 8).decode()}" for word in (b"old.", b"new.", b"fake"))
BODY = json.dumps({"type": "payment.settled"})


def signed(secret: str) -> dict[str, str]:
    now = datetime.now(UTC)
    signature = Webhook(secret).sign("m1", now, BODY)
    return {"webhook-id": "m1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}


def test_while_a_key_is_rotated_the_old_and_the_new_one_are_good() -> None:
    for secret in (OLD, NEW):
        assert verified(f"{NEW},{OLD}", signed(secret), BODY.encode()) == "m1"


@pytest.mark.parametrize("accepted", [NEW, ""])
def test_once_it_is_rotated_the_old_key_is_not(accepted: str) -> None:
    for secret in (OLD, FORGED):
        with pytest.raises(BadSignature):
            verified(accepted, signed(secret), BODY.encode())
