"""What was typed into a form, sealed: encrypted, short-lived, of no use to anyone else. `kept_forms` keeps it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from shared import clock
from shared.config import TokenSettings
from shared.pages.forms import Form

MAX_AGE_SECONDS = 15 * 60
MAX_SEALED_LENGTH = 3_500
"""An address with it, or a cookie of it, stays below the 4 KB that every browser and proxy takes."""


class FormSeal:
    """Seals forms with the keys that sign tokens: the first seals, all open."""

    def __init__(self, settings: TokenSettings) -> None:
        self._fernet = MultiFernet([Fernet(_sealing_key(key.get_secret_value())) for key in settings.token_keys])

    def seal(self, form: Form, *, bound_to: Sequence[str]) -> str:
        """A form with its key and errors, for its purpose and for whom it is bound to. Secrets are never sealed.

        What makes it longer than MAX_SEALED_LENGTH is left out, the longest text first: no field takes such text.
        """
        typed = form.typed
        while len(sealed := self._encrypt(form, typed, bound_to)) > MAX_SEALED_LENGTH and typed:
            del typed[max(typed, key=lambda name: len(name) + len(typed[name]))]
        return sealed

    def unseal(self, sealed: str, *, bound_to: Sequence[str], purpose: str) -> Form | None:
        """The form as it was sealed; None if it is too old, another's, of another purpose, or never sealed."""
        try:
            content = self._fernet.decrypt(sealed.encode())
            sealed_at = self._fernet.extract_timestamp(sealed.encode())
        except InvalidToken:
            return None
        bound, action, key, values, errors, problem, was_refused, missing = json.loads(
            content.decode("utf-8", "surrogatepass")
        )
        age = clock.now().timestamp() - sealed_at
        if bound != [*bound_to, purpose] or age > MAX_AGE_SECONDS:
            return None
        return Form(
            values,
            errors,
            problem,
            key=key,
            action=action,
            page=purpose,
            purpose=purpose,
            was_refused=was_refused,
            missing=missing,
        )

    def _encrypt(self, form: Form, typed: dict[str, str], bound_to: Sequence[str]) -> str:
        outcome = [form.errors, form.problem, form.was_refused, form.missing]
        content = [[*bound_to, form.purpose], form.action, form.key, typed, *outcome]
        written = json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass")
        return self._fernet.encrypt_at_time(written, int(clock.now().timestamp())).decode()


def _sealing_key(secret: str) -> bytes:
    """A key of its own, so that nothing sealed is ever a token, or the other way round."""
    return base64.urlsafe_b64encode(hashlib.sha256(b"batua-form:" + secret.encode()).digest())
