"""The words of the published API: what each property, parameter and tag means.

One name has one meaning in every schema; `_OF_ONE_SCHEMA` lists the exceptions. A test checks that every property and
parameter is described.
"""

from __future__ import annotations

from collections.abc import Mapping

from shared.api_reference.describe import Vocabulary

DESCRIPTION = """\
**Money.** Every amount is a whole number of paise (100 paise = 1 rupee) beside a `currency`, which is always `INR`.
One transfer or withdrawal is between 1 and 1,000,000,000 paise (one crore rupees).

**Times** are RFC 3339 in UTC. **Ids** are UUIDv7 (RFC 9562). Unknown fields of a body are rejected.

**Sign-in.** Send the `token` of register or login as `Authorization: Bearer ...`; browsers send the `session` cookie.

**Errors** are `application/problem+json` (RFC 9457). Programs rely on `status`, `code` and the named facts; `title` and
`detail` are for people and may change. `errors` names each rejected field of a body.

**Idempotency.** A POST that moves or reserves money needs an `Idempotency-Key`: 1 to 255 visible ASCII characters, new
for each intention. The same key with the same body answers the first status and body again, with
`Idempotent-Replayed: true`, and moves nothing. The same key with another body answers 422 `idempotency_key_reused`.
While the first request runs, a copy answers 409 `request_in_flight`. Any other 4xx moves nothing and frees the key.
After `request_in_flight`, a timeout or a 5xx, repeat the request with the same key, never with a new one.

**Lists** take `limit` (1 to 100) and `cursor`, and answer `items` and `next_cursor`, which is null on the last page.
"""

_TAGS: Mapping[str, str] = {
    "sessions": "Sign up, sign in, sign out, and exchange the PIN for a PIN token.",
    "profile": "The caller's own profile, password and PIN.",
    "accounts": "The caller's accounts: the wallet and pots.",
    "banks": "Banks to add money from and to withdraw to.",
    "events": "Server-sent events about the caller's money.",
    "limits": "Limits per movement and per day.",
    "on-ramps": "Adding money from a bank.",
    "system": "Operations of the platform's system user.",
    "transactions": "The statement of an account, and refunds.",
    "transfers": "Sending money to people, shops and own accounts.",
    "users": "Searching people.",
    "wallet": "The wallet's balance.",
    "withdrawals": "Sending money from the wallet to a bank account.",
    "inflow": "Payments received, by day and month of the shop's time zone.",
    "qr": "The shop's QR code.",
    "webhooks": "Notices that banks send.",
}

