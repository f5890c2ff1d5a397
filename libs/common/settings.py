"""Settings: environment variables `LIANGBU_*`, each with a default that suits the embedded run."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What a process of any service needs to know. Durations are seconds (`_s`), sizes are bytes."""

    model_config = SettingsConfigDict(env_prefix="LIANGBU_", extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(default=8000, description="base port; each service adds its own offset")
    listen_port: int | None = Field(default=None, description="the port of this process, where it is not base + offset")
    roles: str = Field(default="api,relay,consumer,worker", description="what this process does, comma-separated")
    log_level: str = "INFO"

    database_url: str = "postgresql+asyncpg://postgres@127.0.0.1:5432/liangbu"
    database_pool_size: int = Field(default=14, description="connections of one process; five services share 100")

    kafka_bootstrap: str = "127.0.0.1:9092"
    kafka_partitions: int = Field(default=2, description="of every topic; fixed once topics exist")
    kafka_replication: int = 1
    kafka_idempotence: bool = Field(default=False, description="on for Apache Kafka; the embedded broker cannot")
    kafka_fetch_wait_ms: int = Field(
        default=40, description="longest wait of an empty fetch; the embedded broker looks for news twice in that time"
    )
    kafka_static_members: bool = Field(default=True, description="a restarted replica keeps its partitions")
    kafka_group_suffix: str = Field(default="", description="lets a test read under a group of its own")
    worker_id: str = Field(default="0", description="ordinal of this replica: the static Kafka group instance id")

    daily_run_hour: int = Field(
        default=2, ge=-1, le=23, description="of Asia/Shanghai, when the daily run begins; -1: only by REST"
    )

    outbox_poll_s: float = 0.1
    watermark_interval_s: float = 1.0
    consumer_silence_s: float = Field(default=15.0, description="a consumer that hears nothing this long is renewed")
    body_limit: int = 1 << 20
    idempotency_days: int = 7
    idempotency_wait_s: float = 5.0

    jwt_issuer: str = "liangbu-embedded"
    jwt_public_key: str | None = Field(default=None, description="PEM of the embedded issuer's Ed25519 public key")
    jwks_url: str | None = Field(default=None, description="of an OpenID provider, instead of jwt_public_key")

    person_keys: str = Field(default="", description="`version:hex`, current first; intake and matching only")
    sealing_keys: str = Field(default="", description="`id:hex of 16 bytes`, comma-separated, current first")

    engine: str = Field(default="in-process", description="for bulk evaluation; or a Spark master: spark://…, local[2]")
    engine_memory: str = Field(default="2GB", description="of DuckDB in comparisons; beyond it, it spills to disk")
    feed_store: str = Field(
        default="", description="address (`s3://bucket/folder`) where feeds are kept for good; empty: in data_dir alone"
    )

    data_dir: Path = Field(default=Path(".liangbu/data"), description="folder of feeds and of what was compared")

    archive_stores: str = Field(
        default="",
        description="two addresses of archives (`s3://…`, folders), comma-separated; else folders in data_dir",
    )
    archive_document_bytes: int = Field(default=8 << 20, description="of one document of an archive")
    national_archive_url: str = Field(
        default="", description="of the national system's intake of documents; empty: none"
    )
    national_statistics_url: str = Field(default="", description="of its intake of monthly tables; empty: none")
    partner_requests_per_minute: int = Field(default=30_000, description="of one partner, in one process")

    onecard_url: str = "http://127.0.0.1:8010"
    onecard_client_id: str = "liangbu"
    onecard_client_secret: str = ""
    onecard_webhook_url: str = "http://127.0.0.1:8004/webhooks/onecard"
    onecard_webhook_secrets: str = Field(default="", description="`whsec_…`, comma-separated, current first")
    bank_batch_size: int = 500
    bank_payments_a_second: int = Field(
        default=0, description="at most, by all workers together, averaged over half a second; 0: as fast as it goes"
    )
    bank_timeout_s: float = 10.0
    submission_timeout_s: float = 60.0
    clock_skew_s: float = Field(default=0.0, description="how far the database clocks of two services may differ")
    department: str = Field(default="民政局", description="competent department as the bank's SMS names it")

    sms_url: str = Field(default="", description="base address of the SMS platform; empty: none")
    sms_key: str = Field(default="", description="bearer key that the platform gave")
    sms_timeout_s: float = 10.0
    sms_webhook_url: str = Field(default="", description="where the simulated platform sends its receipts")
    sms_webhook_secrets: str = Field(default="", description="`whsec_…` of its receipts, current first; empty: none")
    sms_at_any_hour: bool = Field(default=False, description="no quiet hours; for demonstrations and tests")

    faces_simulated: bool = Field(default=False, description="every face matches; for demonstrations and tests")

    services_host: str = Field(default="127.0.0.1", description="where the console finds the services")

    def has_role(self, role: Literal["api", "relay", "consumer", "worker"]) -> bool:
        return role in self.roles.split(",")


@lru_cache
def settings_from_environment() -> Settings:
    return Settings()


PORT_OFFSETS = {
    "console": 0,
    "intake": 1,
    "eligibility": 2,
    "matching": 3,
    "disbursement": 4,
    "notification": 5,
    "onecard_mock": 10,
}
