"""Apache Kafka itself as a child process: one KRaft node, broker and controller, from its Maven artifacts.

Needs Java 17 and Maven. `LIANGBU_BROKER=kafka` makes the launcher run it instead of the embedded broker; what it holds
stays in its folder.
"""

from __future__ import annotations

import shutil
import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from deploy.local import processes
from deploy.local.broker import Broker

_POM = Path(__file__).with_name("kafka.pom.xml")
_HEAP = "512m"


class KafkaBroker(Broker):
    """Its data are in `folder`, and stay there."""

    name = "Apache Kafka"
    idempotence = True
    start_within_s = 60
    stop_within_s = 20

    def __init__(self, folder: Path, port: int | None = None, *, log: Path | None = None) -> None:
        super().__init__(port, log=log or folder / "kafka.log")
        self.folder = folder
        self._controller_port = processes.free_port()

    def _spawn(self) -> subprocess.Popen[bytes]:
        """Resolves and formats on first use."""
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = self._write_settings()
        if not (self.folder / "data" / "meta.properties").exists():
            cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode().replace("-", "A")
            self._run_java("kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(settings), wait=True)
        return self._run_java("kafka.Kafka", str(settings), wait=False)

    def _write_settings(self) -> Path:
        controller = f"127.0.0.1:{self._controller_port}"
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.folder / "data"),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
        }
        file = self.folder / "server.properties"
        file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        return file

    def _run_java(self, main_class: str, *arguments: str, wait: bool) -> subprocess.Popen[bytes]:
        java = shutil.which("java")
        if java is None:
            raise processes.ProcessFailed("java", "is not installed; Apache Kafka needs Java 17", self.log)
        command = [java, f"-Xmx{_HEAP}", "-cp", self._class_path(), main_class, *arguments]
        process = processes.spawn(command, log=self.log)
        if wait and process.wait(timeout=60) != 0:
            raise processes.ProcessFailed(main_class, f"ended with status {process.returncode}", self.log)
        return process

    def _class_path(self) -> str:
        stored = self.folder / "classpath.txt"
        if not stored.exists():
            maven = shutil.which("mvn")
            if maven is None:
                raise processes.ProcessFailed("mvn", "is not installed; Maven resolves Apache Kafka", self.log)
            target = ["dependency:build-classpath", f"-Dmdep.outputFile={stored}"]
            process = processes.spawn([maven, "-q", "-B", "-f", _POM, *target], log=self.log)
            if process.wait(timeout=300) != 0:
                raise processes.ProcessFailed("mvn", f"ended with status {process.returncode}", self.log)
        return stored.read_text()
