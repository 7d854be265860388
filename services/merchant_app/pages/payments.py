"""Pages of a shop's transactions: all of them, filtered, part by part and as CSV; and one of them."""

from __future__ import annotations

from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from shared.auth.queries import get_shop_profile
from shared.http.dependencies import Caller, CurrentResources, SignedInCaller
from shared.movement_words import words_of
from shared.pages.listed_statement import list_statement
from shared.pages.rendering import render
from shared.transfers.queries import refunded_amounts
from shared.transfers.receipts import get_receipt
from shared.transfers.views import Receipt

router = APIRouter()

PATH = "/transactions"


@router.get(PATH)
async def show_payments(request: Request, caller: SignedInCaller, resources: CurrentResources) -> Response:
    """Transactions, newest first, by the days of the shop's time zone."""
    shop = await get_shop_profile(resources.reads, caller.identity.owner_id)
    listed = await list_statement(
        resources, caller, request.query_params, path=PATH, line_path=PATH, zone=ZoneInfo(shop.timezone)
    )
    return render(request, "payments.html", status=listed.form.status, statement=listed)


@router.get(f"{PATH}/{{transaction_id}}")
async def show_payment(request: Request, caller: Caller, resources: CurrentResources, transaction_id: UUID) -> Response:
    """One transaction and what was refunded of it. Raises TransferNotFound for the transactions of others."""
    shop = await get_shop_profile(resources.reads, caller.owner_id)

    async def read(session: AsyncSession) -> tuple[Receipt, int]:
        receipt = await get_receipt(session, reader=caller.owner_id, transfer_id=transaction_id)
        return receipt, (await refunded_amounts(session, [transaction_id])).get(transaction_id, 0)

    receipt, refunded = await resources.read(read)
    is_incoming = receipt.recipient.wallet_id == shop.wallet_id
    other = receipt.sender if is_incoming else receipt.recipient
    return render(
        request,
        "payment.html",
        receipt=receipt,
        zone=ZoneInfo(shop.timezone),
        is_incoming=is_incoming,
        other=other,
        title=words_of(receipt.kind, is_incoming=is_incoming, other=other.name),
        refunded=refunded,
        refundable=receipt.amount - refunded if is_incoming and receipt.kind == "payment" else 0,
        is_refund_done=refunded > 0 and "refunded" in request.query_params,
    )
