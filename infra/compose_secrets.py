"""Write the secrets that `docker-compose.yml` asks for: `python -m infra.compose_secrets <file>`.

Existing secrets stay. The simulated bank gets the newest of each bank's webhook secrets.
"""

from __future__ import annotations

import sys
from pathlib import Path

from infra.local.secrets import load_or_create_secrets, write_secrets
from shared.banks.table import BANKS


def write_compose_secrets(file: Path) -> None:
    """Create the file, or add the secrets that it lacks."""
    file.parent.mkdir(parents=True, exist_ok=True)
    values = load_or_create_secrets(file)
    for bank in map(str.upper, BANKS):
        newest = values[f"BATUA_BANK_{bank}_WEBHOOK_SECRETS"].split(",")[0].strip()
        values[f"DUMMY_BANK_{bank}_WEBHOOK_SECRET"] = newest
    write_secrets(file, values)


if __name__ == "__main__":
    write_compose_secrets(Path(sys.argv[1]))
