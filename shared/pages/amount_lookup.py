"""What an amount field holds, in words, while a person types: only the server reads amounts, so pages ask it."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from shared.pages.amount_words import amount_in_words
from shared.pages.typed_amounts import Clear, Doubtful, Refused, read_amount

router = APIRouter()


class AmountSaid(BaseModel):
    """The amount in `words`, or else the `problem`: what the form would say if it were sent now."""

    words: str = ""
    problem: str = ""


@router.get("/amount-in-words")
async def say_amount(typed: str = "") -> AmountSaid:
    """Read the text of an amount field. It asks no database, and anyone may ask."""
    match read_amount(typed):
        case Clear(paise):
            return AmountSaid(words=amount_in_words(paise))
        case Doubtful() | Refused() as wrong:
            return AmountSaid(problem=wrong.words)
