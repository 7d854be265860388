from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shared.db.engine import SessionMaker


async def test_an_error_never_tells_the_values_of_its_statement(sessionmaker: SessionMaker) -> None:
    """Errors are logged, and values are account numbers, addresses and hashes."""
    async with sessionmaker() as session:
        with pytest.raises(DBAPIError) as caught:
            await session.execute(
                text("SELECT CAST(:account_number AS text) FROM nowhere"), {"account_number": "998877"}
            )
    assert "nowhere" in str(caught.value)
    assert "998877" not in str(caught.value)
