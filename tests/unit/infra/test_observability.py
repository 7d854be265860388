"""Alerts and dashboards ask for metrics that exist, with labels that exist, and each alert has its runbook."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping

import pytest
import yaml
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

import services.bank_webhook.main
import services.merchant_app.main
import services.user_app.main
import services.withdraw_worker.measuring
import services.withdraw_worker.metrics  # noqa: F401 - each counts something
from infra.local.environment import METRICS_PORT_OFFSETS
from infra.local.layout import DEFAULT_PORT_BASE
from services.withdraw_worker.questions import FIGURES
from tests.support.deadlines import deadline
from tests.support.prometheus import OBSERVABILITY, RUNBOOKS, alerts, program

OF_PROMETHEUS: Mapping[str, set[str]] = {
    name: set() for name in ("up", "process_cpu_seconds_total", "process_resident_memory_bytes")
}
OF_A_TARGET = {"job", "instance"}
SUFFIXES: Mapping[str | None, tuple[str, ...]] = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
}
_STRING = re.compile(r'"[^"]*"')
_SELECTOR = re.compile(r"([a-z_:]+)(?:\{([^}]*)\})?")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
_FUNCTIONS = re.compile(r"\b[a-z_]+(?=\s*\()|\b(?:by|or|and|unless|on|ignoring|without)\b|\[\w+\]")


def metrics() -> Mapping[str, set[str]]:
    """The labels of every series that some process can show, by the series' name."""
    found = dict(OF_PROMETHEUS)
    for collector in set(REGISTRY._collector_to_names):
        if isinstance(collector, MetricWrapperBase):
            for suffix in SUFFIXES[collector._type]:
                labels = {*collector._labelnames} | ({"le"} if suffix == "_bucket" else set())
                found[f"{collector._name}{suffix}"] = labels
    return found | {figure.name: set(figure.labels) for figure in FIGURES}


def dashboards() -> dict[str, list[tuple[str, str]]]:
    """Each dashboard's expressions, with their panels."""
    return {
        file.name: [
            (panel["title"], target["expr"])
            for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]
            for target in panel["targets"]
        ]
        for file in sorted((OBSERVABILITY / "dashboards").glob("*.json"))
    }


def unknown_in(expression: str, known: Mapping[str, set[str]]) -> list[str]:
    """Names and labels of an expression that no process shows."""
    without_text = _STRING.sub('""', expression)
    grouped = {label.strip() for labels in _GROUPING.findall(without_text) for label in labels.split(",")}
    bare = _FUNCTIONS.sub(" ", _GROUPING.sub(" ", without_text))
    wrong, labels = [], set(OF_A_TARGET)
    for name, selected in _SELECTOR.findall(bare):
        if name not in known:
            wrong.append(name)
            continue
        labels |= known[name]
        chosen = {re.split("[=!]", part)[0].strip() for part in selected.split(",") if part.strip()}
        wrong += [f"{name}{{{label}}}" for label in chosen - known[name] - OF_A_TARGET]
    return wrong + [f"by ({label})" for label in grouped - labels - {"le"}]


def test_every_alert_asks_for_metrics_that_exist() -> None:
    known = metrics()
    assert {alert.name: wrong for alert in alerts() if (wrong := unknown_in(alert.expression, known))} == {}


@pytest.mark.parametrize("name", ["money.json", "services.json", "banks.json"])
def test_every_panel_asks_for_metrics_that_exist(name: str) -> None:
    known, panels = metrics(), dashboards()[name]
    assert len(panels) > 10
    assert {title: wrong for title, expression in panels if (wrong := unknown_in(expression, known))} == {}


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("sum by (kind) (rate(batua_money_moved_paise_total[5m]))", []),
        ("sum by (king) (rate(batua_money_moved_paise_total[5m]))", ["by (king)"]),
        ('batua_money_moved_paise_total{kind=~"p2p|payment",job="user_app"} > 0', []),
        ('batua_money_moved_paise_total{sort="p2p"}', ["batua_money_moved_paise_total{sort}"]),
        ("batua_money_moved_rupees_total > 0 or up == 1", ["batua_money_moved_rupees_total"]),
        ("time() - batua_last_task_timestamp_seconds", []),
    ],
)
def test_what_does_not_exist_is_found(expression: str, wrong: list[str]) -> None:
    assert unknown_in(expression, metrics()) == wrong


def test_every_alert_has_a_runbook_with_commands_and_every_runbook_an_alert() -> None:
    expected = {alert.runbook: alert.name for alert in alerts()}
    assert expected.keys() == set(RUNBOOKS.glob("*.md")) - {RUNBOOKS / "README.md"}
    index = (RUNBOOKS / "README.md").read_text(encoding="utf-8")
    for file, name in expected.items():
        text = file.read_text(encoding="utf-8")
        assert text.startswith(f"# {name}\n")
        assert "\n$ " in text.partition("## Look")[2].partition("## Do")[0]
        assert f"[{name}]({file.name})" in index


def test_every_alert_is_tested_as_it_fires_and_as_it_is_silent() -> None:
    tests = yaml.safe_load((OBSERVABILITY / "alerts_test.yml").read_text(encoding="utf-8"))["tests"]
    fired = {
        (case["alertname"], bool(case["exp_alerts"])) for test in tests for case in test.get("alert_rule_test", [])
    }
    assert fired == {(alert.name, fires) for alert in alerts() for fires in (True, False)}


def test_the_local_configuration_scrapes_every_process_at_its_port() -> None:
    scraped = yaml.safe_load((OBSERVABILITY / "prometheus-local.yml").read_text(encoding="utf-8"))["scrape_configs"]
    targets = {scrape["job_name"]: scrape["static_configs"][0]["targets"] for scrape in scraped}
    assert targets == {
        name: [f"127.0.0.1:{DEFAULT_PORT_BASE + offset}"] for name, offset in METRICS_PORT_OFFSETS.items()
    }


def test_the_configuration_of_the_containers_scrapes_the_same_processes() -> None:
    scraped = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    assert {scrape["job_name"] for scrape in scraped} == METRICS_PORT_OFFSETS.keys()


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts_test.yml"),
        ("check", "config", "prometheus.yml"),
        ("check", "config", "prometheus-local.yml"),
    ],
)
def test_promtool_finds_nothing_wrong(arguments: tuple[str, ...]) -> None:
    command = [program("promtool"), *arguments]
    done = subprocess.run(command, cwd=OBSERVABILITY, capture_output=True, text=True, timeout=deadline(60), check=False)
    assert done.returncode == 0, done.stdout + done.stderr
