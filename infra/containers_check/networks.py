"""The rules of networks and of the proxy: who reaches whom, and what the outside reaches."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from infra.containers_check.compose import REPLICATED, Compose, read_compose

INTERNAL = (
    "front",
    "webhook_front",
    "database",
    "webhook_database",
    "messages",
    "counts",
    "watch",
    "webhook_watch",
    "notices",
    "nodes",
    "agreement",
)
"""Networks without a way out of the machine."""
DATABASES = {"postgres", "pgbouncer"}
"""The only Postgres, or the pooler of the profile `ha`: by which of them, var/compose.env says."""
CALLERS_OF_THE_WEBHOOK = {"proxy", "prometheus", "tempo"}
"""Who shares a network with bank_webhook beside its database: they call it, or take what it reports."""
NEEDS = {
    "withdraw_worker": (*DATABASES, "broker", "cache", "mail"),
    "scheduler": (*DATABASES, "broker"),
    "migrate": ("postgres", "haproxy"),
    **{f"{app}_{number}": (*DATABASES, "broker", "cache", "proxy") for app in REPLICATED[:2] for number in (1, 2)},
    **{f"bank_webhook_{number}": (*DATABASES, "proxy") for number in (1, 2)},
}
"""Who must reach whom."""
STORES = {"postgres": {"backup", "haproxy", "pgbouncer"}, "broker": set[str](), "cache": set[str]()}
"""Each store, and who may be in its networks beside those who need it."""
PUBLISHED = {"proxy", "mail", "dummy_bank", "prometheus", "alertmanager", "grafana"}
"""Who has a port on the machine. No replica has: the proxy is before them."""
DIRECTIVES = {
    "read_header": "the time of a request's head",
    "read_body": "the time of a request's body",
    "max_header_size": "the size of a request's head",
    "max_size": "the size of a request's body",
    "unhealthy_request_count": "the requests of one replica",
    "max_conns_per_host": "the connections to one replica",
    "health_uri /readyz": "traffic to replicas that are ready",
    "lb_try_duration": "the time for another replica",
    "lb_retries": "how often a request is sent again",
    "request_buffers": "what is kept of a body to send it again",
}


def _published(compose: Compose) -> Iterator[str]:
    for name, service in compose.services.items():
        for port in service.get("ports", []):
            if not str(port).startswith("127.0.0.1:"):
                yield f"{name} opens port {port} to the whole network"
            if name not in PUBLISHED:
                yield f"{name} must have no port on the machine: the proxy is before it"


def _joined(compose: Compose) -> Iterator[str]:
    declared = compose.whole.get("networks") or {}
    for name in compose.services:
        if not compose.networks_of(name):
            yield f"{name} must name its networks: in the default one everyone reaches everyone"
        for network in compose.networks_of(name) - declared.keys():
            yield f"{name} is in the network {network}, which is not declared"
    for network in INTERNAL:
        if not (declared.get(network) or {}).get("internal"):
            yield f"the network {network} must be internal"


def _webhook_alone(compose: Compose) -> Iterator[str]:
    """bank_webhook answers the internet: if it is taken over, it reaches Postgres, where its role may do little."""
    replicas = {name for name in compose.services if name.startswith("bank_webhook_")}
    for replica in sorted(replicas):
        own = compose.networks_of(replica)
        for network in own - set(INTERNAL):
            yield f"{replica} must have no way out: {network} is not internal"
        others = {name for name in compose.services if compose.networks_of(name) & own} - replicas
        for database in sorted(DATABASES - others):
            yield f"{replica} must reach {database}"
        for other in sorted(others - DATABASES - CALLERS_OF_THE_WEBHOOK):
            yield f"{replica} shares a network with {other}, and must reach Postgres alone"


def _reaches(compose: Compose) -> Iterator[str]:
    for name, others in NEEDS.items():
        for other in others:
            both_there = name in compose.services and other in compose.services
            if both_there and not compose.networks_of(name) & compose.networks_of(other):
                yield f"{name} must share a network with {other}"


def _stores_alone(compose: Compose) -> Iterator[str]:
    """What is taken over reaches no store that it does not use, so that a password alone is not enough."""
    for store, neighbours in STORES.items():
        users = {name for name, others in NEEDS.items() if store in others} | neighbours
        networks = compose.networks_of(store)
        for name in compose.services:
            if name not in {store, *users} and compose.networks_of(name) & networks:
                yield f"{name} shares a network with {store}, and does not use it"


def _trusted(compose: Compose) -> Iterator[str]:
    """The header that names the caller is believed from the proxy alone, whose address is its own."""
    joined = compose.services.get("proxy", {}).get("networks") or {}
    for name in (f"{app}_{number}" for app in REPLICATED for number in (1, 2)):
        if name not in compose.services:
            continue
        shared = compose.networks_of(name) & set(joined)
        addresses = {str((joined[network] or {}).get("ipv4_address")) for network in shared}
        trusted = str(compose.environment_of(name).get("BATUA_TRUSTED_PROXIES"))
        if {f"{address}/32" for address in addresses} != {trusted}:
            yield f"{name} must trust the proxy's address alone: {', '.join(sorted(addresses))}/32, not {trusted}"
    for network, how in ((network, how or {}) for network, how in dict(joined).items()):
        plan = ((compose.whole["networks"].get(network) or {}).get("ipam") or {}).get("config") or [{}]
        address = how.get("ipv4_address")
        if address and ip_address(address) in ip_network(str(plan[0].get("ip_range", "0.0.0.0/0"))):
            yield f"the proxy's address in {network} must lie outside of ip_range, which is given to others"


def check_networks(text: str) -> list[str]:
    """Every rule of this module that this docker-compose.yml breaks."""
    compose = read_compose(text)
    rules = (_published, _joined, _webhook_alone, _reaches, _stores_alone, _trusted)
    return [f"docker-compose.yml: {problem}" for rule in rules for problem in rule(compose)]


def _site(text: str, variable: str) -> str:
    """The part of the Caddyfile that serves the port of this variable."""
    return text.partition(f":{{${variable}_PORT:")[2].partition("\n}\n")[0]


def check_proxy(text: str, compose_text: str) -> list[str]:
    """Every rule that this Caddyfile breaks, beside this docker-compose.yml."""
    compose = read_compose(compose_text)
    problems = [f"it must bound {what}: {word}" for word, what in DIRECTIVES.items() if word not in text]
    for app in REPLICATED:
        site = _site(text, app.upper())
        replicas = re.findall(rf"\b({app}_\d+):8000", site)
        wanted = sorted(name for name in compose.services if name.startswith(f"{app}_"))
        if sorted(replicas) != wanted or len(replicas) < 2:  # noqa: PLR2004 - one serves while the other is replaced
            problems.append(f"it must send to every replica of {app}: {', '.join(wanted)}")
        if "import entrance" not in site:
            problems.append(f"the site of {app} must begin with TLS (import entrance)")
        methods = set(" ".join(re.findall(r"method ([A-Z ]+)", site)).split())
        if methods != {"GET", "HEAD"} | ({"POST"} if app == "bank_webhook" else set()):
            problems.append(f"the site of {app} must repeat GET and HEAD, and POST of a bank's notice alone")
        if app != "bank_webhook" and "header Idempotency-Key *" not in site:
            problems.append(f"the site of {app} must repeat a request with an Idempotency-Key")
    if "header_up -Forwarded" not in text:
        problems.append("it must drop Forwarded, which a caller may have written")
    return [f"infra/proxy/Caddyfile: {problem}" for problem in problems]
