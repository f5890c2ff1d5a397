"""deploy/k8s: what its files say, and that they say it in the form of the Kubernetes API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from libs.common.settings import PORT_OFFSETS
from tests.unit.deploy.test_compose import SETTINGS

K8S = Path(__file__).parents[3] / "deploy/k8s"
KUBERNETES_VERSION = "1.33"
Manifest = dict[str, Any]


def documents(file: Path) -> list[Manifest]:
    return [document for document in yaml.safe_load_all(file.read_text("utf-8")) if document]


def resource_files() -> list[Path]:
    return [file for file in sorted(K8S.rglob("*.yaml")) if file.name != "kustomization.yaml"]


def manifests() -> Iterator[tuple[Path, Manifest]]:
    for file in resource_files():
        for manifest in documents(file):
            yield file, manifest


def workloads() -> list[Manifest]:
    return [manifest for _, manifest in manifests() if manifest["kind"] in ("Deployment", "StatefulSet")]


WORKLOADS = {manifest["metadata"]["name"]: manifest for manifest in workloads()}
each_workload = pytest.mark.parametrize("workload", WORKLOADS.values(), ids=WORKLOADS)


@pytest.mark.parametrize("file", resource_files(), ids=lambda file: str(file.relative_to(K8S)))
def test_every_manifest_fits_the_api(file: Path) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="the kubernetes-validate package is not installed")
    for manifest in documents(file):
        validate.validate(manifest, KUBERNETES_VERSION, strict=True)


def test_what_kustomizations_name_exists_and_nothing_is_left_out() -> None:
    for kustomization in K8S.rglob("kustomization.yaml"):
        folder, [content] = kustomization.parent, documents(kustomization)
        named = [*content["resources"], *(patch["path"] for patch in content.get("patches", ()) if "path" in patch)]
        assert all((folder / name).exists() for name in named), kustomization
        others = {file.name for file in folder.glob("*.yaml")} - {"kustomization.yaml", "secrets.example.yaml"}
        assert others <= set(named), kustomization


def test_the_base_has_every_service_and_the_console_but_not_the_simulated_bank() -> None:
    in_base = {manifest["metadata"]["name"] for file, manifest in manifests() if file.parent.name == "base"}
    assert set(PORT_OFFSETS) - {"onecard_mock"} <= in_base
    assert "onecard-mock" not in in_base


@each_workload
def test_ports_are_those_of_the_contract(workload: Manifest) -> None:
    name = workload["metadata"]["name"]
    port = 8000 + PORT_OFFSETS[name.replace("-", "_")]
    [service] = [m for _, m in manifests() if m["kind"] == "Service" and m["metadata"]["name"] == name]
    assert [item["port"] for item in service["spec"]["ports"]] == [port]
    [container] = workload["spec"]["template"]["spec"]["containers"]
    assert [item["containerPort"] for item in container["ports"]] == [port]
    assert service["spec"]["selector"] == workload["spec"]["selector"]["matchLabels"]


@each_workload
def test_pods_are_probed_limited_and_unprivileged(workload: Manifest) -> None:
    pod = workload["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    [container] = pod["containers"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz", "a lost database must not restart pods"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    for each in [*pod.get("initContainers", ()), container]:
        assert {"cpu", "memory"} <= set(each["resources"]["requests"])
        assert "memory" in each["resources"]["limits"]
        assert each["securityContext"]["allowPrivilegeEscalation"] is False
        assert each["securityContext"]["readOnlyRootFilesystem"] is True
        assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@each_workload
def test_a_service_with_a_database_migrates_it_first(workload: Manifest) -> None:
    name = workload["metadata"]["name"]
    commands = [each["command"] for each in workload["spec"]["template"]["spec"].get("initContainers", ())]
    module = name.replace("-", "_")
    assert commands == ([] if name == "console" else [["python", "-m", "libs.common.migrations", module]])


@each_workload
def test_the_secrets_that_a_workload_reads_are_in_the_example(workload: Manifest) -> None:
    examples = K8S.rglob("secrets.example.yaml")
    example = {document["metadata"]["name"] for file in examples for document in documents(file)}
    [container] = workload["spec"]["template"]["spec"]["containers"]
    read = {source["secretRef"]["name"] for source in container["envFrom"] if "secretRef" in source}
    assert read <= example


def test_only_intake_and_matching_hold_the_person_key() -> None:
    secrets = documents(K8S / "base/secrets.example.yaml")
    holders = {document["metadata"]["name"] for document in secrets if "LIANGBU_PERSON_KEYS" in document["stringData"]}
    assert holders == {"liangbu-intake", "liangbu-matching"}


def test_settings_in_maps_and_secrets_are_known() -> None:
    for file, manifest in manifests():
        given = manifest.get("data", {}) if manifest["kind"] == "ConfigMap" else manifest.get("stringData", {})
        assert set(given) <= SETTINGS, file


def test_everything_is_closed_by_default_and_services_do_not_call_each_other() -> None:
    policies = {m["metadata"]["name"]: m["spec"] for _, m in manifests() if m["kind"] == "NetworkPolicy"}
    assert policies["nothing-by-default"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    callers = policies["console-reaches-services"]["ingress"][0]["from"]
    assert callers == [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "console"}}}]


def test_every_selector_of_a_policy_names_workloads_that_exist() -> None:
    text = "".join(file.read_text("utf-8") for file in K8S.rglob("network.yaml"))
    for values in re.findall(r"values: \[(.*?)\]", text):
        assert set(values.split(", ")) <= set(WORKLOADS)
