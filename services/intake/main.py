"""Intake: the door through which people come in. Applications, reviews, archives, persons and their payees."""

from __future__ import annotations

from fastapi import FastAPI

from libs.common.operations import DailyTask
from libs.common.service import Service, create_app, serve
from libs.common.settings import Settings
from services.intake.api import applications, archives, objections, persons, public
from services.intake.archives import LARGEST_BYTES
from services.intake.handlers.persons import tell_who_came_of_age
from services.intake.invariants import INVARIANTS
from services.intake.rate import RateLimit
from services.intake.subscriptions import subscriptions
from services.intake.vault import Vault


def build(settings: Settings) -> FastAPI:
    vault = Vault.of(settings)
    service = Service(
        name="intake",
        version="0.1.0",
        title="Liangbu intake",
        routers=[applications.api, archives.api, persons.api, objections.api, public.api],
        subscriptions=subscriptions(vault),
        listens_to=("eligibility",),
        bulk_from=("eligibility",),
        daily_tasks=[DailyTask("tell who came of age", lambda tx, as_of: tell_who_came_of_age(tx, vault, as_of))],
        invariants=INVARIANTS,
        # What lies below an application is small too, but for documents with the envelope of their form.
        larger_bodies={"/v1/applications/": LARGEST_BYTES + (64 << 10)},
    )
    app = create_app(service, settings)
    app.state.vault = vault
    app.state.progress_limit = RateLimit(times=60, window_s=60.0)
    app.state.receipt_limit = RateLimit(times=5, window_s=900.0)
    return app


if __name__ == "__main__":
    serve("intake", build)
