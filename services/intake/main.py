"""Intake: the door through which people come in. Applications, reviews, archives, persons and their payees."""

from __future__ import annotations

from fastapi import FastAPI

from libs.common.operations import DailyTask
from libs.common.service import Service, create_app, serve
from libs.common.settings import Settings
from services.intake.api import applications, archives, objections, persons, places, public
from services.intake.handlers.escalations import escalate_what_is_late
from services.intake.handlers.persons import tell_who_came_of_age
from services.intake.handlers.store_checks import check_due
from services.intake.invariants import INVARIANTS
from services.intake.rate import RateLimit
from services.intake.stores import TwoStores
from services.intake.subscriptions import subscriptions
from services.intake.vault import Vault


def build(settings: Settings) -> FastAPI:
    vault = Vault.of(settings)
    stores = TwoStores.of(settings)
    service = Service(
        name="intake",
        version="0.1.0",
        title="Liangbu intake",
        routers=[
            applications.api,
            archives.api,
            archives.streamed,
            places.api,
            persons.api,
            objections.api,
            public.api,
        ],
        subscriptions=subscriptions(vault),
        listens_to=("eligibility",),
        bulk_from=("eligibility",),
        daily_tasks=[
            DailyTask("tell who came of age", lambda tx, as_of: tell_who_came_of_age(tx, vault, as_of)),
            DailyTask("escalate what is late", escalate_what_is_late),
            DailyTask("read archives back", lambda tx, as_of: check_due(tx, stores, vault, as_of)),
        ],
        invariants=INVARIANTS,
        # What lies below an application is small too, but for documents with the envelope of their form.
        larger_bodies={"/v1/applications/": settings.archive_document_bytes + (64 << 10)},
    )
    app = create_app(service, settings)
    app.state.vault = vault
    app.state.stores = stores
    app.state.progress_limit = RateLimit(times=60, window_s=60.0)
    app.state.receipt_limit = RateLimit(times=5, window_s=900.0)
    return app


if __name__ == "__main__":
    serve("intake", build)
