"""The Helm chart: rendered by Helm itself, checked against the schemas of Kubernetes, and held to the rules of ours."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from infra.containers_check.compose import SECRETS
from infra.local.layout import CHECKOUT
from shared.version import VERSION
from tests.support.needed import leave_out

CHART = CHECKOUT / "infra" / "helm" / "batua"
LOWEST_KUBERNETES = "1.27"
VALUES: dict[str, Any] = {
    "image": {"repository": "registry.example/batua", "digest": f"sha256:{'a' * 64}"},
    "settings": {"BATUA_USER_APP_URL": "https://wallet.example", "BATUA_LOG_LEVEL": "WARNING"},
    "authorities": {"configMap": "authorities"},
    "trustedProxies": "10.1.0.0/16",
    "ingress": {"enabled": True, "className": "nginx"},
    "migrate": {"takeOldRights": True},
}


def _tool(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        leave_out(f"this test needs {name}: make chart-tools")


def _with(path: str, value: Any) -> dict[str, Any]:
    """The values, and this one among them."""
    changed = copy.deepcopy(VALUES)
    *above, last = path.split(".")
    place = changed
    for name in above:
        place = place.setdefault(name, {})
    place[last] = value
    return changed


def _rendered(values: dict[str, Any]) -> list[dict[str, Any]]:
    chart = _tool("helm_python").Chart.load(str(CHART))
    texts = [text for file, text in chart.render(values, name="batua", namespace="money").items() if ".yaml" in file]
    return [document for text in texts for document in yaml.safe_load_all(text) if document]


@pytest.fixture(scope="module", name="documents")
def documents_fixture() -> list[dict[str, Any]]:
    return _rendered(VALUES)


def _of(documents: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    found = [each for each in documents if each["kind"] == kind]
    return {each["metadata"]["name"].removeprefix("batua-"): each["spec"] for each in found}


def _pods(documents: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for kind in ("Deployment", "Job"):
        for name, spec in _of(documents, kind).items():
            yield name, spec["template"]["spec"]


def test_it_states_our_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["version"] == chart["appVersion"] == VERSION


def test_helm_finds_nothing_wrong() -> None:
    report = _tool("helm_python").lint(str(CHART), VALUES, strict=True)
    assert report["total_charts_linted"] == 1
    assert report["errors"] == []


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("image.digest", "latest", "does not match pattern"),
        ("settings.BATUA_PIN_PEPPER", "a pepper", "BATUA_PIN_PEPPER"),
        ("settings.BATUA_DATABASE_URL", "postgresql://x", "BATUA_DATABASE_URL"),
        ("services.userApp.replicas", 1, "minimum"),
        ("environment", "test", "environment"),
        ("enviroment", "production", "enviroment"),
    ],
)
def test_values_that_are_wrong_are_refused(path: str, value: object, said: str) -> None:
    report = _tool("helm_python").lint(str(CHART), _with(path, value), strict=True)
    assert said in " ".join(report["errors"])


@pytest.mark.parametrize("version", [LOWEST_KUBERNETES, "1.37"])
def test_kubernetes_knows_every_field(documents: list[dict[str, Any]], version: str) -> None:
    validate = _tool("kubernetes_validate").validate
    assert len(documents) > 20
    for document in documents:
        validate(document, version, strict=True)


def test_every_process_is_there(documents: list[dict[str, Any]]) -> None:
    names = {"user-app", "merchant-app", "bank-webhook", "withdraw-worker", "scheduler"}
    assert _of(documents, "Deployment").keys() == names
    assert _of(documents, "PodDisruptionBudget").keys() == names
    assert _of(documents, "NetworkPolicy").keys() == names | {"migrate"}
    assert _of(documents, "HorizontalPodAutoscaler").keys() == names - {"scheduler"}
    assert _of(documents, "Service").keys() == {"user-app", "merchant-app", "bank-webhook"}


def test_no_container_has_more_than_it_needs(documents: list[dict[str, Any]]) -> None:
    for name, pod in _pods(documents):
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert container["image"].endswith(f"@sha256:{'a' * 64}"), name
        assert {"cpu", "memory"} <= container["resources"]["limits"].keys(), name


def test_secrets_are_files_of_the_process_that_reads_them(documents: list[dict[str, Any]]) -> None:
    secret = {name for names in SECRETS.values() for name in names}
    for name, pod in _pods(documents):
        mounted = [each["secret"]["secretName"] for each in pod["volumes"] if "secret" in each]
        kind = name.removesuffix("-pre").removesuffix("-post")
        assert mounted == [f"batua-{'withdraw-worker' if kind == 'scheduler' else kind}"]
        environment = pod["containers"][0]["env"]
        assert not secret & {each["name"] for each in environment}, name
        assert all("value" in each for each in environment), name
        assert {"name": "BATUA_SECRETS_DIRECTORY", "value": "/run/secrets/batua"} in environment, name


def test_probes_ask_what_is_true(documents: list[dict[str, Any]]) -> None:
    for name, spec in _of(documents, "Deployment").items():
        (container,) = spec["template"]["spec"]["containers"]
        beats = ["python", "-m", "infra.healthcheck", "/tmp/heartbeat"]
        if name in ("withdraw-worker", "scheduler"):
            assert container["livenessProbe"]["exec"]["command"] == beats
            assert {"name": "BATUA_HEARTBEAT_FILE", "value": "/tmp/heartbeat"} in container["env"]
        else:
            assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
            assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
            assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_the_webhook_reaches_postgres_alone(documents: list[dict[str, Any]]) -> None:
    policies = _of(documents, "NetworkPolicy")
    names, *others = policies["bank-webhook"]["egress"]
    assert {each["port"] for each in names["ports"]} == {53}
    assert [[each["port"] for each in other["ports"]] for other in others] == [[5432]]
    assert len(policies["user-app"]["egress"]) == 4, "names, Postgres, Redis, banks"
    for name, policy in policies.items():
        assert policy["policyTypes"] == ["Ingress", "Egress"], name


def test_it_scales_by_requests_and_by_what_waits(documents: list[dict[str, Any]]) -> None:
    scalers = _of(documents, "HorizontalPodAutoscaler")
    (metric,) = scalers["withdraw-worker"]["metrics"]
    assert metric["external"]["metric"]["name"] == "batua_withdrawal_oldest_seconds"
    assert [each["type"] for each in scalers["user-app"]["metrics"]] == ["Pods", "Resource"]


def test_migrations_come_before_an_upgrade_and_old_rights_go_after_it_where_that_is_asked(
    documents: list[dict[str, Any]],
) -> None:
    jobs = {each["metadata"]["name"]: each for each in documents if each["kind"] == "Job"}
    hooks = {name: each["metadata"]["annotations"]["helm.sh/hook"] for name, each in jobs.items()}
    assert hooks == {
        "batua-migrate-pre": "pre-install,pre-upgrade",
        "batua-migrate-post": "post-install,post-upgrade",
    }
    commands = {name: pod["containers"][0]["command"] for name, pod in _pods(documents) if name.startswith("migrate")}
    assert commands["migrate-pre"] == ["batua", "migrate", "--service-roles", "--with-version-before"]
    assert commands["migrate-post"] == ["batua", "migrate", "--service-roles"]
    assert "migrate-post" not in dict(_pods(_rendered(_with("migrate.takeOldRights", False))))


def test_a_setting_of_one_process_wins_over_that_of_all() -> None:
    documents = _rendered(_with("services.userApp", {"settings": {"BATUA_LOG_LEVEL": "DEBUG"}}))
    levels = {
        name: next(each["value"] for each in pod["containers"][0]["env"] if each["name"] == "BATUA_LOG_LEVEL")
        for name, pod in _pods(documents)
    }
    assert levels.pop("user-app") == "DEBUG"
    assert set(levels.values()) == {"WARNING"}
