"""The rules of the profile `ha`: three nodes of Postgres that one of them leads, and the one way to whichever it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address, ip_network

from infra.containers_check.compose import OWN_DATABASE, PROFILES, Compose, read_compose
from infra.containers_check.dockerfile import PINNED, stages

NODES = ("node1", "node2", "node3")
CONFIGURATION = "./infra/ha:/opt/batua:ro"
"""What `make drill-ha` runs with, so what it measures holds here."""
IN_AGREEMENT = {"etcd", *NODES}
"""Who may write which node leads."""
NEAR_NODES = {"haproxy", *NODES}
"""Who reaches Patroni, which takes orders, and Postgres past the pooler."""
NODE_SECRETS = {
    "authority",
    "haproxy_certificate",
    "haproxy_key",
    "patroni_password",
    "postgres_password_batua",
    "postgres_password_replicator",
}
HEALTH_CHECKS = {
    **dict.fromkeys(NODES, "http://127.0.0.1:8008/readiness"),
    "etcd": "endpoint health",
    "haproxy": "pg_isready --username batua --dbname batua --host 127.0.0.1 --port 5000",
    "pgbouncer": "pg_isready --username user_app --dbname batua --host 127.0.0.1 --port 6432",
}
"""What tells whether each works: that a process is there says little."""

_CHOSEN = re.compile(r"\$\{[A-Z_]+:\?[^}]+\}")


def _configured(compose: Compose) -> Iterator[str]:
    for name in PROFILES["ha"]:
        service = compose.services.get(name, {})
        if service.get("build", {}).get("dockerfile") != "infra/ha/Dockerfile":
            yield f"{name} must be built by infra/ha/Dockerfile"
        if name != "etcd" and CONFIGURATION not in service.get("volumes", ()):
            yield f"{name} must have the configuration of the drill: {CONFIGURATION}"
    if not any(word.startswith("--auto-compaction-retention=") for word in compose.command_of("etcd")):
        yield "etcd must forget old revisions (--auto-compaction-retention): a full one accepts no leader"


def _asked(compose: Compose) -> Iterator[str]:
    for name, wanted in HEALTH_CHECKS.items():
        test = compose.services.get(name, {}).get("healthcheck", {}).get("test", ())
        if not " ".join(map(str, test)).endswith(wanted):
            yield f"the health check of {name} must ask {wanted}"


def _own_place(compose: Compose) -> Iterator[str]:
    """Each node has a disk and a name of its own, and the address by which HAProxy asks it."""
    plan = (((compose.whole.get("networks") or {}).get("nodes") or {}).get("ipam") or {}).get("config") or [{}]
    given_out = ip_network(str(plan[0].get("ip_range", "0.0.0.0/0")))
    disks: list[str] = []
    for name in NODES:
        service = compose.services.get(name, {})
        if compose.environment_of(name).get("PATRONI_NAME") != name:
            yield f"{name} must be told its name: PATRONI_NAME"
        disks += [str(each) for each in service.get("volumes", ()) if str(each).endswith(":/var/lib/postgresql")]
        joined = service.get("networks") or {}
        address = str((joined.get("nodes") or {}).get("ipv4_address")) if isinstance(joined, dict) else "None"
        if compose.environment_of("haproxy").get(f"BATUA_HA_{name.upper()}") != address:
            yield f"haproxy must find {name} at its address in the network nodes, {address}"
        elif ip_address(address) in given_out:
            yield f"the address of {name} must lie outside of ip_range, which is given to others"
    if len(set(disks)) != len(NODES):
        yield f"each of {', '.join(NODES)} must have a volume of its own"


def _apart(compose: Compose) -> Iterator[str]:
    for name in compose.services:
        own = compose.networks_of(name)
        if name not in IN_AGREEMENT and own & compose.networks_of("etcd"):
            yield f"{name} must not reach etcd: who does can name another leader"
        if name in NEAR_NODES | IN_AGREEMENT:
            continue
        for node in NODES:
            if own & compose.networks_of(node):
                yield f"{name} must not reach {node}: haproxy leads to the primary, and Patroni takes orders"


def _connected(compose: Compose) -> Iterator[str]:
    needs = {**dict.fromkeys(NODES, ("etcd", "haproxy", *NODES)), "pgbouncer": ("haproxy", *OWN_DATABASE)}
    for name, others in needs.items():
        for other in others:
            both_there = name in compose.services and other in compose.services
            if both_there and not compose.networks_of(name) & compose.networks_of(other):
                yield f"{name} must share a network with {other}"


def _secrets(compose: Compose) -> Iterator[str]:
    for name in NODES:
        if foreign := set(compose.secrets_of(name).values()) - NODE_SECRETS:
            yield f"{name} does not read {', '.join(sorted(foreign))} and must not have it"
        if missing := NODE_SECRETS - set(compose.secrets_of(name).values()):
            yield f"{name} lacks the secret {', '.join(sorted(missing))}"


def _one_or_the_other(compose: Compose) -> Iterator[str]:
    """var/compose.env says which database has the books, to everyone alike."""
    if not _CHOSEN.fullmatch(str(compose.services.get("postgres", {}).get("scale"))):
        yield "postgres must run or not by a variable (scale): with the profile ha there is none"
    for name in OWN_DATABASE:
        if not _CHOSEN.fullmatch(str(compose.environment_of(name).get("BATUA_DATABASE_POOLER"))):
            yield f"{name} must be told BATUA_DATABASE_POOLER by a variable, without a default"
    if "BATUA_DATABASE_POOLER" in compose.environment_of("migrate"):
        yield "migrate must go to the primary itself, not by a pooler"
    if not {"--create-database", "--wait-seconds"} <= set(compose.command_of("migrate")):
        yield "migrate must wait for a cluster and make its database: --create-database --wait-seconds"


_RULES: Sequence[Callable[[Compose], Iterator[str]]] = (
    _configured,
    _asked,
    _own_place,
    _apart,
    _connected,
    _secrets,
    _one_or_the_other,
)


def check_cluster(text: str) -> list[str]:
    """Every rule of this module that this docker-compose.yml breaks."""
    compose = read_compose(text)
    return [f"docker-compose.yml: {problem}" for rule in _RULES for problem in rule(compose)]


def check_cluster_image(text: str, dockerfile: str, compose_text: str) -> list[str]:
    """Every rule that this infra/ha/Dockerfile breaks, beside the services' Dockerfile and this docker-compose.yml."""
    built, services = stages(text), stages(dockerfile)
    problems = [
        f"the base of {stage.name} is not pinned by version and digest: {stage.base or 'none'}"
        for stage in built.values()
        if stage.base not in built and not PINNED.fullmatch(stage.base)
    ]
    single = read_compose(compose_text).services.get("postgres", {}).get("image")
    bases = {name: stage.base for name, stage in built.items()}
    if bases.get("production") != single:
        problems.append(f"production must begin with the Postgres of docker-compose.yml, {single}")
    if "packages" not in services or bases.get("packages") != services["packages"].base:
        problems.append("packages must begin with the base of infra/Dockerfile")
    if list(built)[-1:] != ["production"]:
        problems.append("the last stage must be production: it is built when no target is named")
    users = built["production"].arguments_of("USER") if "production" in built else []
    if users[-1:] != ["postgres"]:
        problems.append("production must end as the user postgres, to whom the volumes belong")
    installs = re.findall(r"pip install[^&;]*", text)
    if not installs or any("--require-hashes" not in install for install in installs):
        problems.append("every pip install needs --require-hashes")
    if re.search(r"--(extra-)?index-url", text):
        problems.append("a registry address belongs to the machine, not to the file")
    return [f"infra/ha/Dockerfile: {problem}" for problem in problems]
