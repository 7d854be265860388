"""Deliveries to the webhook that no bank sent, each made from one that a bank could have sent."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random

from shared import clock
from shared.banks.notices import PaymentNotice
from shared.banks.table import BANKS
from shared.ids import new_token
from tests.support.bank_notices import SECRETS, SignedRequest, new_webhook_secret, signed

BANK_ADDRESS, OTHER_ADDRESS = "203.0.113.7", "198.51.100.7"
"""Where the bank calls from, as the proxy in front of the webhook says, and where it does not."""
TOLERANCE_SECONDS = 300
FAR_SECONDS = 10 * 365 * 24 * 3600
_MARGIN_SECONDS = 60
"""A request waits no longer than this, or an early one would be in time."""


@dataclass(frozen=True, slots=True)
class Hostile:
    """One delivery, and from which address the proxy says that it comes."""

    kind: str
    request: SignedRequest
    address: str = BANK_ADDRESS

    @property
    def headers(self) -> Mapping[str, str]:
        """With what the proxy adds."""
        return {**self.request.headers, "x-forwarded-for": self.address}


def hostile(number: int, notice: PaymentNotice, seed: int) -> Hostile:
    """The delivery of this number; the same for the same seed but for times and ids."""
    rng = Random(f"{seed} {number}")
    kind = list(_KINDS)[number % len(_KINDS)]
    request = _KINDS[kind](notice, rng)
    return Hostile(kind, request, OTHER_ADDRESS if kind == "from elsewhere" else BANK_ADDRESS)


def _forged(notice: PaymentNotice, rng: Random) -> SignedRequest:
    genuine = signed(notice)
    signature = genuine.headers["webhook-signature"]
    stranger = signed(notice, secret=new_webhook_secret())
    other_bank = signed(notice, secret=next(secret for bank, secret in SECRETS.items() if bank != notice.bank))
    position = rng.randrange(3, len(signature) - 1)  # of the last character two bits mean nothing
    flipped = signature[:position] + ("A" if signature[position] != "A" else "B") + signature[position + 1 :]
    offered = [flipped, "", "v1,", "v1", signature.replace("v1,", "v1a,"), signature[3:], signature[:-2]]
    offered += [" ".join([flipped] * rng.randrange(1, 30)), signature.upper(), f"v1,{new_token(32)}", f'"{signature}"']
    return rng.choice([stranger, other_bank, *(_with(genuine, **{"webhook-signature": each}) for each in offered)])


def _stale(notice: PaymentNotice, rng: Random) -> SignedRequest:
    away = timedelta(seconds=rng.randrange(TOLERANCE_SECONDS + _MARGIN_SECONDS, FAR_SECONDS))
    return signed(notice, at=clock.now() + rng.choice([-away, away]))


def _replayed(notice: PaymentNotice, rng: Random) -> SignedRequest:
    """Seen on its way once, and sent again as if it were another."""
    seen = signed(notice, at=clock.now() - timedelta(seconds=rng.randrange(1, TOLERANCE_SECONDS)))
    stamp = str(int(clock.now().timestamp()) + rng.randrange(1, TOLERANCE_SECONDS))
    others = [bank for bank in BANKS if bank != notice.bank]
    return rng.choice(
        [
            _with(seen, **{"webhook-id": f"msg_{new_token()}"}),
            _with(seen, **{"webhook-timestamp": stamp}),
            _with(seen, **{"webhook-id": f"msg_{new_token()}", "webhook-timestamp": stamp}),
            replace(seen, path=f"/webhooks/{rng.choice(others)}"),
            replace(seen, body=signed(replace(notice, amount=notice.amount + 1)).body),
        ]
    )


def _truncated(notice: PaymentNotice, rng: Random) -> SignedRequest:
    genuine = signed(notice)
    kept = rng.randrange(len(genuine.body))
    return replace(genuine, body=rng.choice([genuine.body[:kept], genuine.body[kept + 1 :]]))


def _re_encoded(notice: PaymentNotice, rng: Random) -> SignedRequest:
    """The same notice in other bytes."""
    genuine = signed(notice)
    said = json.loads(genuine.body)
    text = genuine.body.decode()
    bodies = [json.dumps(said, indent=rng.randrange(1, 9)).encode(), text.replace(":", " :").encode()]
    bodies += [b"\xef\xbb\xbf" + genuine.body, genuine.body + rng.choice([b" ", b"\n", b"\x00", b"{}"])]
    bodies += [text.encode("utf-16"), text.encode("utf-32"), gzip.compress(genuine.body)]
    bodies += [base64.b64encode(genuine.body), json.dumps(text).encode(), b"[" + genuine.body + b"]"]
    bodies += ["".join(f"\\u{ord(letter):04x}" if letter == "t" else letter for letter in text).encode()]
    types = ["application/json", "application/json; charset=utf-16", "text/plain", "application/x-www-form-urlencoded"]
    changed = replace(genuine, body=rng.choice([body for body in bodies if body != genuine.body]))
    return _with(changed, **{"content-type": rng.choice(types)})


def _from_elsewhere(notice: PaymentNotice, rng: Random) -> SignedRequest:
    return signed(notice)


_KINDS: Mapping[str, Callable[[PaymentNotice, Random], SignedRequest]] = {
    "forged": _forged,
    "stale": _stale,
    "replayed": _replayed,
    "truncated": _truncated,
    "re-encoded": _re_encoded,
    "from elsewhere": _from_elsewhere,
}


def _with(request: SignedRequest, **headers: str) -> SignedRequest:
    return replace(request, headers={**request.headers, **headers})
