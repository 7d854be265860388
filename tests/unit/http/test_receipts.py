"""A receipt that is written by hand is the JSON that its model describes, to the byte."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from shared.http.receipts import TransferOut, transfer_body
from shared.ledger.parties import Party
from shared.ledger.rules import TransferKind
from shared.transfers.views import Receipt

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

names = st.text(max_size=20)
parties = st.builds(Party, st.none() | names, names)
seconds = st.integers(0, 7_000_000_000)
moments = st.builds(
    lambda second, microsecond: EPOCH + timedelta(seconds=second, microseconds=microsecond),
    seconds,
    st.just(0) | st.integers(0, 999_999),
)
receipts = st.builds(
    Receipt,
    id=st.uuids(),
    kind=st.sampled_from(get_args(TransferKind)),
    amount=st.integers(1, 10**15),
    currency=st.just("INR"),
    sender=parties,
    recipient=parties,
    note=st.none() | names,
    balance_after=st.none() | st.integers(0, 10**18),
    created_at=moments,
)


@given(receipts)
def test_a_receipt_written_by_hand_is_what_its_model_writes(receipt: Receipt) -> None:
    written = TransferOut.of(receipt).model_dump(mode="json", by_alias=True)
    assert json.dumps(transfer_body(receipt)) == json.dumps(written)
