"""Logs and metrics. Neither holds personal data: they name persons by `person_id` at most, and never in a metric."""

from __future__ import annotations

import logging
import sys

import structlog
from prometheus_client import Counter, Gauge, Histogram
from structlog.typing import Processor

REQUESTS = Histogram("liangbu_http_request_seconds", "Duration of requests", ["service", "method", "route", "status"])
EVENTS_CONSUMED = Counter("liangbu_events_consumed_total", "Events that took effect", ["projection", "type"])
EVENTS_REPEATED = Counter("liangbu_events_repeated_total", "Deliveries of an event already seen", ["projection"])
DEAD_LETTERS = Counter("liangbu_dead_letters_total", "Events set aside", ["projection"])
CONSUMER_RENEWALS = Counter("liangbu_consumer_renewals_total", "Consumers renewed after a fault", ["projection"])
OUTBOX_PUBLISHED = Counter("liangbu_outbox_published_total", "Events acknowledged by the broker", ["service"])
DAILY_TASK_DONE = Gauge("liangbu_daily_task_timestamp_seconds", "When a daily task was last done", ["service", "task"])
DAILY_TASK_FAILURES = Counter("liangbu_daily_task_failures_total", "Daily tasks that failed", ["service", "task"])
INVARIANT_BROKEN = Gauge("liangbu_invariant_broken_rows", "Rows that break an invariant, up to 10", ["service", "name"])
WATERMARK_AGE = Gauge("liangbu_watermark_timestamp_seconds", "The last watermark told", ["service"])


def configure_logging(service: str, level: str) -> None:
    """JSON lines on standard output, through structlog, libraries' own logs included."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in ("aiokafka", "uvicorn.access", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(service=service)
