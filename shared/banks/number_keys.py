"""The keys of account numbers, and what they make of a number: text that only they can read, an index, a digest.

What is encrypted is `<key id>:<base64url of nonce and ciphertext>`, by AES-256-GCM with a random nonce of 96 bits. It
can be read at its own place alone: what names the place (the associated data) must be the same as at the writing. A
number has few digits, so whatever is made of one without a key can be found out by trying; so can its length.
"""

from __future__ import annotations

import hmac
import os
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr, model_validator

from shared.banks.account_numbers import LONGEST_NUMBER
from shared.config import SecretList, Settings
from shared.errors import Unavailable

_NONCE_LENGTH = 12
_KEY_LENGTH = 32
_KEY = re.compile(r"(?P<id>[A-Za-z0-9-]{1,16}):(?P<secret>[A-Za-z0-9_-]{43}=?)")


@dataclass(eq=False)
class NumberUnreadable(Unavailable):
    """No key here reads it, or it was not written for this place. `key_id` names the key that wrote it."""

    key_id: str

    code = "account_number_unreadable"
    title = "This account number cannot be read now; try again later"


class AccountNumberSettings(Settings):
    """Account numbers are encrypted in Postgres."""

    account_number_keys: SecretList
    """Keys of account numbers, each `<id>:<32 random bytes in base64url>`: the first encrypts, each decrypts what it
    wrote. Operations says how to rotate them; a number whose key is lost cannot be paid to."""

    @model_validator(mode="after")
    def _are_keys(self) -> Self:
        matches = [_KEY.fullmatch(key.get_secret_value()) for key in self.account_number_keys]
        ids = [match["id"] for match in matches if match]
        if len(ids) < len(matches) or len(set(ids)) < len(ids):
            raise ValueError("BATUA_ACCOUNT_NUMBER_KEYS is a list of <id>:<32 bytes in base64url>, each id once")
        return self


@dataclass(frozen=True, slots=True)
class _Key:
    """Three keys made of one secret, so that what one of them made says nothing about the others."""

    id: str
    encryption: AESGCM
    index: bytes
    digest: bytes

    @classmethod
    def of(cls, written: SecretStr) -> _Key:
        key_id, _, secret = written.get_secret_value().partition(":")
        material = urlsafe_b64decode(secret.rstrip("=") + "=")
        encryption, index, digest = (_derived(material, purpose) for purpose in ("encryption", "index", "digest"))
        return cls(key_id, AESGCM(encryption), index, digest)


class NumberKeys:
    """Encrypts with the first key, decrypts with all."""

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        self._keys = [_Key.of(key) for key in keys]
        self._current = self._keys[0]

    @property
    def current_id(self) -> str:
        """The id of the key that encrypts: what it wrote begins with it and a colon."""
        return self._current.id

    def encrypt(self, number: str, *, place: bytes) -> str:
        """The number, readable for this place alone. Two encryptions of it have nothing in common but the key's id."""
        nonce = os.urandom(_NONCE_LENGTH)
        content = self._current.encryption.encrypt(nonce, number.ljust(LONGEST_NUMBER).encode(), place)
        return f"{self._current.id}:{urlsafe_b64encode(nonce + content).decode()}"

    def decrypt(self, encrypted: str, *, place: bytes) -> str:
        """The number that was encrypted for this place. Raises NumberUnreadable."""
        key_id, _, written = encrypted.partition(":")
        for key in self._keys:
            if key.id == key_id:
                try:
                    content = urlsafe_b64decode(written)
                    number = key.encryption.decrypt(content[:_NONCE_LENGTH], content[_NONCE_LENGTH:], place)
                except (InvalidTag, NotBase64, ValueError):
                    break
                return number.decode().rstrip()
        raise NumberUnreadable(key_id)

    def index(self, number: str) -> str:
        """The same text for the same number, under the current key."""
        return _hash(self._current.index, number)

    def indexes(self, number: str) -> list[str]:
        """What rows have as the index of this number, under any of the keys."""
        return [_hash(key.index, number) for key in self._keys]

    def digests(self, number: str) -> list[str]:
        """What stands for the number where it is compared and never read: under each key, the current one first."""
        return [_hash(key.digest, number) for key in self._keys]


def _derived(material: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), _KEY_LENGTH, salt=None, info=f"batua account number {purpose}".encode()).derive(material)


def _hash(key: bytes, number: str) -> str:
    return hmac.digest(key, number.encode(), "sha256").hex()
