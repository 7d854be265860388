"""The rules of the profile `ha` are kept by the files of this checkout, and each names what breaks it."""

from __future__ import annotations

import pytest
import yaml

from infra.containers_check.cluster import CONFIGURATION, NODES, check_cluster, check_cluster_image
from infra.containers_check.compose import PROFILES, check_compose
from infra.containers_check.networks import check_networks
from infra.local.layout import CHECKOUT

COMPOSE = (CHECKOUT / "docker-compose.yml").read_text(encoding="utf-8")
SERVICES = (CHECKOUT / "infra" / "Dockerfile").read_text(encoding="utf-8")
IMAGE = (CHECKOUT / "infra" / "ha" / "Dockerfile").read_text(encoding="utf-8")


def everything(compose: str) -> list[str]:
    return [*check_compose(compose), *check_networks(compose), *check_cluster(compose)]


def test_the_files_of_this_checkout_break_no_rule() -> None:
    assert everything(COMPOSE) == []
    assert check_cluster_image(IMAGE, SERVICES, COMPOSE) == []


@pytest.mark.parametrize(
    ("was", "becomes", "problem"),
    [
        ("  node2:\n    <<: *node\n", "  node4:\n    <<: *node\n", "there is no service node2"),
        ("  profiles: [ha]\n", "", "pgbouncer must be in the profile ha"),
        ("image: batua-ha:0.1.0", "image: batua-ha:9", "node1 has the image batua-ha:9"),
        ("dockerfile: infra/ha/Dockerfile", "dockerfile: infra/Dockerfile", "node3 must be built by infra/ha/Dockerf"),
        ("infra/ha:/opt/batua:ro", "infra/other:/opt/batua:ro", "haproxy must have the configuration of the drill"),
        ("      - --auto-compaction-retention=1", "      - --log-level=info", "etcd must forget old revisions"),
        ("    test: [CMD, python3, /opt", "    other: [CMD, python3, /opt", "node1 has no health check"),
        ("8008/readiness", "8008/liveness", "the health check of node2 must ask http://127.0.0.1:8008/readiness"),
        ("endpoint, health", "member, list", "the health check of etcd must ask endpoint health"),
        ('--port, "5000"', '--port, "5001"', "the health check of haproxy must ask pg_isready"),
        ('--port, "6432"', '--port, "5000"', "the health check of pgbouncer must ask pg_isready"),
        ("PATRONI_NAME: node3", "PATRONI_NAME: node2", "node3 must be told its name"),
        ('"node3:/var/lib', '"node2:/var/lib', "node1, node2, node3 must have a volume of its own"),
        ("BATUA_HA_NODE2: 172.30.84.12", "BATUA_HA_NODE2: 172.30.84.13", "haproxy must find node2 at its address"),
        ("      nodes: {ipv4_address: 172.30.84.11}", "      nodes:", "haproxy must find node1 at its address"),
        ("ip_range: 172.30.84.128/25", "ip_range: 172.30.84.0/24", "the address of node1 must lie outside"),
        (
            "    networks: [database, webhook_database]\n    ulimits",
            "    networks: [webhook_database]\n    ulimits",
            "user_app_1 must share a network with pgbouncer",
        ),
        (
            "    networks: [database, webhook_database]\n    ulimits",
            "    networks: [webhook_database]\n    ulimits",
            "pgbouncer must share a network with haproxy",
        ),
        (
            "    networks: [database, webhook_database]\n    ulimits",
            "    networks: [database]\n    ulimits",
            "bank_webhook_2 must reach pgbouncer",
        ),
        ("networks: [nodes, database]", "networks: [nodes]", "migrate must share a network with haproxy"),
        ("networks: [nodes, database]", "networks: [database]", "node1 must share a network with haproxy"),
        (
            "networks: [nodes, database]",
            "networks: [nodes, database, webhook_database]",
            "bank_webhook_1 shares a network with haproxy",
        ),
        ("networks: [agreement]", "networks: [agreement, webhook_database]", "bank_webhook_1 must not reach etcd"),
        ("networks: [agreement]", "networks: [agreement, database]", "user_app_2 must not reach etcd"),
        ("      agreement:\n", "", "node1 must share a network with etcd"),
        ("      agreement:\n", "      agreement:\n      database:\n", "withdraw_worker must not reach node1"),
        (
            "    networks: [database]\n    mem",
            "    networks: [database, nodes]\n    mem",
            "migrate must not reach node3",
        ),
        ("  agreement: {internal: true}", "  agreement:", "the network agreement must be internal"),
        ("    - patroni_password\n", "", "node1 lacks the secret patroni_password"),
        ("    - patroni_password\n", "    - patroni_password\n    - token_keys\n", "node2 does not read token_keys"),
        ("${BATUA_SINGLE_POSTGRES:?use make compose-up}", "1", "postgres must run or not by a variable"),
        ("${BATUA_DATABASE_POOLER:?use make compose-up}", "none", "scheduler must be told BATUA_DATABASE_POOLER"),
        (
            "      BATUA_SECRETS_DIRECTORY: /run/secrets\n",
            "      BATUA_DATABASE_POOLER: x\n",
            "migrate must go to the primary",
        ),
        ('--wait-seconds, "300"', "--json", "migrate must wait for a cluster"),
    ],
)
def test_a_profile_that_breaks_a_rule_is_told_which(was: str, becomes: str, problem: str) -> None:
    assert was in COMPOSE
    found = everything(COMPOSE.replace(was, becomes))
    assert any(problem in each for each in found), found


@pytest.mark.parametrize(
    ("was", "becomes", "problem"),
    [
        ("ARG POSTGRES=postgres:18.1-", "ARG POSTGRES=postgres:18.2-", "begin with the Postgres of docker-compose.yml"),
        ("ARG PYTHON=python:3.11.14-", "ARG PYTHON=python:3.12.1-", "packages must begin with the base of infra/Docke"),
        ("ARG POSTGRES=postgres:18.1-bookworm@", "ARG POSTGRES=postgres:latest@", "not pinned by version and digest"),
        ("--require-hashes ", "", "every pip install needs --require-hashes"),
        ("--require-hashes ", "--require-hashes --index-url x ", "a registry address belongs to the machine"),
        ("USER postgres", "USER root", "production must end as the user postgres"),
        ("AS production", "AS nodes", "the last stage must be production"),
    ],
)
def test_an_image_that_breaks_a_rule_is_told_which(was: str, becomes: str, problem: str) -> None:
    assert was in IMAGE
    found = check_cluster_image(IMAGE.replace(was, becomes), SERVICES, COMPOSE)
    assert any(problem in each for each in found), found


def test_every_program_runs_with_the_files_of_the_drill() -> None:
    services = yaml.safe_load(COMPOSE)["services"]
    mounted = CONFIGURATION.split(":")[1]
    named = [
        word.removeprefix(f"{mounted}/")
        for name in PROFILES["ha"]
        for word in services[name]["command"]
        if word.startswith(f"{mounted}/")
    ]
    assert named == ["node.sh"] * len(NODES) + ["haproxy.cfg", "pgbouncer-containers.ini"]
    folder = CHECKOUT / "infra" / "ha"
    assert f"configuration={mounted}\n" in (folder / "node.sh").read_text(encoding="utf-8")
    assert f"%include {mounted}/pgbouncer.ini\n" in (folder / "pgbouncer-containers.ini").read_text(encoding="utf-8")
    assert [file for file in named if not (folder / file).is_file()] == []