_PROPERTIES: Mapping[str, str] = {
    # Money
    "amount": "Paise.",
    "available": "Paise that can be spent: `balance` minus `held`.",
    "is_frozen": "Whether an operator lets nothing leave the account; what comes in is credited.",
    "balance": "Paise on the account, reserved money included.",
    "balance_after": "Paise on the caller's account after this transfer.",
    "currency": "ISO 4217 code, always `INR`.",
    "held": "Paise reserved for withdrawals that have not ended.",
    "refundable": "Paise of the payment that the shop can still refund; null when it is no payment to the shop.",
    "refunded": "Paise of the payment refunded so far, this refund included.",
    # Who
    "email": "Email address, compared without upper and lower case.",
    "first_name": "First name.",
    "last_name": "Last name.",
    "business_name": "Name of the shop.",
    "category": "What the shop sells; null when not given.",
    "timezone": "IANA time zone in which days and months begin.",
    "wallet_id": "The handle that others send money to, such as `asha@batua`.",
    "account_id": "Id of the account.",
    "user": "The person who signed in.",
    "merchant": "The shop that signed in.",
    # Secrets
    "password": "8 to 72 characters of any script; not one that is easy to guess.",
    "pin": "4 to 6 digits. It confirms each movement of money; `X-Pin-Token` may stand for it.",
    "totp": "The code of the authenticator, 6 digits, or a recovery code. Only the platform's own user needs it.",
    "current_password": "The present password; needed to change the password or the PIN.",
    "new_password": "The new password, 8 to 72 characters of any script; not one that is easy to guess.",
    "new_pin": "The new PIN, 4 to 6 digits; not one that is easy to guess.",
    "token": "Session token: send it as `Authorization: Bearer ...`.",
    "pin_token": "Send it as `X-Pin-Token` instead of `pin`, in this session only.",
    "expires_at": "When the token expires (UTC).",
    # Movements
    "id": "Id, a UUIDv7.",
    "kind": "What kind it is.",
    "direction": "`DEBIT` takes money from the account, `CREDIT` adds to it.",
    "counterparty": "The other party of the movement.",
    "from": "Who paid.",
    "to": "Who receives the money.",
    "note": "Text for the other party; null when there is none.",
    "reverses": "Id of the payment that this refund reverses.",
    "created_at": "When it was created (UTC).",
    "transfer_id": "Id of the transfer that moved the money; null until then.",
    "goal": "Paise that the owner wants to have in a pot; null without a goal.",
    "name": "Name shown to people.",
    # Lists
    "items": "The items of this page.",
    "next_cursor": "`cursor` of the next page; null on the last page.",
    # Banks, on-ramps, withdrawals
    "bank": "Code of the bank, such as `hdfc`.",
    "code": "Code of the bank, such as `hdfc`.",
    "up": "Whether the bank answers now.",
    "status": "The current state.",
    "redirect_url": "Address of the bank's netbanking page to send the person to; null when none was opened.",
    "failure_reason": "Why it failed; null unless it failed.",
    "settled_at": "When the on-ramp ended (UTC); null while it is pending.",
    "account_number": "Number of the bank account. Answers mask it: `XXXXXX1234`.",
    "ifsc": "IFSC of the branch: four letters, `0`, six letters or digits.",
    "account_holder": "Name of the holder of the bank account.",
    "position": "Place in the owner's queue, 1 is next; null when it no longer waits.",
    "waiting_for": "What the withdrawal waits for; null when it has ended.",
    "next_check_at": "When the worker looks at it again (UTC); null when nothing is planned.",
    "utr": "The bank's Unique Transaction Reference; null until the bank has paid.",
    "trace_id": "The trace of the request for it, and of all that was done about it; null where none are recorded.",
    "finished_at": "When it ended (UTC); null until then.",
    "timeline": "Every step so far, oldest first.",
    "at": "When (UTC).",
    "message": "The step in words; the words may change.",
    "facts": "Facts of the step; the names depend on `kind`.",
    # Limits
    "transfer": "Limits on sending.",
    "withdrawal": "Limits on withdrawing.",
    "per_movement": "The most paise that one movement may have.",
    "per_day": "The most paise in one day of the Indian calendar.",
    "used": "Paise moved today.",
    "remaining": "Paise left of the daily limit.",
    "most": "The most paise that one movement may have now.",
    "allowed": "Whether `amount` may move now; null when no amount was asked about.",
    "binding": "The limit that a growing amount exceeds first.",
    "resets_at": "When the daily limits start again (UTC).",
    # Inflow
    "today": "Payments received today.",
    "yesterday": "Payments received yesterday.",
    "this_month": "Payments received this month.",
    "last_month": "Payments received last month.",
    "date": "The day, in the shop's time zone.",
    "month": "The month as `YYYY-MM`, in the shop's time zone.",
    "count": "Number of payments.",
    "average": "Paise per payment, rounded; 0 without payments.",
    "first_day": "The first day, in the shop's time zone.",
    "last_day": "The last day, included.",
    "received": "Payments received in these days.",
    "before": "The days before, for comparison.",
    "archived_until": "When the newest transaction was made that is archived (UTC).",
    "opening": "Where this page's account begins: older transactions are archived. Only on the last page.",
    "until": "Up to when the days before are counted (UTC): while the range is under way, this time of day.",
    "hours": "The 24 hours of the day, each over all days of the range.",
    "hour": "The hour of the day, 0 to 23, in the shop's time zone.",
    "refunds": "What the shop gave back in these days.",
    "complete": "Whether every refund is added up; otherwise only the newest.",
    "customers": "Who paid most in these days.",
    "payments": "Number of the newest payments among which the customers were found.",
    # Bulk
    "all_or_nothing": "Whether one rejected item rejects all.",
    "results": "One result per item, in the order of the items.",
    "index": "Position of the item in the request, from 0.",
    "problem": "Why the item was rejected; null when it was not.",
    "derived": "Whether the balance was added up from the entries instead of read.",
    "verdict": "What became of the notice.",
    # Problems
    "type": "A URN for the kind of problem.",
    "title": "The kind of problem in words.",
    "detail": "What is wrong and what to do.",
    "errors": "The rejected fields of the body.",
    "field": "Path of the field.",
}

