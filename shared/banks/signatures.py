"""Standard Webhooks signatures over `id.timestamp.body`, for the sender and for the receiver.

The `standardwebhooks` library computes the signature. This module adds several secrets at once (rotation), our clock,
and one named error for everything that may be wrong with the headers.
"""

from __future__ import annotations

import binascii
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from standardwebhooks import Webhook

from shared.errors import Unauthenticated

TOLERANCE_SECONDS = 300
MAX_SIGNATURES = 10

_MESSAGE_ID = re.compile(r"[\x21-\x7e]{1,128}")
_TIMESTAMP = re.compile(r"[0-9]{1,11}")


@dataclass(eq=False)
class SignatureInvalid(Unauthenticated):
    """Nothing proves that the message comes from the bank."""

    code = "signature_invalid"
    title = "The signature is not valid"
    reason: str

    @property
    def detail(self) -> str:
        """What is wrong; it helps the bank and is of no use to a forger."""
        return f"The webhook's signature was not accepted: {self.reason}."


def sign(secret: str, message_id: str, timestamp: datetime, body: bytes) -> dict[str, str]:
    """The three headers that sign `body` (UTF-8). `secret` is `whsec_` + base64; `timestamp` in any zone."""
    moment = timestamp.astimezone(UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": _signature(secret, message_id, moment, body.decode()),
    }


def verify(
    secrets: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: datetime,
    tolerance_seconds: int = TOLERANCE_SECONDS,
) -> str:
    """Return the message id when one of `secrets` signed `body` within the tolerance of `now`.

    Every secret is tried against every signature, in constant time. Raises `SignatureInvalid`.
    """
    given = {name.lower(): value for name, value in headers.items()}
    message_id = given.get("webhook-id", "")
    if not _MESSAGE_ID.fullmatch(message_id):
        raise SignatureInvalid("webhook-id is missing or malformed")
    sent_at = _sent_at(given.get("webhook-timestamp", ""), now, tolerance_seconds)
    offered = [part.encode("utf-8", "replace") for part in given.get("webhook-signature", "").split(" ")]
    if not any(offered) or len(offered) > MAX_SIGNATURES:
        raise SignatureInvalid("webhook-signature is missing or malformed")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise SignatureInvalid("the body is not UTF-8") from None
    expected = [_signature(secret, message_id, sent_at, text).encode() for secret in secrets]
    # A list, not a generator: every pair is compared, so the time taken does not tell which one matched.
    if not any([hmac.compare_digest(ours, theirs) for ours in expected for theirs in offered]):  # noqa: C419
        raise SignatureInvalid("no signature matches")
    return message_id


def check_secret(secret: str) -> None:
    """Check a secret. Raises ValueError unless it is `whsec_` + base64 of at least 24 bytes."""
    try:
        key = binascii.a2b_base64(secret.removeprefix("whsec_"), strict_mode=True)
    except binascii.Error:
        raise ValueError("a webhook secret is whsec_ followed by base64") from None
    if not secret.startswith("whsec_") or len(key) < 24:  # noqa: PLR2004 - the standard's own minimum
        raise ValueError("a webhook secret is whsec_ followed by base64 of at least 24 bytes")


def _sent_at(header: str, now: datetime, tolerance_seconds: int) -> datetime:
    if not _TIMESTAMP.fullmatch(header):
        raise SignatureInvalid("webhook-timestamp is missing or malformed")
    sent_at = datetime.fromtimestamp(int(header), UTC)
    if abs(now - sent_at) > timedelta(seconds=tolerance_seconds):
        raise SignatureInvalid("webhook-timestamp is too far from now")
    return sent_at


def _signature(secret: str, message_id: str, moment: datetime, text: str) -> str:
    signature: str = Webhook(secret).sign(msg_id=message_id, timestamp=moment, data=text)
    return signature
