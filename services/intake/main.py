"""Intake: the door through which people come in. Applications, reviews, archives, persons and their payees."""

from __future__ import annotations

from fastapi import FastAPI

from libs.common.service import Service, create_app, serve
from libs.common.settings import Settings
from services.intake.api import applications
from services.intake.invariants import INVARIANTS
from services.intake.subscriptions import subscriptions
from services.intake.vault import Vault


def build(settings: Settings) -> FastAPI:
    vault = Vault.of(settings)
    service = Service(
        name="intake",
        version="0.1.0",
        title="Liangbu intake",
        routers=[applications.api],
        subscriptions=subscriptions(vault),
        listens_to=("eligibility",),
        bulk_from=("eligibility",),
        invariants=INVARIANTS,
    )
    app = create_app(service, settings)
    app.state.vault = vault
    return app


if __name__ == "__main__":
    serve("intake", build)
