"""docker-compose.yml and the Dockerfile, as far as they can be judged without an engine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import pins
from libs.common.settings import PORT_OFFSETS
from services.console.settings import ConsoleSettings

ROOT = Path(__file__).parents[3]
SERVICES = [name for name in PORT_OFFSETS if name not in ("console", "onecard_mock")]
SETTINGS = {f"LIANGBU_{name.upper()}" for name in ConsoleSettings.model_fields}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    return read


def test_it_is_a_compose_file_by_the_specification(compose: dict[str, Any]) -> None:
    compose_spec = pytest.importorskip("compose_spec", reason="the compose-spec package is not installed")
    parsed = compose_spec.PyCompose.from_yaml(yaml.safe_dump(compose))
    assert set(parsed.service_names()) == set(compose["services"])


def test_every_process_is_there_on_its_own_port_with_a_health_check(compose: dict[str, Any]) -> None:
    for name, offset in PORT_OFFSETS.items():
        service = compose["services"][name]
        assert service["ports"] == [f"127.0.0.1:{8000 + offset}:{8000 + offset}"]
        assert f":{8000 + offset}/" in str(service["healthcheck"]["test"])
        assert service["read_only"], name


def test_every_service_waits_for_its_own_migration_and_for_the_broker(compose: dict[str, Any]) -> None:
    for name in SERVICES:
        needs = compose["services"][name]["depends_on"]
        assert needs[f"{name}-migration"] == {"condition": "service_completed_successfully"}
        assert needs["kafka"] == {"condition": "service_healthy"}
        migration = compose["services"][f"{name}-migration"]
        assert migration["command"] == ["python", "-m", "libs.common.migrations", name]
        assert migration["image"] == compose["services"][name]["image"]
        assert migration["build"]["args"] == {"SERVICE": name}


def test_what_is_depended_on_and_mounted_exists(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert set(service.get("depends_on", ())) <= set(compose["services"])
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in compose["volumes"]


def test_settings_are_known_and_secrets_come_from_the_environment_file(compose: dict[str, Any]) -> None:
    example = (ROOT / "deploy/compose/example.env").read_text("utf-8")
    offered = set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            assert not name.startswith("LIANGBU_") or name in SETTINGS or name == "LIANGBU_DATABASE_PASSWORD", name
            assert set(re.findall(r"\$\{([A-Z_]+)", str(value))) <= offered
            if re.search("PASSWORD|SECRET|KEY", name) and name != "LIANGBU_KAFKA_BOOTSTRAP":
                assert str(value).startswith("${"), name


def test_only_intake_and_matching_hold_the_person_key(compose: dict[str, Any]) -> None:
    services = compose["services"]
    holders = {name for name in services if "LIANGBU_PERSON_KEYS" in services[name].get("environment", {})}
    assert holders == {"intake", "matching"}


def test_every_database_that_is_named_is_made(compose: dict[str, Any]) -> None:
    made = re.search(r"for service in (.*); do", (ROOT / "deploy/compose/databases.sh").read_text("utf-8"))
    assert made is not None
    urls = [service.get("environment", {}).get("LIANGBU_DATABASE_URL", "") for service in compose["services"].values()]
    assert {url.rsplit("/", 1)[-1] for url in urls if url} == set(made[1].split())


def test_the_image_is_slim_runs_as_nobody_special_and_copies_what_exists() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    assert re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE) == ["python:3.11-slim", "python:3.11-slim"]
    assert re.search(r"^USER 10001:10001$", dockerfile, re.MULTILINE)
    for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE):
        *sources, _ = line.split()
        assert all((ROOT / source).exists() for source in sources), line


@pytest.mark.parametrize("service", PORT_OFFSETS)
def test_the_lock_pins_what_each_image_installs(service: str) -> None:
    lock = pins.lock_entries()
    for requirement in pins.requirements_of(service):
        entry = lock[pins._normalised(requirement)]
        assert re.search(r"==[^ ]+ \\\n\s+--hash=sha256:[0-9a-f]{64}", entry), requirement
