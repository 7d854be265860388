"""Celery, set up so that correctness does not depend on it: its messages are hints, the rows in Postgres are the queue.

Without the broker, or with an empty one, work waits for the next sweep. A message that comes twice changes nothing.
"""

from __future__ import annotations

from typing import Any

from celery import Celery

from shared.tasks.liveness import NoticesLostAcknowledgements
from shared.tasks.names import QUEUE

VISIBILITY_SECONDS = 600
"""An unacknowledged message is delivered again after this time, which is longer than any task may take."""
HEALTH_CHECK_SECONDS = 5
"""After about this long without a word from the broker, the consumer connects again."""


def create_celery(broker_url: str, name: str, *, socket_timeout_seconds: float = 5.0) -> Celery:
    """A Celery application on Redis: JSON only, no results, late acknowledgement, a timeout for every wait."""
    celery = Celery(name, broker=broker_url, set_as_current=False)
    celery.conf.update(_settings(socket_timeout_seconds))
    celery.steps["consumer"].add(NoticesLostAcknowledgements)
    return celery


def _settings(socket_timeout_seconds: float) -> dict[str, Any]:
    return {
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
        "broker_connection_timeout": socket_timeout_seconds,
        "broker_pool_limit": 4,
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_SECONDS,
            "socket_timeout": socket_timeout_seconds,
            "socket_connect_timeout": socket_timeout_seconds,
            "socket_keepalive": True,
            "health_check_interval": HEALTH_CHECK_SECONDS,
            "retry_on_timeout": False,
            # Publishing fails at once when the broker is away. The consumer's endless retry is set above.
            "max_retries": 0,
            "interval_start": 0,
            "interval_step": 0.2,
            "interval_max": 1,
        },
        "timezone": "UTC",
        "beat_cron_starting_deadline": 3600,
    }
