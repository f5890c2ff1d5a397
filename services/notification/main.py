"""Notification's composition root: `python -m services.notification.main`."""

from __future__ import annotations

from functools import partial

import httpx
from fastapi import FastAPI

from libs.common.daily import DailyTask
from libs.common.invariants import Invariant
from libs.common.privacy import Sealer
from libs.common.repeating import Repeating
from libs.common.service import Service, Worker, create_app, serve
from libs.common.settings import Settings
from services.notification import outcomes
from services.notification.api import messages, receipts, templates
from services.notification.handlers import entitlements, facts, persons
from services.notification.sending import Sending
from services.notification.sms import HttpSmsProvider
from services.notification.subscriptions import REBUILDABLES, subscriptions

INVARIANTS = [
    Invariant(
        "every message moves",
        "no message is in hand for more than an hour without an end or another try",
        "SELECT message_id, status, next_try_at FROM messages WHERE next_try_at < now() - interval '1 hour'",
    ),
    Invariant(
        "delivered reminders are told",
        "matching was told of every reminder that reached its person (outbox of the last six months)",
        "SELECT message_id, delivered_at FROM messages WHERE kind = 'reminder' AND status = 'delivered'"
        " AND subject_id IS NOT NULL AND delivered_at > now() - interval '6 months' AND NOT EXISTS"
        " (SELECT FROM outbox WHERE aggregate = 'reminder:' || messages.subject_id)",
    ),
    Invariant(
        "failures are told",
        "whoever asked for it was told of every message that failed (outbox of the last six months)",
        "SELECT message_id, reason FROM messages WHERE status = 'failed' AND created_at > now() - interval '6 months'"
        " AND NOT EXISTS (SELECT FROM outbox WHERE aggregate = 'message:' || messages.message_id)",
    ),
]


def build(settings: Settings) -> FastAPI:
    sealer = Sealer.parse(settings.sealing_keys)

    def texts_out(app: FastAPI) -> Worker:
        database, http = app.state.database, httpx.AsyncClient(timeout=settings.sms_timeout_s)
        provider = HttpSmsProvider(http, settings.sms_url, settings.sms_key) if settings.sms_url else None
        sending = Sending(database, sealer, provider, at_any_hour=settings.sms_at_any_hour)
        return Repeating("texts", database, sending.step, client=http)

    service = Service(
        name="notification",
        version="0.1.0",
        title="Liangbu notification (消息通知)",
        routers=[messages.api, templates.api, receipts.api],
        subscriptions=subscriptions(sealer),
        rebuildables=REBUILDABLES,
        listens_to=("intake", "matching", "eligibility", "disbursement"),
        bulk_from=("intake", "eligibility"),
        daily_tasks=[
            DailyTask("coming changes told", partial(entitlements.tell_coming_changes, sealer=sealer)),
            DailyTask("expiring certificates told", partial(facts.tell_expiries, sealer=sealer)),
            DailyTask("unsent texts made letters", outcomes.turn_unsent_into_letters),
            DailyTask("unconfirmed texts made letters", outcomes.turn_unconfirmed_into_letters),
            DailyTask("old phones forgotten", persons.forget_old_phones),
        ],
        invariants=INVARIANTS,
        workers=[texts_out],
    )
    app = create_app(service, settings)
    app.state.sealer = sealer
    return app


if __name__ == "__main__":
    serve("notification", build)
