"""A withdrawal's state has one name, in every list and on its own page."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import pytest

from shared.models.withdrawal import WithdrawalStatus
from shared.pages import rendering
from shared.pages.forms import Form
from shared.pages.withdrawal_words import words_for
from shared.withdrawals.views import WithdrawalView

TEMPLATES = Path(__file__).parents[3] / "shared/pages/templates"
VIEW = WithdrawalView(
    id=UUID(int=1),
    status=WithdrawalStatus.QUEUED,
    bank="hdfc",
    amount=100_00,
    currency="INR",
    account_number="XXXXXX1234",
    ifsc="HDFC0000001",
    account_holder="Asha Rao",
    utr=None,
    failure_reason=None,
    position=None,
    waiting_for=None,
    next_check_at=None,
    created_at=datetime(2026, 11, 26, 12, tzinfo=UTC),
    finished_at=None,
)


@pytest.mark.parametrize("status", WithdrawalStatus)
@pytest.mark.parametrize("position", [None, 1, 3])
def test_a_state_is_named_the_same_in_a_list_and_on_its_own_page(
    status: WithdrawalStatus, position: int | None
) -> None:
    view = replace(VIEW, status=status, position=position)
    words = words_for(view)
    environment = rendering.environment_of(TEMPLATES)
    source = '{% from "withdrawal-parts.html" import rows %}{{ rows(withdrawals) }}'
    listed = environment.from_string(source).render(withdrawals=[(view, words)])
    shell = SimpleNamespace(name="Batua", nav=(), manifest=None)
    page = environment.get_template("withdrawal.html").render(
        withdrawal=view, words=words, form=Form(), shell=shell, path="/", is_signed_in=True, navigation=""
    )
    assert f">{words.state}</span>" in listed
    assert f"<h1>{words.state}</h1>" in page
    assert f"<title>{words.state}: " in page


def test_no_two_states_that_differ_for_the_person_share_a_name() -> None:
    names = {status: words_for(replace(VIEW, status=status)).state for status in WithdrawalStatus}
    assert names[WithdrawalStatus.WAITING] == names.pop(WithdrawalStatus.UNKNOWN)
    assert len(set(names.values())) == len(names)
