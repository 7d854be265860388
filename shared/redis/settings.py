"""Where Redis and the broker are: read from `BATUA_REDIS_URL` and `BATUA_BROKER_URL`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from pydantic import Field, SecretStr, model_validator

from shared import production
from shared.addresses import broker_problems, redis_address, redis_problems
from shared.config import PrivateNetworkSettings


class RedisSettings(PrivateNetworkSettings):
    """Redis: wake-ups, counts and messages. It never holds the truth; every service works without it."""

    redis_url: SecretStr
    """`redis://:password@host:port/0`: wake-ups and counts. It may drop what it needs room for (`volatile-ttl`). Behind
    Sentinel: `sentinel://:password@host:26379,host:26379/0?master=<name>`, with the password of Redis, and
    `&sentinel_password=` if the Sentinels have one. TLS: `rediss://`, `sentinels://`."""
    broker_url: SecretStr | None = None
    """What carries Celery's messages: a Redis in the same forms, which must drop no message that it has accepted
    (`noeviction`), or a RabbitMQ: `amqp://user:password@host:5672/<virtual host>`, with TLS `amqps://`. Not set:
    `BATUA_REDIS_URL`, which must then be `noeviction`.
    """
    redis_timeout_seconds: float = Field(default=0.25, gt=0)
    """How long to connect to Redis, or to wait for an answer of it. There is no second try."""

    def refusals(self) -> Iterator[str]:
        """Weak passwords, and ways without TLS."""
        yield from super().refusals()
        for variable, url in (("BATUA_REDIS_URL", self.redis_url), ("BATUA_BROKER_URL", self.broker_url)):
            if url is not None:
                address = redis_address(url.get_secret_value())
                yield from production.weak_password(variable, address)
                scheme = url.get_secret_value().partition(":")[0]
                yield from production.plain_text(variable, address, self.private, f"use {scheme}s://")

    @property
    def broker_address(self) -> str:
        """The URL of what carries messages."""
        return (self.broker_url or self.redis_url).get_secret_value()

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        problems = [f"BATUA_REDIS_URL: {each}" for each in redis_problems(self.redis_url.get_secret_value())]
        if self.broker_url is not None:
            problems += [f"BATUA_BROKER_URL: {each}" for each in broker_problems(self.broker_url.get_secret_value())]
        if problems:
            raise ValueError("; ".join(problems))
        return self
