"""Celery, set up so that correctness does not depend on it: its messages are hints, the rows in Postgres are the queue.

Without the broker, or with an empty one, work waits for the next sweep. A message that comes twice changes nothing.
"""

from __future__ import annotations

from typing import Any

from celery import Celery

from shared.addresses import read_servers
from shared.tasks.brokers import broker_settings
from shared.tasks.liveness import NoticesLostAcknowledgements
from shared.tasks.names import QUEUE


def create_celery(broker_url: str, name: str, *, socket_timeout_seconds: float = 5.0) -> Celery:
    """A Celery application: JSON only, no results, late acknowledgement, a timeout for every wait."""
    celery = Celery(name, set_as_current=False)
    celery.conf.update(_SETTINGS)
    celery.conf.update(
        broker_settings(broker_url, socket_timeout_seconds), broker_connection_timeout=socket_timeout_seconds
    )
    if not read_servers(broker_url).is_amqp:  # RabbitMQ takes back what was not acknowledged
        celery.steps["consumer"].add(NoticesLostAcknowledgements)
    return celery


_SETTINGS: dict[str, Any] = {
    "task_default_queue": QUEUE,
    "task_ignore_result": True,
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "task_acks_on_failure_or_timeout": True,  # the sweep repeats a failed hint, the broker does not
    "task_publish_retry": False,
    "worker_prefetch_multiplier": 1,
    "worker_send_task_events": False,
    "worker_enable_remote_control": False,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    # A call to a bank goes on when the broker is lost: its outcome has to be recorded.
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "broker_connection_retry": True,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    # A broker that is full or became a replica refuses commands. That passes like a lost connection: without this
    # the worker would end, and with it the dispatcher of payouts.
    "broker_channel_error_retry": True,
    "broker_pool_limit": 4,
    "timezone": "UTC",
    "beat_cron_starting_deadline": 3600,
}
