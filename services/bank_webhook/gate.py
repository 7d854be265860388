"""Every check that a call passes before its notice is believed. None of them needs the database."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.requests import ClientDisconnect, Request

from services.bank_webhook.errors import BankNotFound, BodyIncomplete, SourceNotAllowed
from services.bank_webhook.rejections import RejectionLog
from services.bank_webhook.settings import BankWebhookSettings, Sender
from shared import clock, spans
from shared.banks.notices import Notice
from shared.banks.signatures import verify
from shared.banks.table import BANKS
from shared.errors import BatuaError
from shared.http.body_limit import UnreadBody
from shared.http.client_address import Source, is_in, source_of
from shared.http.errors import BodyTooLarge, JsonRequired

MAX_BODY_BYTES = 64 * 1024
_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notice that is known to come from its bank, the bank's own id for it, and the trace of the request with it."""

    webhook_id: str
    notice: Notice
    trace: spans.Context | None = field(default=None, compare=False)


class Gate:
    """Accepts a call only when it comes from its bank. Every rejection is counted and, within bounds, logged."""

    def __init__(self, settings: BankWebhookSettings) -> None:
        self._settings = settings
        self._senders = settings.senders
        self._rejections = RejectionLog()

    async def admit(self, bank: str, request: Request) -> Delivery:
        """The delivery in `request`. Raises the error of the first check that fails; see `_check`."""
        source = source_of(request, self._settings)
        try:
            return await self._check(bank, source, request)
        except BatuaError as error:
            known_bank = bank if bank in self._senders else _UNKNOWN
            self._rejections.record(known_bank, error.code, str(source.nearest or _UNKNOWN))
            raise

    async def _check(self, bank: str, source: Source, request: Request) -> Delivery:
        """The checks in their order: the cheapest first, the body before its signature, the format last."""
        sender = self._sender(bank)  # BankNotFound
        _check_source(source, sender)  # SourceNotAllowed
        _check_announced_size(request)  # BodyTooLarge
        _check_media_type(request)  # JsonRequired
        body = await _read_body(request)  # BodyTooLarge, BodyTooSlow, BodyIncomplete
        webhook_id = self._verify(sender, request, body)  # SignatureInvalid
        notice = BANKS[bank].decode(body)  # NoticeUnreadable
        return Delivery(webhook_id, notice, spans.context())

    def _sender(self, bank: str) -> Sender:
        sender = self._senders.get(bank)
        if sender is None:
            raise BankNotFound
        return sender

    def _verify(self, sender: Sender, request: Request, body: bytes) -> str:
        return verify(
            [secret.get_secret_value() for secret in sender.webhook_secrets],
            request.headers,
            body,
            now=clock.now(),
            tolerance_seconds=self._settings.webhook_tolerance_seconds,
        )


def _check_source(source: Source, sender: Sender) -> None:
    if source.caller is None or not is_in(source.caller, sender.webhook_networks):
        raise SourceNotAllowed


def _check_announced_size(request: Request) -> None:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > MAX_BODY_BYTES:
        raise BodyTooLarge(MAX_BODY_BYTES)


def _check_media_type(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise JsonRequired


async def _read_body(request: Request) -> bytes:
    received = bytearray()
    try:
        async for chunk in request.stream():
            received += chunk
            if len(received) > MAX_BODY_BYTES:
                raise BodyTooLarge(MAX_BODY_BYTES)
    except UnreadBody as unread:
        raise unread.error from None
    except ClientDisconnect:
        raise BodyIncomplete from None
    return bytes(received)
