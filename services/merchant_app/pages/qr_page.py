"""The page with the shop's QR code: to print, to send as a link, and for one amount."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request, Response

from services.merchant_app.settings import MerchantAppSettings
from shared.auth.queries import get_shop_profile
from shared.http.dependencies import Caller, CurrentResources
from shared.http.fields import Body
from shared.pages import formatting
from shared.pages.forms import Form, Rupees
from shared.pages.rendering import render

router = APIRouter()


class QrQuery(Body):
    """The amount that the code asks for; without one the customer enters it."""

    amount: Rupees | None = None


@router.get("/qr")
async def show_qr(request: Request, caller: Caller, resources: CurrentResources) -> Response:
    """The code. For an amount that cannot be read, its field shows the error and the code asks for none."""
    form, asked = Form(dict(request.query_params)), QrQuery()
    with form.catching():
        asked = form.read(QrQuery)
    shop = await get_shop_profile(resources.reads, caller.owner_id)
    query = "" if asked.amount is None else f"?{urlencode({'amount': asked.amount})}"
    return render(
        request,
        "qr.html",
        status=form.status,
        form=form,
        shop=shop,
        amount=asked.amount,
        query=query,
        pay_link=pay_link(request.app.state.settings, shop.wallet_id, asked.amount),
    )


def pay_link(settings: MerchantAppSettings, wallet_id: str, amount: int | None) -> str | None:
    """The address of the page in user_app that pays the shop; None without the setting `user_app_url`."""
    if settings.user_app_url is None:
        return None
    link = f"{settings.user_app_url.rstrip('/')}/pay/{quote(wallet_id, safe='@')}"
    return link if amount is None else f"{link}?amount={formatting.input_rupees(amount)}"
