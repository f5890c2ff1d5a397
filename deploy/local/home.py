"""The data folder of an embedded run (`LIANGBU_HOME`): its keys, its logs, and what runs in it now."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from libs.common.issuer import new_key_pair

LOG_LIMIT_BYTES = 20 << 20


class AlreadyRunning(RuntimeError):
    """Another `liangbu up` or `run` works in this folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"another liangbu runs in {folder}; stop it, or set LIANGBU_HOME to another folder")


class NotRunning(RuntimeError):
    """Nothing runs in this folder; start it with `liangbu up`."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


@dataclass(frozen=True, slots=True)
class Keys:
    """Secrets made once for a home. Losing the person key loses who is who: back the file up."""

    jwt_private_key: str
    jwt_public_key: str
    person_keys: str
    sealing_keys: str
    onecard_client_secret: str
    onecard_webhook_secrets: str
    sms_key: str
    sms_webhook_secrets: str
    console_secret: str

    @classmethod
    def generate(cls) -> Keys:
        private_key, public_key = new_key_pair()
        return cls(
            jwt_private_key=private_key,
            jwt_public_key=public_key,
            person_keys="1:" + secrets.token_hex(32),
            sealing_keys="k1:" + secrets.token_hex(16),
            onecard_client_secret=secrets.token_urlsafe(32),
            onecard_webhook_secrets=_webhook_secret(),
            sms_key=secrets.token_urlsafe(32),
            sms_webhook_secrets=_webhook_secret(),
            console_secret=secrets.token_urlsafe(32),
        )


def _webhook_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


@dataclass(slots=True)
class RunningState:
    """What runs now: written for `status` and for people, not needed to stop anything."""

    pid: int
    port: int
    postgres_port: int
    broker_port: int
    ready: bool = False
    """Whether the start is over."""
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By name: pid, port, and how often it was started again."""


class Home:
    """`LIANGBU_HOME`, default `.liangbu` in the working folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (folder or Path(os.environ.get("LIANGBU_HOME", ".liangbu"))).resolve()

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def keys(self) -> Keys:
        """The keys of this home, made on first use. The file is readable by its owner only."""
        file = self.folder / "keys.json"
        if not file.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            write_secret(file, json.dumps(asdict(Keys.generate()), indent=2))
        return Keys(**json.loads(file.read_text()))

    def rotate_logs(self) -> None:
        """Move logs that grew large aside, one generation."""
        self.logs.mkdir(parents=True, exist_ok=True)
        for log in self.logs.glob("*.log"):
            if log.stat().st_size > LOG_LIMIT_BYTES:
                log.replace(log.with_suffix(".log.1"))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Held while something runs here. Raises `AlreadyRunning`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunning(self.folder) from None
            yield

    @property
    def _state_file(self) -> Path:
        return self.folder / "running.json"

    def write_state(self, state: RunningState) -> None:
        partial = self._state_file.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(state), indent=2))
        partial.replace(self._state_file)

    def forget_state(self) -> None:
        self._state_file.unlink(missing_ok=True)

    def state(self) -> RunningState:
        """What runs in this home now. Raises `NotRunning`."""
        if not self._state_file.exists():
            raise NotRunning
        state = RunningState(**json.loads(self._state_file.read_text()))
        if not _is_alive(state.pid):
            raise NotRunning
        return state


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner can read, all of it or nothing."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    partial.replace(path)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
