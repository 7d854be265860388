"""Devices on which an owner has signed in before, known by a signed entry in a cookie of the browser.

An entry names the device and when it was written, and is signed for one owner and one app. It signs in to nothing: it
only says that wrong passwords of strangers need not slow down this device.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from uuid import UUID

from shared import clock
from shared.auth.tokens import Audience
from shared.config import TokenSettings
from shared.ids import new_id

MAX_ENTRIES = 4
"""Owners whom one browser remembers, the newest."""
KNOWN_SECONDS = 180 * 24 * 3600
"""Since the last sign-in there."""
_ID_BYTES, _TIME_BYTES, _SIGNATURE_BYTES = 16, 4, 16
_ENTRY_LENGTH = 48
"""Characters."""
_SEPARATOR = "."
_ENTRY = re.compile(rf"[A-Za-z0-9_-]{{{_ENTRY_LENGTH}}}")


class Devices:
    """Writes and reads the entries of one app. The first key signs, all verify."""

    def __init__(self, settings: TokenSettings, audience: Audience) -> None:
        secrets = [key.get_secret_value().encode() for key in settings.token_keys]
        self._keys = [hashlib.sha256(b"batua-device:" + secret).digest() for secret in secrets]
        self._audience = audience

    def known(self, owner_id: UUID, given: str) -> UUID | None:
        """The id of the device, if the cookie's value has an entry for this owner that is not too old."""
        found = (self._device_in(entry, owner_id) for entry in _entries(given))
        return next((device_id for device_id in found if device_id is not None), None)

    def remembered(self, owner_id: UUID, given: str) -> str:
        """The value of the cookie after this owner has signed in: with a new entry, and with those of others."""
        others = [entry for entry in _entries(given) if self._device_in(entry, owner_id) is None]
        device_id = self.known(owner_id, given) or new_id()
        said = device_id.bytes + int(clock.now().timestamp()).to_bytes(_TIME_BYTES)
        entry = urlsafe_b64encode(said + self._signature(self._keys[0], owner_id, said)).decode()
        return _SEPARATOR.join([entry, *others][:MAX_ENTRIES])

    def _device_in(self, entry: str, owner_id: UUID) -> UUID | None:
        read = urlsafe_b64decode(entry)
        said, signature = read[:-_SIGNATURE_BYTES], read[-_SIGNATURE_BYTES:]
        if not any(hmac.compare_digest(signature, self._signature(key, owner_id, said)) for key in self._keys):
            return None
        age_seconds = clock.now().timestamp() - int.from_bytes(said[_ID_BYTES:])
        return UUID(bytes=said[:_ID_BYTES]) if age_seconds < KNOWN_SECONDS else None

    def _signature(self, key: bytes, owner_id: UUID, said: bytes) -> bytes:
        signed = b"%s:%s:%s" % (self._audience.encode(), owner_id.bytes, said)
        return hmac.digest(key, signed, "sha256")[:_SIGNATURE_BYTES]


def _entries(given: str) -> list[str]:
    """What looks like an entry; nothing of a value that is longer than we write."""
    if len(given) > MAX_ENTRIES * (_ENTRY_LENGTH + len(_SEPARATOR)):
        return []
    return [entry for entry in given.split(_SEPARATOR) if _ENTRY.fullmatch(entry)]
