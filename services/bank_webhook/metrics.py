"""What the webhook counts for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter

from shared.banks.table import BANKS
from shared.models.webhook_delivery import Verdict

REJECTED = Counter("batua_webhook_refused", "Webhook calls rejected before they were authentic", ["bank", "code"])
DELIVERIES = Counter("batua_webhook_deliveries", "Authentic deliveries by verdict", ["bank", "verdict"])


def begin_at_zero() -> None:
    """Show every verdict from the start: a count that appears with its first delivery shows no increase."""
    for bank in BANKS:
        for verdict in Verdict:
            DELIVERIES.labels(bank, verdict)
