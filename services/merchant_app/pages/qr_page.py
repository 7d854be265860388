"""The poster with the shop's QR code: for the counter, for a message, for one particular amount."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request, Response

from services.merchant_app.settings import MerchantAppSettings
from shared.auth.queries import get_shop_profile
from shared.http.dependencies import Caller, ReadSession
from shared.http.fields import Body
from shared.pages import formatting
from shared.pages.forms import Form, Rupees
from shared.pages.rendering import render

router = APIRouter()


class PosterQuery(Body):
    """An amount that the code asks for; none leaves it to whoever pays."""

    amount: Rupees | None = None


@router.get("/qr")
async def show_poster(request: Request, caller: Caller, session: ReadSession) -> Response:
    """The poster. An amount that cannot be read is said beside its field, and the code asks for none."""
    form, asked = Form(dict(request.query_params)), PosterQuery()
    with form.catching():
        asked = form.read(PosterQuery)
    shop = await get_shop_profile(session, caller.owner_id)
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
    """The page of user_app on which one pays the shop; None where its address is not known here."""
    if settings.user_app_url is None:
        return None
    link = f"{settings.user_app_url.rstrip('/')}/pay/{quote(wallet_id, safe='@')}"
    return link if amount is None else f"{link}?amount={formatting.input_rupees(amount)}"
