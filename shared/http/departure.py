"""A service that is told to stop says so for a while before it closes its port.

A proxy that looks at `/readyz` sends new requests elsewhere meanwhile, and gives up the connections that each answer
ends. So none of its requests meets a closed port or a connection that is being closed.
"""

from __future__ import annotations

import logging

_logger = logging.getLogger(__name__)


class Departure:
    """Whether an application has announced that it stops."""

    __slots__ = ("is_announced",)

    def __init__(self) -> None:
        self.is_announced = False

    def announce(self) -> None:
        """Be no longer ready, and end each connection with its next answer."""
        _logger.info("told to stop: not ready any more, and serving on until the proxies have noticed")
        self.is_announced = True
