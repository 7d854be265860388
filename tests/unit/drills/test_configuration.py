"""The files of `infra/ha/` agree with each other and with the limits of Batua, and the drill changes only addresses."""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from typing import Any

import yaml

from drills.high_availability.cluster import CONFIGURATION, NODES, POOLER_PORT, PRIMARY_PORT, rendered_pooler
from infra.local.postgres import MAX_CONNECTIONS, QUIET_LOG


def patroni() -> Any:
    return yaml.safe_load((CONFIGURATION / "patroni.yml").read_text(encoding="utf-8"))


def pooler() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, comment_prefixes=(";",), strict=False)
    parser.read(CONFIGURATION / "pgbouncer.ini", encoding="utf-8")
    return parser


def test_a_lease_outlives_a_round_of_patroni_and_its_retries() -> None:
    dcs = patroni()["bootstrap"]["dcs"]
    assert dcs["ttl"] >= max(20, dcs["loop_wait"] + 2 * dcs["retry_timeout"])


def test_no_commit_is_on_one_node_alone() -> None:
    dcs = patroni()["bootstrap"]["dcs"]
    assert (dcs["synchronous_mode"], dcs["synchronous_mode_strict"]) == ("quorum", True)


def test_postgres_logs_as_little_as_the_local_one_and_takes_as_many() -> None:
    parameters = patroni()["bootstrap"]["dcs"]["postgresql"]["parameters"]
    assert {name: str(parameters[name]) for name in QUIET_LOG} == QUIET_LOG
    assert parameters["max_connections"] == MAX_CONNECTIONS > int(pooler()["pgbouncer"]["max_db_connections"])


def test_the_pooler_leads_to_where_haproxy_listens_for_the_primary() -> None:
    haproxy = (CONFIGURATION / "haproxy.cfg").read_text(encoding="utf-8")
    (primary,) = re.findall(r"^listen primary\n(.*?)\n\n", haproxy, re.MULTILINE | re.DOTALL)
    assert f":{PRIMARY_PORT}" in primary
    assert len(re.findall(r"^ +server ", primary, re.MULTILINE)) == NODES
    assert "on-marked-down shutdown-sessions" in primary
    assert re.search(r"^ +retries 0$", haproxy, re.MULTILINE), "the pooler's one login would wait for a second each"
    assert pooler()["databases"]["*"].endswith(f"port={PRIMARY_PORT}")


def test_the_drill_changes_only_addresses() -> None:
    ours = (CONFIGURATION / "pgbouncer.ini").read_text(encoding="utf-8").splitlines()
    drills = rendered_pooler("10.0.0.1", Path("/tmp/users")).splitlines()
    changed = {line.partition(" = ")[0]: line for line, before in zip(drills, ours, strict=True) if line != before}
    assert changed == {
        "*": f"* = host=10.0.0.1 port={PRIMARY_PORT}",
        "listen_addr": "listen_addr = 10.0.0.1",
        "auth_file": "auth_file = /tmp/users",
    }
    assert pooler()["pgbouncer"]["listen_port"] == str(POOLER_PORT)


def test_containers_add_tls_and_change_nothing_else() -> None:
    own = yaml.safe_load((CONFIGURATION / "patroni-containers.yml").read_text(encoding="utf-8"))
    assert own.keys() == {"postgresql"}
    assert own["postgresql"].keys() == {"parameters", "pg_hba"}
    assert all(name.startswith("ssl") for name in own["postgresql"]["parameters"])
    others = patroni()["bootstrap"]["dcs"]["postgresql"]["pg_hba"]
    # From this machine itself Patroni connects, which verifies too, and pg_isready.
    encrypted = [line if "127.0.0.1" in line else line.replace("host ", "hostssl ", 1) for line in others]
    assert own["postgresql"]["pg_hba"] == encrypted


def test_the_pooler_of_containers_takes_and_makes_only_verified_connections() -> None:
    text = (CONFIGURATION / "pgbouncer-containers.ini").read_text(encoding="utf-8")
    added = dict(re.findall(r"^(\w+) = (.+)$", text, flags=re.MULTILINE))
    assert added["client_tls_sslmode"] == "require"
    assert (added["server_tls_sslmode"], added["server_tls_ca_file"]) == ("verify-full", "/run/secrets/authority")
    assert {name for name in added if "_tls_" not in name} == {"auth_file"}
