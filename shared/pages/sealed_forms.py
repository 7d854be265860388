"""What was typed into a form, sealed into the address of its review: encrypted, short-lived, of no use to anyone else.

A review is a page of its own, so that a reload or Back shows it again and never sends a form twice. The form's
idempotency key travels with it: however often the review is confirmed, it takes effect once.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import Annotated

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from fastapi import Depends, Request

from shared import clock
from shared.auth.tokens import Identity
from shared.config import TokenSettings
from shared.http.dependencies import CurrentResources
from shared.pages.forms import SECRETS, Form

MAX_AGE_SECONDS = 15 * 60
TOO_OLD = (
    "What you had typed is no longer here: it is kept for 15 minutes, in the browser that sent it. "
    "Nothing was done now. Look at your activity first, then fill in the form again."
)


class FormSeal:
    """Seals forms with the keys that sign tokens: the first seals, all open."""

    def __init__(self, settings: TokenSettings) -> None:
        self._fernet = MultiFernet([Fernet(_sealing_key(key.get_secret_value())) for key in settings.token_keys])

    def seal(self, form: Form, names: Iterable[str], *, caller: Identity, purpose: str) -> str:
        """The fields `names` and the key of a form, for this session of `caller` and for this purpose alone.

        A secret is never sealed, even if it is named.
        """
        values = {name: form.value(name) for name in names if name not in SECRETS and form.value(name)}
        content = json.dumps([_bound_to(caller, purpose), form.key, values])
        return self._fernet.encrypt_at_time(content.encode(), int(clock.now().timestamp())).decode()

    def unseal(self, sealed: str, *, caller: Identity, purpose: str) -> Form | None:
        """The form as it was typed; None if it is too old, another session's, of another purpose, or never sealed."""
        try:
            content = self._fernet.decrypt(sealed.encode())
            sealed_at = self._fernet.extract_timestamp(sealed.encode())
        except InvalidToken:
            return None
        bound_to, key, values = json.loads(content)
        age = clock.now().timestamp() - sealed_at
        if bound_to != _bound_to(caller, purpose) or age > MAX_AGE_SECONDS:
            return None
        return Form(values, key=key)


def too_old() -> Form:
    """In place of a form that cannot be unsealed: empty, and it says why."""
    return Form(problem=TOO_OLD, status=HTTPStatus.GONE)


def _sealing_key(secret: str) -> bytes:
    """A key of its own, so that nothing sealed is ever a token, or the other way round."""
    return base64.urlsafe_b64encode(hashlib.sha256(b"batua-form:" + secret.encode()).digest())


def _bound_to(caller: Identity, purpose: str) -> list[str]:
    return [str(caller.owner_id), str(caller.session_id), purpose]


async def current_seal(request: Request, resources: CurrentResources) -> FormSeal:
    """The seal of this process, made at its first use."""
    state = request.app.state
    if not hasattr(state, "form_seal"):
        state.form_seal = FormSeal(resources.settings)
    seal: FormSeal = state.form_seal
    return seal


CurrentSeal = Annotated[FormSeal, Depends(current_seal)]
