"""Intake: the door through which people come in. Applications, reviews, archives, persons and their payees."""

from __future__ import annotations

from collections.abc import Callable

import httpx
from fastapi import FastAPI

from libs.common.daily import DailyTask
from libs.common.repeating import Repeating
from libs.common.service import Service, Worker, create_app, serve
from libs.common.settings import Settings
from services.intake.api import (
    applications,
    archives,
    bulk,
    objections,
    papers,
    persons,
    places,
    public,
    publications,
    registers,
    roster_imports,
    spot_checks,
    statistics,
    webhooks,
)
from services.intake.handlers.certificates import follow_awaited_certificates
from services.intake.handlers.escalations import escalate_what_is_late
from services.intake.handlers.persons import tell_who_came_of_age
from services.intake.handlers.publications import publish_what_changed
from services.intake.handlers.registers import follow_registers
from services.intake.handlers.roster_imports import RosterReading
from services.intake.handlers.store_checks import check_due, remove_strays
from services.intake.invariants import INVARIANTS
from services.intake.national import NATIONAL_TIMEOUT_S, HttpNationalArchive
from services.intake.rate import RateLimit, Throttle
from services.intake.stores import TwoStores
from services.intake.subscriptions import REBUILDABLES, subscriptions
from services.intake.vault import Vault
from services.intake.workers import WEBHOOK_TIMEOUT_S, NationalUploads, PartnerWebhooks


def build(settings: Settings) -> FastAPI:
    vault = Vault.of(settings)
    stores = TwoStores.of(settings)
    service = Service(
        name="intake",
        version="0.1.0",
        title="Liangbu intake",
        routers=[
            applications.foreseen,
            bulk.streamed,
            roster_imports.streamed,
            roster_imports.api,
            applications.api,
            archives.api,
            archives.streamed,
            places.api,
            spot_checks.api,
            statistics.api,
            persons.api,
            registers.api,
            objections.api,
            public.api,
            papers.api,
            papers.public,
            publications.api,
            publications.public,
            webhooks.api,
        ],
        subscriptions=subscriptions(vault),
        rebuildables=REBUILDABLES,
        upstreams=("matching",),
        listens_to=("eligibility", "matching"),
        bulk_from=("eligibility",),
        daily_tasks=[
            DailyTask("tell who came of age", lambda tx, as_of: tell_who_came_of_age(tx, vault, as_of)),
            DailyTask("follow certificates", lambda tx, as_of: follow_awaited_certificates(tx, vault, as_of)),
            DailyTask("follow registers", lambda tx, as_of: follow_registers(tx, vault, as_of)),
            DailyTask("escalate what is late", escalate_what_is_late),
            DailyTask("publish what changed", publish_what_changed),
            DailyTask("read archives back", lambda tx, as_of: check_due(tx, stores, vault, as_of)),
            DailyTask("remove strays of archives", lambda tx, as_of: remove_strays(tx, stores, as_of)),
        ],
        workers=_workers(settings, vault, stores),
        invariants=INVARIANTS,
        # What lies below an application is small too, but for documents with the envelope of their form.
        larger_bodies={
            "/v1/applications/bulk": bulk.LARGEST_BYTES,
            "/v1/roster-imports": roster_imports.LARGEST_BYTES,
            "/v1/applications/": settings.archive_document_bytes + (64 << 10),
        },
    )
    app = create_app(service, settings)
    app.state.vault = vault
    app.state.stores = stores
    app.state.roster_reading = RosterReading(app.state.database, stores, vault)
    app.state.partner_throttle = Throttle(settings.partner_requests_per_minute)
    app.state.progress_limit = RateLimit(times=60, window_s=60.0)
    app.state.receipt_limit = RateLimit(times=5, window_s=900.0)
    return app


def _workers(settings: Settings, vault: Vault, stores: TwoStores) -> list[Callable[[FastAPI], Worker]]:
    def webhooks_out(app: FastAPI) -> Worker:
        client = httpx.AsyncClient(timeout=WEBHOOK_TIMEOUT_S)
        database = app.state.database
        deliveries = PartnerWebhooks(database, vault, client)
        return Repeating("partner webhooks", database, deliveries.deliver_due, client=client)

    def national_uploads(app: FastAPI) -> Worker:
        client = httpx.AsyncClient(timeout=NATIONAL_TIMEOUT_S)
        national = HttpNationalArchive(settings.national_archive_url, client)
        uploads = NationalUploads(app.state.database, stores, vault, national)
        return Repeating("national uploads", app.state.database, uploads.upload_due, client=client)

    def rosters_taken_over(app: FastAPI) -> Worker:
        return Repeating("rosters taken over", app.state.database, app.state.roster_reading.step)

    always: list[Callable[[FastAPI], Worker]] = [webhooks_out, rosters_taken_over]
    return [*always, national_uploads] if settings.national_archive_url else always


if __name__ == "__main__":
    serve("intake", build)
