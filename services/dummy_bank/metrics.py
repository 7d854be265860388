"""The simulator's counters for Prometheus; one registry per app."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter


class Metrics:
    """Counters of payout calls and webhook deliveries."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.payout_calls = Counter(
            "dummy_bank_payout_calls", "Payout calls by outcome", ["bank", "outcome"], registry=self.registry
        )
        self.deliveries = Counter(
            "dummy_bank_webhook_deliveries",
            "Webhook deliveries by kind and answer",
            ["bank", "kind", "answer"],
            registry=self.registry,
        )
