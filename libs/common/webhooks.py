"""Webhooks from outside parties, signed per Standard Webhooks."""

from __future__ import annotations

import binascii
from collections.abc import Mapping

from standardwebhooks import Webhook, WebhookVerificationError

from libs.common.errors import DomainError


class BadSignature(DomainError):
    """The webhook's signature or timestamp is not valid."""

    status = 401
    type = "bad-signature"


def verified(secrets: str, headers: Mapping[str, str], body: bytes) -> str:
    """The delivery's id, if one of the `secrets` (`whsec_…`, comma-separated) signed it within 5 minutes.

    `BadSignature`, whatever is wrong with it: a forger learns nothing.
    """
    for secret in filter(None, secrets.split(",")):
        try:
            Webhook(secret).verify(body, dict(headers), json_parse=False)
        except (WebhookVerificationError, ValueError, binascii.Error):
            continue
        return headers["webhook-id"]
    raise BadSignature
