"""How Celery reaches each kind of broker: Redis, Redis behind Sentinel, RabbitMQ."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from shared.addresses import Servers, read_servers
from shared.tasks.broker import BoundedSentinelTransport, BoundedTransport
from shared.tasks.rabbitmq import VerifyingTransport, bounded_queue

VISIBILITY_SECONDS = 600
"""Redis delivers an unacknowledged message again after this time, which is longer than any task may take. RabbitMQ does
when its connection is lost."""
HEALTH_CHECK_SECONDS = 5
"""After about this long without a word from Redis, the consumer connects again; from RabbitMQ, after twice as long."""
_TRANSIENT = 1

# Publishing fails at once when the broker is away. The consumer's endless retry is set apart.
_AT_ONCE = {"max_retries": 0, "interval_start": 0, "interval_step": 0.2, "interval_max": 1}


def broker_settings(url: str, socket_timeout_seconds: float) -> Mapping[str, Any]:
    """Celery's settings for the broker at this URL."""
    servers = read_servers(url)
    if servers.is_amqp:
        return _rabbitmq(url, servers, socket_timeout_seconds)
    if servers.is_sentinel:
        return _sentinel(servers, socket_timeout_seconds)
    return {"broker_url": url, "broker_transport": BoundedTransport, **_redis(servers, socket_timeout_seconds)}


def _redis(servers: Servers, socket_timeout_seconds: float, **more: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_SECONDS,
            "socket_timeout": socket_timeout_seconds,
            "socket_connect_timeout": socket_timeout_seconds,
            "socket_keepalive": True,
            "health_check_interval": HEALTH_CHECK_SECONDS,
            "retry_on_timeout": False,
            **_AT_ONCE,
            **more,
        }
    }
    if servers.is_encrypted:  # a transport of one's own does not see the scheme
        settings["broker_use_ssl"] = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    return settings


def _sentinel(servers: Servers, socket_timeout_seconds: float) -> dict[str, Any]:
    """A URL of the first Sentinel alone: at a second URL, Celery would leave our transport."""
    host, port = servers.named[0]
    user = "" if servers.password is None else f"{quote(servers.user or '', '')}:{quote(servers.password, '')}@"
    timeouts = {"socket_timeout": socket_timeout_seconds, "socket_connect_timeout": socket_timeout_seconds}
    asked: dict[str, Any] = {**timeouts, "password": servers.words.get("sentinel_password")}
    if servers.is_encrypted:
        asked |= {"ssl": True, "ssl_cert_reqs": "required"}
    return {
        "broker_url": f"sentinel://{user}{_bracketed(host)}:{port}/{servers.place or 0}",
        "broker_transport": BoundedSentinelTransport,
        **_redis(
            servers,
            socket_timeout_seconds,
            sentinels=servers.named,
            master_name=servers.words["master"],
            sentinel_kwargs=asked,
        ),
    }


def _rabbitmq(url: str, servers: Servers, socket_timeout_seconds: float) -> dict[str, Any]:
    return {
        "broker_url": url,
        "broker_transport": VerifyingTransport,
        "broker_use_ssl": servers.is_encrypted,
        "broker_heartbeat": 2 * HEALTH_CHECK_SECONDS,
        "broker_transport_options": {
            "read_timeout": socket_timeout_seconds,
            "write_timeout": socket_timeout_seconds,
            **_AT_ONCE,
        },
        "task_queues": [bounded_queue()],
        # A restart of the broker may lose hints, as it may with Redis: the rows are the queue.
        "task_default_delivery_mode": _TRANSIENT,
    }


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
