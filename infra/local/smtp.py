"""A local SMTP server on loopback that stores every message as a file instead of sending it.

A message is one `.eml` file; it appears only when it is complete.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from pathlib import Path

import uvloop
from aiosmtpd.smtp import SMTP, Envelope, Session

from shared.ids import new_id

MESSAGE_BOUND_BYTES = 1024 * 1024
_log = logging.getLogger("batua.smtp")


class Mailbox:
    """Stores every message in a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    # aiosmtpd calls it by this name, with these arguments.
    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Store one message. After the answer 250 it is in the directory, and the sender need not keep it."""
        file = self._directory / f"{new_id()}.eml"
        partial = file.with_suffix(".partial")
        partial.write_bytes(envelope.original_content or b"")
        partial.rename(file)
        _log.info("filed %s for %s", file.name, ", ".join(envelope.rcpt_tos))
        return "250 Message accepted for delivery"


async def serve(*, port: int, directory: Path) -> None:
    """Listen until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    mailbox = Mailbox(directory)

    def new_session() -> SMTP:
        return SMTP(mailbox, data_size_limit=MESSAGE_BOUND_BYTES, hostname="localhost", enable_SMTPUTF8=True)

    server = await loop.create_server(new_session, "127.0.0.1", port)
    _log.info("filing mail in %s, listening on 127.0.0.1:%s", directory, port)
    async with server:
        await stop.wait()


def main() -> None:
    """`python -m infra.local.smtp --port 8025 --directory var/mail`."""
    parser = argparse.ArgumentParser(description="An SMTP server that stores messages as files")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    uvloop.run(serve(port=arguments.port, directory=arguments.directory))


if __name__ == "__main__":
    main()
