"""The container of an agent with code of its own, as far as it can be seen without a cluster."""

from __future__ import annotations

from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from polis.proto.registry import SERVICES

FILE = Path(__file__).parent.parent / "deploy" / "kubernetes" / "agent" / "agent.yaml"
VERSION = "1.34"


def quantity(text):
    units = {"m": 1e-3, "Mi": 2**20, "Gi": 2**30}
    unit = next((unit for unit in units if text.endswith(unit)), "")
    return float(text.removesuffix(unit)) * units.get(unit, 1)


@pytest.fixture(scope="module")
def objects():
    text = FILE.read_text(encoding="utf-8").replace("NAME", "sarah")
    return list(yaml.safe_load_all(text))


@pytest.fixture(scope="module")
def pod(objects):
    (job,) = (found for found in objects if found["kind"] == "Job")
    return job["spec"]["template"]["spec"]


def test_kubernetes_takes_every_object(objects):
    for found in objects:
        kubernetes_validate.validate(found, VERSION, strict=True)


def test_nothing_in_it_has_rights_that_it_does_not_need(pod):
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in pod["initContainers"] + pod["containers"]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
    assert not any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC"))


def test_its_bounds_are_those_of_the_contract(pod):
    (agent,) = pod["containers"]
    least, most = agent["resources"]["requests"], agent["resources"]["limits"]

    assert (quantity(least["cpu"]), quantity(most["cpu"])) == (0.5, 2)
    assert (quantity(least["memory"]), quantity(most["memory"])) == (512 * 2**20, 2 * 2**30)
    assert quantity(most["ephemeral-storage"]) == 2**30


def test_it_reads_its_configuration_keeps_its_memory_and_cannot_list_its_logs(pod):
    mounts = {m["mountPath"]: m for m in pod["containers"][0]["volumeMounts"]}

    assert mounts["/agent/config"]["readOnly"] is True
    assert not mounts["/agent/memory"].get("readOnly")
    assert mounts["/agent/logs"]["subPath"] == "agent"
    assert "0o300" in pod["initContainers"][0]["command"][-1]


def test_it_reaches_names_and_the_gateway_and_nobody_reaches_it(objects, pod):
    (policy,) = (found["spec"] for found in objects if found["kind"] == "NetworkPolicy")
    (gateway,) = (service.port for service in SERVICES if service.name == "gateway")

    assert policy["podSelector"] == {}
    assert policy["ingress"] == []
    assert [[port["port"] for port in rule["ports"]] for rule in policy["egress"]] == [[53, 53], [gateway]]
    assert all(peer.get("podSelector") for rule in policy["egress"] for peer in rule["to"])
    address = {"name": "POLIS_ADDRESS", "value": f"http://gateway.polis.svc:{gateway}"}
    assert address in pod["containers"][0]["env"]
