"""Disbursement: pays what eligibility says is due, once, to the right account, and keeps the books of it."""

from __future__ import annotations

from datetime import date

from fastapi import FastAPI
from sqlalchemy import text

from libs.common.daily import DailyTask
from libs.common.database import Transaction
from libs.common.privacy import Sealer
from libs.common.service import Service, Worker, create_app, serve
from libs.common.settings import Settings
from services.disbursement.api import (
    bankfiles,
    batches,
    closings,
    cycles,
    extracts,
    heirs,
    institutions,
    papers,
    payments,
    reconciliations,
    recoveries,
    restores,
    schedules,
    statistics,
    tolerance,
    uploads,
    webhooks,
    work_funds,
)
from services.disbursement.bank import Bank, OneCardPlatform
from services.disbursement.handlers.deliveries import Door
from services.disbursement.handlers.lifting import UPSTREAMS
from services.disbursement.handlers.paid_up import note_everybody_paid_up
from services.disbursement.handlers.recoveries import alarm_plans_behind
from services.disbursement.handlers.rosters import forget_old_rosters
from services.disbursement.invariants import INVARIANTS
from services.disbursement.national import NationalSystem, StatisticsReceiver
from services.disbursement.subscriptions import REBUILDABLES, subscriptions
from services.disbursement.workers import Following, Sending


def build(settings: Settings, bank: Bank | None = None, national: StatisticsReceiver | None = None) -> FastAPI:
    """The service. A test may give it another bank or national system than those of the settings."""
    sealer = Sealer.parse(settings.sealing_keys)
    app = create_app(_service(sealer), settings)
    app.state.sealer = sealer
    app.state.door = Door(app.state.database)
    app.state.bank = bank or OneCardPlatform(
        settings.onecard_url,
        client_id=settings.onecard_client_id,
        client_secret=settings.onecard_client_secret,
        timeout_s=settings.bank_timeout_s,
    )
    app.state.sending = Sending(app.state.database, settings, sealer, app.state.bank)
    url = settings.national_statistics_url
    app.state.national = national or (NationalSystem(url, timeout_s=settings.bank_timeout_s) if url else None)
    return app


def _service(sealer: Sealer) -> Service:
    return Service(
        name="disbursement",
        version="0.1.0",
        title="Liangbu disbursement 发放",
        routers=[
            cycles.api,
            papers.api,
            bankfiles.api,
            batches.bank_side,
            payments.api,
            recoveries.api,
            recoveries.statistics,
            heirs.api,
            reconciliations.bank_side,
            reconciliations.api,
            closings.api,
            extracts.api,
            restores.api,
            schedules.api,
            statistics.api,
            uploads.national_side,
            uploads.api,
            institutions.listed,
            institutions.api,
            tolerance.api,
            work_funds.api,
            webhooks.api,
        ],
        subscriptions=subscriptions(sealer),
        rebuildables=REBUILDABLES,
        listens_to=UPSTREAMS,
        bulk_from=("intake", "eligibility"),
        daily_tasks=[
            DailyTask("forgotten webhook deliveries", _forget_webhook_deliveries),
            DailyTask("late payments", schedules.alarm_late_payments),
            DailyTask("plans of recovery", alarm_plans_behind),
            DailyTask("rosters of others", forget_old_rosters),
            DailyTask("who is paid up", note_everybody_paid_up),
        ],
        invariants=INVARIANTS,
        workers=[_preparing, _handing_over, _following, _closing],
    )


def _preparing(app: FastAPI) -> Worker:
    sending: Sending = app.state.sending
    return sending.preparing


def _handing_over(app: FastAPI) -> Worker:
    sending: Sending = app.state.sending
    return sending.handing_over


def _following(app: FastAPI) -> Worker:
    return _results(app).following()


def _closing(app: FastAPI) -> Worker:
    return _results(app).closing()


def _results(app: FastAPI) -> Following:
    return Following(app.state.database, app.state.settings, app.state.bank)


async def _forget_webhook_deliveries(tx: Transaction, as_of: date) -> int:
    """A repeat older than this is refused by its timestamp anyway, and would change nothing."""
    gone = await tx.connection.execute(
        text("DELETE FROM webhook_deliveries WHERE received_at < CAST(:as_of AS date) - interval '30 days'"),
        {"as_of": as_of},
    )
    return gone.rowcount


if __name__ == "__main__":
    serve("disbursement", build)
