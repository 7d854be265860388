"""An on-ramp in words: one table for every page that names one."""

from __future__ import annotations

from dataclasses import dataclass

from shared.banks.table import BANKS
from shared.models.on_ramp import OnRampStatus
from shared.on_ramps.views import OnRampView
from shared.pages import formatting

_STATES = {
    OnRampStatus.PENDING: ("Waiting for {bank}", "wait", "clock"),
    OnRampStatus.SUCCESS: ("Money added", "good", "check"),
    OnRampStatus.FAILURE: ("No money added", "bad", "cross"),
    OnRampStatus.EXPIRED: ("Time ran out", "calm", "clock"),
    OnRampStatus.CANCELLED: ("Cancelled", "calm", "cross"),
}
_CANCELLING = ("Being cancelled", "wait", "clock")
_SENTENCES = {
    OnRampStatus.PENDING: (
        "Once you have approved it at {bank}, the money arrives by itself. If you do not approve it{until}, it ends "
        "and nothing is taken."
    ),
    OnRampStatus.SUCCESS: "{bank} has confirmed. You have {balance} now.",
    OnRampStatus.EXPIRED: "It was not approved at {bank} in time. No money was taken.",
    OnRampStatus.CANCELLED: "You cancelled it. It cannot be approved at {bank} any more, and no money was taken.",
}
_LATE_SUCCESS = "{bank} confirmed it after it had ended here, so the money was added after all. You have {balance} now."
_CANCELLING_SENTENCE = (
    "{bank} has not confirmed yet that it is cancelled; we keep asking. If you approved it before, the money arrives."
)
_CANCELLED_UNCONFIRMED = "You cancelled it. If {bank} took money all the same, it is added as soon as {bank} tells us."
_FAILURES = {
    "bank_unavailable": "{bank} could not be reached. You were asked for nothing and no money was taken.",
    "insufficient_funds": "There was not enough money in your account at {bank}. No money was taken.",
    "expired": "{bank} has not told us for a day what became of it. If it took money, it is added as soon as we hear.",
    "given_back": "{bank} took the money back into your account there.",
}
_DECLINED = "It was declined at {bank}. No money was taken."


@dataclass(frozen=True, slots=True)
class OnRampWords:
    """What pages say of an on-ramp: `state` wherever it is named, `sentence` on its own page.

    `is_open`: it has not ended, so its page changes by itself.
    """

    state: str
    sentence: str
    tone: str
    icon: str
    bank: str
    is_open: bool
    may_cancel: bool


def words_for(on_ramp: OnRampView, *, balance: int = 0) -> OnRampWords:
    """The on-ramp in words. `balance` is the wallet's, in paise."""
    bank = BANKS[on_ramp.bank].name
    is_open = not on_ramp.status.is_final
    is_cancelling = is_open and on_ramp.cancel_requested_at is not None
    state, tone, icon = _CANCELLING if is_cancelling else _STATES[on_ramp.status]
    until = f" by {formatting.at(on_ramp.expires_at)}" if on_ramp.expires_at is not None else ""
    sentence = _CANCELLING_SENTENCE if is_cancelling else _sentence(on_ramp)
    return OnRampWords(
        state=state.format(bank=bank),
        sentence=sentence.format(bank=bank, until=until, balance=formatting.rupees(balance)),
        tone=tone,
        icon=icon,
        bank=bank,
        is_open=is_open,
        may_cancel=is_open and not is_cancelling,
    )


def _sentence(on_ramp: OnRampView) -> str:
    match on_ramp.status:
        case OnRampStatus.SUCCESS if on_ramp.is_late_success:
            return _LATE_SUCCESS
        case OnRampStatus.CANCELLED if on_ramp.failure_reason == "expired" and on_ramp.redirect_url is not None:
            return _CANCELLED_UNCONFIRMED
        case OnRampStatus.FAILURE:
            return _FAILURES.get(on_ramp.failure_reason or "", _DECLINED)
        case status:
            return _SENTENCES[status]
