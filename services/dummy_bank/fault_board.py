"""Which faults each bank has now. They are kept in the file, so that they survive a restart."""

from __future__ import annotations

from collections.abc import Iterable

from services.dummy_bank.database import Database
from services.dummy_bank.draws import STREAMS
from services.dummy_bank.faults import Faults


class FaultBoard:
    """The chosen faults per bank. Choosing them restarts every stream of draws from the seed."""

    def __init__(self, database: Database, banks: Iterable[str]) -> None:
        self._database = database
        self._chosen = {bank: Faults() for bank in banks}
        for row in database.rows("SELECT bank, chosen FROM faults"):
            if row["bank"] in self._chosen:
                self._chosen[row["bank"]] = Faults.model_validate_json(row["chosen"])

    def of(self, bank: str) -> Faults:
        """The faults that `bank` has at this moment."""
        return self._chosen[bank]

    def choose(self, bank: str, faults: Faults) -> None:
        """Replace the whole set and restart the draws."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO faults (bank, chosen) VALUES (?, ?)"
                " ON CONFLICT (bank) DO UPDATE SET chosen = excluded.chosen",
                (bank, faults.model_dump_json()),
            )
            for stream in STREAMS:
                connection.execute("DELETE FROM counters WHERE bank = ? AND name = ?", (bank, stream))
        self._chosen[bank] = faults
