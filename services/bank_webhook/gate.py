"""The four checks in front of everything, in order, cheapest first. None of them needs the database."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request

from services.bank_webhook.errors import BankNotFound, BodyIncomplete, SourceNotAllowed
from services.bank_webhook.rejections import RefusalLog
from services.bank_webhook.settings import BankWebhookSettings, Sender
from shared import clock
from shared.banks.notices import Notice
from shared.banks.signatures import verify
from shared.banks.table import BANKS
from shared.errors import BatuaError
from shared.http.client_address import Address, client_address, is_in
from shared.http.errors import BodyTooLarge, JsonRequired
from shared.http.middleware import UnreadBody

MAX_BODY_BYTES = 64 * 1024
_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notice that is known to come from its bank, under the bank's own id for it."""

    webhook_id: str
    notice: Notice


class Gate:
    """Lets authentic deliveries through; everything else is refused, counted and, within bounds, logged."""

    def __init__(self, settings: BankWebhookSettings) -> None:
        self._settings = settings
        self._senders = settings.senders
        self._log = RefusalLog()

    async def admit(self, bank: str, request: Request) -> Delivery:
        """The delivery in `request`.

        Raises BankNotFound, SourceNotAllowed, BodyTooLarge, JsonRequired, BodyTooSlow, BodyIncomplete,
        SignatureInvalid, NoticeUnreadable: the first that applies.
        """
        source = self._source(request)
        sender = self._senders.get(bank)
        try:
            if sender is None:
                raise BankNotFound
            return await self._check(sender, source, request)
        except BatuaError as error:
            self._log.note(sender.bank if sender else _UNKNOWN, error.code, str(source or _UNKNOWN))
            raise

    async def _check(self, sender: Sender, source: Address | None, request: Request) -> Delivery:
        if source is None or not is_in(source, sender.networks):
            raise SourceNotAllowed
        body = await self._read(request)
        webhook_id = verify(
            [secret.get_secret_value() for secret in sender.secrets],
            request.headers,
            body,
            now=clock.now(),
            tolerance_seconds=self._settings.webhook_tolerance_seconds,
        )
        return Delivery(webhook_id, BANKS[sender.bank].decode(body))

    def _source(self, request: Request) -> Address | None:
        peer = request.client.host if request.client else None
        forwarded_for = request.headers.getlist("x-forwarded-for")
        return client_address(peer, forwarded_for, self._settings.trusted_proxies)

    async def _read(self, request: Request) -> bytes:
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced[:20]) > MAX_BODY_BYTES:
            raise BodyTooLarge(MAX_BODY_BYTES)
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise JsonRequired
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
