"""Every enum of the models lists what the table's check constraint allows, and a row is read as its members."""

from __future__ import annotations

import re
from enum import StrEnum

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import StatementError

from shared.db.engine import SessionMaker
from shared.models import Withdrawal
from shared.models.hold import HoldStatus
from shared.models.on_ramp import OnRampStatus
from shared.models.webhook_delivery import Verdict
from shared.models.withdrawal import WithdrawalStatus
from tests.support.bank_flows import create_withdrawal
from tests.support.factories import create_user

_DEFINITION = text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = :name")


@pytest.mark.parametrize(
    ("constraint", "members"),
    [
        ("ck_withdrawals_status", WithdrawalStatus),
        ("ck_withdrawal_events_status", WithdrawalStatus),
        ("ck_on_ramps_status", OnRampStatus),
        ("ck_holds_status", HoldStatus),
        ("ck_webhook_inbox_verdict", Verdict),
    ],
)
async def test_an_enum_has_the_values_of_its_check_constraint(
    sessionmaker: SessionMaker, constraint: str, members: type[StrEnum]
) -> None:
    async with sessionmaker() as session:
        definition = (await session.execute(_DEFINITION, {"name": constraint})).scalar_one()
    assert set(re.findall(r"'(\w+)'", definition)) == {member.value for member in members}


async def test_final_statuses_are_those_with_a_time_of_the_end(sessionmaker: SessionMaker) -> None:
    async with sessionmaker() as session:
        name = "ck_withdrawals_finished_when_final"
        definition = (await session.execute(_DEFINITION, {"name": name})).scalar_one()
    assert set(re.findall(r"'(\w+)'", definition)) == set(WithdrawalStatus.final())


async def test_active_statuses_are_those_of_the_unique_index(sessionmaker: SessionMaker) -> None:
    statement = text("SELECT indexdef FROM pg_indexes WHERE indexname = 'uq_withdrawals_one_active_per_owner'")
    async with sessionmaker() as session:
        definition = (await session.execute(statement)).scalar_one()
    assert set(re.findall(r"'(\w+)'", definition)) == set(WithdrawalStatus.active())


async def test_a_row_is_read_with_members_and_takes_no_other_value(sessionmaker: SessionMaker) -> None:
    async with sessionmaker.begin() as session:
        wallet = await create_user(session, balance=100_00)
        withdrawal_id = (await create_withdrawal(session, wallet, 10_00, status="failed")).id
    async with sessionmaker() as session:
        read = await session.scalar(select(Withdrawal.status).where(Withdrawal.id == withdrawal_id))
        assert read is WithdrawalStatus.FAILED
        with pytest.raises(StatementError):
            await session.execute(update(Withdrawal).where(Withdrawal.id == withdrawal_id).values(status="lost"))
