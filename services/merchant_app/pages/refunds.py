"""Giving a payment back, partly or wholly: how much, why, and the PIN."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from services.merchant_app.api.refunds import RefundIn, refund_once
from services.merchant_app.pages.payments import PATH
from shared.auth.tokens import Identity
from shared.http.dependencies import Caller, CurrentResources, PinCheck, ReadSession
from shared.http.fields import Body, Pin
from shared.http.query_parameters import OptionalText
from shared.ledger.accounts import wallet_of
from shared.pages import formatting
from shared.pages.forms import Form, Rupees, SubmittedForm
from shared.pages.rendering import render, see_other
from shared.pages.repeated_submit import answered_once
from shared.transfers import views
from shared.transfers.errors import NotRefundable
from shared.transfers.refunds import refunded_of

router = APIRouter()


class RefundForm(Body):
    """What is typed to give money back."""

    amount: Rupees
    note: OptionalText = None
    pin: Pin


@router.get(f"{PATH}/{{transaction_id}}/refund")
async def show_refund(request: Request, caller: Caller, session: ReadSession, transaction_id: UUID) -> Response:
    """The form, with all that is left of the payment filled in."""
    return await _show(request, caller, session, transaction_id, None)


@router.post(f"{PATH}/{{transaction_id}}/refund")
async def give_back(
    *,
    request: Request,
    form: SubmittedForm,
    caller: Caller,
    check_pin: PinCheck,
    resources: CurrentResources,
    transaction_id: UUID,
) -> Response:
    """Give it back, and on to the payment; sent again, on to the payment and no more."""
    with form.catching():
        typed = form.read(RefundForm)
        await check_pin(typed.pin)
        body = RefundIn(amount=typed.amount, note=typed.note)
        await answered_once(lambda: refund_once(resources, caller, form.key, transaction_id, body))
        return see_other(f"{PATH}/{transaction_id}?refunded=1")
    async with resources.read_sessionmaker() as session:
        return await _show(request, caller, session, transaction_id, form)


async def _show(
    request: Request, caller: Identity, session: AsyncSession, payment_id: UUID, form: Form | None
) -> Response:
    """Raises TransferNotFound, NotRefundable."""
    payment = await views.get(session, caller.owner_id, payment_id)
    wallet = await wallet_of(session, caller.owner_id)
    if payment.kind != "payment" or payment.recipient.wallet_id != wallet.handle:
        raise NotRefundable(payment.kind)
    refunded = (await refunded_of(session, [payment_id])).get(payment_id, 0)
    left = payment.amount - refunded
    form = form or Form({"amount": formatting.input_rupees(left)})
    return render(
        request,
        "refund.html",
        status=form.status,
        form=form,
        payment=payment,
        refunded=refunded,
        left=left,
        available=wallet.available,
    )
