"""The schema, one file per table."""

from shared.models.account import Account
from shared.models.audit_event import AuditEvent
from shared.models.bank_circuit import BankCircuit
from shared.models.email_confirmation import EmailConfirmation
from shared.models.entry import Entry
from shared.models.hold import Hold
from shared.models.idempotency_key import IdempotencyKey
from shared.models.inflow import InflowRollup, InflowWatermark
from shared.models.ledger_seal import ArchivedSeal, LedgerSeal, LedgerSealRange
from shared.models.mail import Mail
from shared.models.merchant import Merchant
from shared.models.on_ramp import OnRamp
from shared.models.opening_balance import OpeningBalance
from shared.models.operator_action import OperatorAction
from shared.models.outbox_message import OutboxMessage
from shared.models.owner import Owner
from shared.models.pin_failure import PinFailure
from shared.models.proof_run import ProofRun
from shared.models.reconciliation_finding import ReconciliationFinding
from shared.models.recovery import Recovery
from shared.models.recovery_code import RecoveryCode
from shared.models.reversed_total import ReversedTotal
from shared.models.revoked_token import RevokedToken
from shared.models.schedule import Lease, ScheduledTask
from shared.models.second_factor import SecondFactor
from shared.models.transfer import Transfer
from shared.models.user import User
from shared.models.webhook_delivery import WebhookDelivery
from shared.models.withdrawal import Withdrawal, WithdrawalEvent

__all__ = [
    "Account",
    "ArchivedSeal",
    "AuditEvent",
    "BankCircuit",
    "EmailConfirmation",
    "Entry",
    "Hold",
    "IdempotencyKey",
    "InflowRollup",
    "InflowWatermark",
    "Lease",
    "LedgerSeal",
    "LedgerSealRange",
    "Mail",
    "Merchant",
    "OnRamp",
    "OpeningBalance",
    "OperatorAction",
    "OutboxMessage",
    "Owner",
    "PinFailure",
    "ProofRun",
    "ReconciliationFinding",
    "Recovery",
    "RecoveryCode",
    "ReversedTotal",
    "RevokedToken",
    "ScheduledTask",
    "SecondFactor",
    "Transfer",
    "User",
    "WebhookDelivery",
    "Withdrawal",
    "WithdrawalEvent",
]
