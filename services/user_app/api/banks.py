"""Which banks there are."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from services.user_app.banks import CurrentBanks
from shared.http.dependencies import Caller
from shared.http.pagination import Page

router = APIRouter(prefix="/banks", tags=["banks"])


class BankOut(BaseModel):
    """A bank to add money from or withdraw to; `up` says whether it answers now."""

    code: str
    name: str
    up: bool

    model_config = ConfigDict(json_schema_extra={"examples": [{"code": "hdfc", "name": "HDFC Bank", "up": True}]})


@router.get("")
async def list_banks(caller: Caller, banks: CurrentBanks) -> Page[BankOut]:
    """Every bank, asked within the last two seconds whether it is up."""
    up = await banks.up()
    items = [BankOut(code=code, name=client.bank.name, up=up[code]) for code, client in banks.clients.items()]
    return Page(items=items, next_cursor=None)
