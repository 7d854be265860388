"""The broker's side of Redis, bounded: a queue has a length, a list that is no longer used goes, and no value stops a
worker.

Messages are hints, so the newest MAX_QUEUED are enough: what they are about is in Postgres. What is in Redis may have
been damaged or forged. It counts as absent: it is dropped, and the worker goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from queue import Empty
from typing import Any

from kombu.transport import redis as kombu_redis
from kombu.utils.eventio import poll
from kombu.utils.json import dumps
from redis import exceptions
from redis.sentinel import Sentinel

from shared.tasks.names import QUEUE

MAX_QUEUED = 10_000
"""Messages that wait. When no worker takes any, the oldest go, which are stale first."""
QUEUE_KEPT_SECONDS = 24 * 3600
"""After the last message, which has expired by then."""

_LOST = (OSError, exceptions.ConnectionError, exceptions.TimeoutError)
"""What Celery answers by connecting again. Kombu counts a KeyError too, which a damaged message may raise."""
_WRONG_TYPE = "WRONGTYPE"
_logger = logging.getLogger(__name__)


class _QoS(kombu_redis.QoS):  # type: ignore[misc]  # kombu has no types
    """What workers hold and have not acknowledged yet."""

    @property
    def tags(self) -> set[str]:
        """Of the messages that this worker holds."""
        return set(self._delivered)

    def restore_visible(self, *args: Any, **options: Any) -> None:
        """Hand out again what a lost worker held. Forgets all of it if that is not what kombu wrote."""
        try:
            super().restore_visible(*args, **options)
        except exceptions.ResponseError as error:
            self.channel.delete_damaged(error)

    def restore_by_tag(self, tag: Any, *args: Any, **options: Any) -> None:
        """Hand one message out again, or forget it if it cannot be read."""
        try:
            super().restore_by_tag(tag, *args, **options)
        except _LOST:
            raise
        except Exception as error:  # whatever reading it raises
            _logger.warning("a message that cannot be read is not handed out again: %s", type(error).__name__)
            self._remove_from_indices(tag).execute()


class _Channel(kombu_redis.Channel):  # type: ignore[misc]
    """Sends and takes messages."""

    QoS = _QoS

    def delete_damaged(self, error: exceptions.ResponseError) -> None:
        """Delete the broker's keys that have another type than theirs. Raises any other error again."""
        if _WRONG_TYPE not in str(error):
            raise error
        with self.conn_or_acquire() as client:
            for key, kind in self._kinds().items():
                if client.type(key).decode() not in {kind, "none"}:
                    _logger.warning("deleting what is no %s in Redis: %s", kind, key)
                    client.delete(key)

    def _kinds(self) -> Mapping[str, str]:
        queues = {self._q_for_pri(QUEUE, priority): "list" for priority in self.priority_steps}
        return {**queues, self.unacked_key: "hash", self.unacked_index_key: "zset"}

    def _size(self, queue: str) -> int:
        """The length of a queue, which a sender asks for before its first message."""
        try:
            return int(super()._size(queue))
        except exceptions.ResponseError as error:
            self.delete_damaged(error)
            return 0

    def _put(self, queue: str, message: Any, **_: Any) -> None:
        """Add a message to a queue, in one round trip, and drop the oldest ones beyond MAX_QUEUED."""
        key, text = self._q_for_pri(queue, self._get_message_priority(message, reverse=False)), dumps(message)
        try:
            self._push(key, text)
        except exceptions.ResponseError as error:
            self.delete_damaged(error)
            self._push(key, text)

    def _push(self, key: str, text: str) -> None:
        with self.conn_or_acquire() as client, client.pipeline() as pipe:
            pipe.lpush(key, text)
            pipe.ltrim(key, 0, MAX_QUEUED - 1)
            pipe.expire(key, QUEUE_KEPT_SECONDS)
            pipe.execute()

    def _brpop_read(self, **options: Any) -> bool:
        """Take a message. One that cannot be read, or that Celery cannot handle, is dropped."""
        held = self.qos.tags
        try:
            return bool(super()._brpop_read(**options))
        except (Empty, *_LOST):
            raise
        except Exception as error:  # whatever reading and handling it raises
            _logger.warning("a message that cannot be read was dropped: %s", type(error).__name__)
            if isinstance(error, exceptions.ResponseError):
                self.delete_damaged(error)
            for tag in self.qos.tags - held:
                self.qos.ack(tag)
            return True


class _Poller(kombu_redis.MultiChannelPoller):  # type: ignore[misc]
    """Waits for messages. It has a file descriptor from the first wait on, and none where another poller waits for it.

    Kombu makes one for each connection and never closes it. A sender waits for no message, and a worker does so with
    the poller of its loop; while the broker is away, each attempt to connect kept one until Python looked for garbage.
    """

    def __init__(self) -> None:
        super().__init__()
        self.poller.close()
        self._poller: Any = None

    @property
    def poller(self) -> Any:
        """What waits."""
        if self._poller is None:
            self._poller = poll()
        return self._poller

    @poller.setter
    def poller(self, value: Any) -> None:
        self._poller = value


class BoundedTransport(kombu_redis.Transport):  # type: ignore[misc]
    """Kombu's transport for Redis, with these channels."""

    Channel = _Channel

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.cycle.poller.close()
        self.cycle: Any = _Poller()

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Begin to take messages. A broker that refuses this is asked again by a new connection: this one is closed.

        Kombu asks for a lock here, which a full broker refuses, and Celery forgets the connection then, open as it is.
        """
        try:
            super().register_with_event_loop(connection, loop)
        except BaseException:
            self.close_connection(connection)
            raise


class _SentinelChannel(_Channel, kombu_redis.SentinelChannel):  # type: ignore[misc]
    """The same, at the server that Sentinels call the master now."""

    from_transport_options = (*kombu_redis.SentinelChannel.from_transport_options, "sentinels")

    def _sentinel_managed_pool(self, asynchronous: bool = False) -> Any:
        """Kombu finds further Sentinels only in a URL for each, and leaves this class when it turns to the next."""
        options = self._connparams(asynchronous)
        del options["host"], options["port"]
        manager = Sentinel(self.sentinels, sentinel_kwargs=self.sentinel_kwargs, **options)  # type: ignore[no-untyped-call]
        # Kombu closes the connections to the Sentinels with these.
        if asynchronous:
            self._async_sentinel_manager = manager
        else:
            self._sentinel_manager = manager
        return manager.master_for(self.master_name).connection_pool  # type: ignore[no-untyped-call]


class BoundedSentinelTransport(BoundedTransport, kombu_redis.SentinelTransport):  # type: ignore[misc]
    """Kombu's transport for Redis behind Sentinel, with these channels."""

    Channel = _SentinelChannel
