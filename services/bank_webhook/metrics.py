"""What the webhook counts for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter

REJECTED = Counter("batua_webhook_refused", "Webhook calls rejected before they were authentic", ["bank", "code"])
DELIVERIES = Counter("batua_webhook_deliveries", "Authentic deliveries by verdict", ["bank", "verdict"])
