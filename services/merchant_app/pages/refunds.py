"""Pages that refund a payment, whole or in part: the amount, a note, the PIN."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response

from services.merchant_app.pages.payments import PATH
from shared.http.dependencies import Caller, CurrentResources, PinCheck, SignedInCaller
from shared.http.fields import Body, Pin
from shared.http.keyed_requests import REFUND_PAYMENT
from shared.http.query_parameters import OptionalText
from shared.pages import formatting
from shared.pages.forms import Form, Rupees, SubmittedForm
from shared.pages.kept_forms import CurrentKept
from shared.pages.reminders import remind_of_pin
from shared.pages.rendering import render, see_other
from shared.pages.repeated_submit import retry_while_in_flight
from shared.transfers.queries import get_refundable_payment
from shared.transfers.refunds import refund

router = APIRouter()


class RefundForm(Body):
    """The fields of the form that refunds a payment."""

    amount: Rupees
    note: OptionalText = None
    pin: Pin


@router.get(f"{PATH}/{{transaction_id}}/refund")
async def show_refund(
    request: Request, caller: SignedInCaller, resources: CurrentResources, kept: CurrentKept, transaction_id: UUID
) -> Response:
    """The form, with the amount that is left of the payment filled in. Raises TransferNotFound, NotRefundable."""
    shop_id = caller.identity.owner_id
    payment = await resources.read(
        lambda session: get_refundable_payment(session, shop_id=shop_id, payment_id=transaction_id)
    )
    form = kept.form(Form({"amount": formatting.input_rupees(payment.left)}))
    return render(
        request,
        "refund.html",
        status=form.status,
        form=form,
        payment=payment.receipt,
        refunded=payment.refunded,
        left=payment.left,
        available=caller.wallet.available,
    )


@router.post(f"{PATH}/{{transaction_id}}/refund")
async def refund_payment(
    form: SubmittedForm, caller: Caller, check_pin: PinCheck, resources: CurrentResources, transaction_id: UUID
) -> Response:
    """Refund and show the payment. The same form submitted again refunds nothing and shows the payment."""
    typed = form.read(RefundForm)
    await check_pin(typed.pin)
    await retry_while_in_flight(
        lambda: refund(
            REFUND_PAYMENT.request(caller.owner_id, form.key),
            payment_id=transaction_id,
            amount=typed.amount,
            note=typed.note,
            sessionmaker=resources.sessionmaker,
            marks=resources.marks,
        ),
        of="transfer_id",
    )
    return remind_of_pin(see_other(f"{PATH}/{transaction_id}?refunded=1"), resources.settings, typed.pin)
