"""The schema, one file per table."""

from shared.models.account import Account
from shared.models.bank_circuit import BankCircuit
from shared.models.entry import Entry
from shared.models.hold import Hold
from shared.models.idempotency_key import IdempotencyKey
from shared.models.inflow import InflowRollup, InflowWatermark
from shared.models.ledger_seal import LedgerSeal, LedgerSealRange
from shared.models.merchant import Merchant
from shared.models.on_ramp import OnRamp
from shared.models.outbox_message import OutboxMessage
from shared.models.owner import Owner
from shared.models.pin_failure import PinFailure
from shared.models.reconciliation_finding import ReconciliationFinding
from shared.models.reversed_total import ReversedTotal
from shared.models.revoked_token import RevokedToken
from shared.models.transfer import Transfer
from shared.models.user import User
from shared.models.webhook_delivery import WebhookDelivery
from shared.models.withdrawal import Withdrawal, WithdrawalEvent

__all__ = [
    "Account",
    "BankCircuit",
    "Entry",
    "Hold",
    "IdempotencyKey",
    "InflowRollup",
    "InflowWatermark",
    "LedgerSeal",
    "LedgerSealRange",
    "Merchant",
    "OnRamp",
    "OutboxMessage",
    "Owner",
    "PinFailure",
    "ReconciliationFinding",
    "ReversedTotal",
    "RevokedToken",
    "Transfer",
    "User",
    "WebhookDelivery",
    "Withdrawal",
    "WithdrawalEvent",
]