_OF_ONE_SCHEMA: Mapping[tuple[str, str], str] = {
    ("AccountOut", "kind"): "`wallet` or `pot`.",
    ("AccountOut", "wallet_id"): "The wallet's handle; null for a pot.",
    ("AllLimitsOut", "amount"): "Paise that were asked about; null when none were.",
    ("BalanceOut", "at"): "The moment of the balance (UTC).",
    ("BulkItem", "to"): "Wallet id of the recipient, or id of an own account.",
    ("BulkResult", "status"): "HTTP status that the item would have had alone.",
    ("BulkResult", "transfer"): "The transfer; null when the item was rejected.",
    ("CustomerOut", "counterparty"): "The customer.",
    ("CustomersOut", "items"): "At most five customers, the largest sum first. Refunds are not taken off.",
    ("RefundsOut", "count"): "Number of refunds.",
    ("InitialFundsIn", "to"): "Wallet id of the recipient.",
    ("OnRampIn", "amount"): "Paise to add.",
    ("OnRampOut", "expires_at"): "When the bank ends the netbanking session (UTC); null when it does not tell.",
    ("OnRampOut", "cancel_requested_at"): "When the person asked to cancel (UTC); done when `status` is `cancelled`.",
    ("OnRampOut", "id"): "Id of the on-ramp, also our reference at the bank.",
    ("PartyOut", "wallet_id"): "Handle to pay; null for a bank, the platform and an own pot.",
    ("Problem", "code"): "Stable code of the error.",
    ("Problem", "status"): "The HTTP status.",
    ("RefundIn", "amount"): "Paise to refund; the whole remainder when left out.",
    ("RefundIn", "note"): "Text for the buyer.",
    ("StepOut", "kind"): "What happened; the names are stable.",
    ("StepOut", "status"): "The withdrawal's status after this step.",
    ("TransferIn", "to"): "Wallet id of the recipient, or id of an own account.",
    ("TransferIn", "from_account"): "Id of the own account to pay from; the wallet when left out.",
    ("TransferIn", "from"): "Id of the own account to pay from; the wallet when left out.",
    ("TransferIn", "pin"): "The PIN; may be left out when `X-Pin-Token` is sent.",
    ("WithdrawalIn", "account_number"): "Number of the bank account.",
    ("WithdrawalIn", "amount"): "Paise to withdraw.",
    ("Problem", "errors"): "The rejected fields: `field` and `message`.",
}

_PARAMETERS: Mapping[str, str] = {
    "limit": "Items per page, 1 to 100.",
    "cursor": "`next_cursor` of the page before.",
    "direction": "Only movements in this direction.",
    "kind": "Only movements of this kind.",
    "account_id": "Id of one of the caller's accounts.",
    "on_ramp_id": "Id of one of the caller's on-ramps.",
    "transfer_id": "Id of a transfer of which the caller is a party.",
    "transaction_id": "Id of a payment to the shop.",
    "withdrawal_id": "Id of one of the caller's withdrawals.",
    "bank": "Code of the bank, such as `hdfc`.",
}

VOCABULARY = Vocabulary(tags=_TAGS, properties=_PROPERTIES, parameters=_PARAMETERS, of_one_schema=_OF_ONE_SCHEMA)
