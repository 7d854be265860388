from __future__ import annotations

from uuid import UUID

from shared.http.keyed_requests import SEND_MONEY
from shared.idempotency.claims import Answer
from shared.idempotency.keyed_request import Operation

OWNER = UUID(int=7)
COUNT: Operation[int] = Operation("POST", "/counts", 201, lambda count: {"count": count})


def test_the_operation_gives_the_answer_its_status_and_body() -> None:
    assert COUNT.request(OWNER, "key").answer(3) == Answer(201, {"count": 3})


def test_the_same_values_make_the_same_claim_in_any_order() -> None:
    first, second = COUNT.request(OWNER, "key").claim(a=1, b=None), COUNT.request(OWNER, "key").claim(b=None, a=1)
    assert (first.fingerprint, first.field_hashes) == (second.fingerprint, second.field_hashes)
    assert first.name == (OWNER, "key")


def test_a_claim_differs_by_operation_and_by_each_value() -> None:
    claim = COUNT.request(OWNER, "key").claim(a=1, b=None)
    other_operation = SEND_MONEY.request(OWNER, "key").claim(a=1, b=None)
    other_value = COUNT.request(OWNER, "key").claim(a=1, b=0)
    assert len({claim.fingerprint, other_operation.fingerprint, other_value.fingerprint}) == 3
    assert claim.differing_fields(other_value.field_hashes) == ["b"]


def test_an_id_counts_as_the_text_that_json_gives_it() -> None:
    request = COUNT.request(OWNER, "key")
    assert request.claim(to=OWNER).fingerprint == request.claim(to=str(OWNER)).fingerprint
