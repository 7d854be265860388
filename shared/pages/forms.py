"""Forms: what a person typed, read by the rules of a JSON body, and each error next to its field.

A route that takes a form does its work and leads on. An error that it raises leads back to the form's page, where
`kept_forms` has what was typed:

    @router.post("/profile")
    async def change_names(form: SubmittedForm, caller: Caller, resources: CurrentResources) -> Response:
        typed = form.read(NamesForm)
        ...
        return see_other("/profile?saved=name")
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, BeforeValidator, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from shared.errors import BatuaError, Conflict, FieldError
from shared.http.complaints import length_of, message_of
from shared.http.cookies import require_same_origin
from shared.http.errors import InvalidRequest
from shared.http.fields import IDEMPOTENCY_KEY_PATTERN
from shared.http.problems import status_of
from shared.ids import new_token
from shared.ledger.errors import InsufficientFunds
from shared.money import MAX_MOVEMENT_PAISE
from shared.pages import formatting
from shared.pages.typed_amounts import Clear, Doubtful, Refused, read_amount

KEY_FIELD = "idempotency_key"
SAID_FIELD = "said"
"""The text whose amount the page said in words. A script says the words by itself, and does not send the field."""
MAX_FIELDS = 50
SECRETS = frozenset({"password", "pin", "totp", "current_password", "new_password", "new_pin"})
"""Never sent back to the browser."""
FIELD_OF_ERROR: Mapping[str, str] = {
    "account_closed": "to",
    "account_not_found": "from_account",
    "bank_unavailable": "bank",
    "current_password_incorrect": "current_password",
    "email_taken": "email",
    "filter_too_short": "to",
    "insufficient_funds": "amount",
    "limit_exceeded": "amount",
    "payment_link_unreadable": "link",
    "photo_unreadable": "photo",
    "pin_incorrect": "pin",
    "pin_locked": "pin",
    "pot_name_taken": "name",
    "recipient_not_found": "to",
    "reversal_exceeds_original": "amount",
    "same_account": "to",
    "too_many_attempts": "current_password",
    "too_many_pots": "name",
    "unknown_bank": "bank",
}
"""By the code of an error, the field it is shown at. On a form without that field it is shown above the form."""

_LABELS = {"q": "search", "to": "name or wallet id"}
_KEY = re.compile(IDEMPOTENCY_KEY_PATTERN)
_ALREADY_SENT = "idempotency_key_reused"
_ALREADY_SENT_WORDS = (
    "This form has already done its work once, with other details. Look at your activity first; "
    "to do it again as it stands now, press the button once more."
)
_BodyT = TypeVar("_BodyT", bound=BaseModel)


class AmountNotSaid(Conflict):
    """The page has not said the amount in words yet. The form's page says them now."""

    code = "amount_not_said"
    title = "Nothing has moved yet. Read the amount in words, then press the button once more."


def _rupees_typed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match read_amount(value):
        case Clear(paise):
            return paise
        case Doubtful() | Refused() as wrong:
            raise PydanticCustomError("rupees", "{words}", {"words": wrong.words})


Rupees = Annotated[int, BeforeValidator(_rupees_typed), Field(strict=True, ge=1, le=MAX_MOVEMENT_PAISE)]
"""An amount as people type it (`250`, `1,250.50`, `₹12.5`), read as paise. What may mean another amount is refused."""


@dataclass
class Form:
    """A form to show: `values` as typed, `errors` by field, `problem` for an error of no field."""

    values: Mapping[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    problem: str | None = None
    key: str = field(default_factory=new_token)
    """The idempotency key: however often the form is sent, it takes effect once."""
    status: int = 200
    action: str = ""
    """The path that it is sent to."""
    page: str = ""
    """The path of the page that shows it."""
    purpose: str = ""
    """What it is sealed for: the path of the page where it begins. A review is another page of the same form."""
    was_refused: bool = False
    is_used_up: bool = False
    """Its key has done its work for other details, so `key` is a new one."""
    missing: int | None = None
    """Paise that were short when the form was refused for lack of money."""

    def value(self, name: str) -> str:
        """The text to show in the field; empty for a secret."""
        return "" if name in SECRETS else self.values.get(name, "")

    def read(self, model: type[_BodyT]) -> _BodyT:
        """The fields of `model`, read by its rules; an empty field is not given.

        Raises InvalidRequest, AmountNotSaid.
        """
        given = {name: self.values[name] for name in model.model_fields if self.values.get(name, "") != ""}
        try:
            typed = model.model_validate(given)
        except ValidationError as error:
            complaints = error.errors(include_input=False, include_url=False)
            raise InvalidRequest([FieldError(_name(each), _sentence(each)) for each in complaints]) from None
        if "amount" in given and SAID_FIELD in self.values:
            self._require_said()
        return typed

    def _require_said(self) -> None:
        """Raises AmountNotSaid."""
        said, typed = read_amount(self.values[SAID_FIELD]), read_amount(self.values["amount"])
        if said != typed:
            raise AmountNotSaid

    def read_amount_of_address(self) -> None:
        """Write the amount that an address asks for plainly, or show at its field why it cannot be read."""
        match read_amount(typed := self.value("amount")):
            case Clear(paise):
                self.values = {**self.values, "amount": formatting.input_rupees(paise)}
            case Doubtful() | Refused() as wrong if typed:
                self.errors["amount"] = wrong.words

    @property
    def typed(self) -> dict[str, str]:
        """The values without secrets."""
        return {name: value for name, value in self.values.items() if name not in SECRETS}

    @property
    def as_typed(self) -> Form:
        """The same form as if it had not been refused."""
        return replace(self, errors={}, problem=None, was_refused=False, missing=None)

    @property
    def page_after_error(self) -> str:
        """Where a refused form is shown: its page, but where it begins if a review has to be changed."""
        is_to_be_changed = set(self.errors) - {"pin"} or self.is_used_up
        return self.purpose if is_to_be_changed else self.page

    def catching(self) -> _Catching:
        """Show an error that the block raises on the form: at its field (see FIELD_OF_ERROR), else above the form."""
        return _Catching(self)

    def show_error(self, error: BatuaError) -> None:
        """Show `error` on the form."""
        self.status, self.was_refused = status_of(error), not isinstance(error, AmountNotSaid)
        self.missing = error.amount - error.available if isinstance(error, InsufficientFunds) else None
        field_name = FIELD_OF_ERROR.get(error.code)
        if field_name not in self.values:
            field_name = None
        self.values = self.typed
        if error.code == _ALREADY_SENT:
            self.key, self.problem, self.is_used_up = new_token(), _ALREADY_SENT_WORDS, True
            return
        field_errors: Sequence[FieldError] = getattr(error, "errors", ())
        for each in field_errors:
            self.errors.setdefault(each.field, _capitalized(each.message))
        if field_name is not None:
            self.errors[field_name] = error.detail
        elif not field_errors:
            self.problem = error.detail


class _Catching:
    """A block whose errors are shown on a form; exceptions that are no BatuaError pass through."""

    def __init__(self, form: Form) -> None:
        self._form = form

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if not isinstance(error, BatuaError):
            return False
        self._form.show_error(error)
        return True


async def submitted_form(request: Request) -> Form:
    """The form that was sent from the page of this address. Raises CrossOrigin if another site's page sent it."""
    return shown_with_errors(request, await _read_form(request))


async def submitted_action(request: Request) -> Form:
    """The same for a form of the page one step above: `/pots/move` is sent from `/pots`."""
    form = await submitted_form(request)
    form.page = form.purpose = form.action.rpartition("/")[0]
    return form


def shown_with_errors(request: Request, form: Form) -> Form:
    """The same form; an error of this request leads back to it, on the page of this address."""
    form.action = form.page = form.purpose = request.url.path
    request.state.form = form
    return form


async def _read_form(request: Request) -> Form:
    """Text fields only, each once."""
    require_same_origin(request)
    sent = await request.form(max_files=0, max_fields=MAX_FIELDS)
    values = {name: value for name, value in sent.items() if isinstance(value, str)}
    key = values.pop(KEY_FIELD, "")
    return Form(values, key=key) if _KEY.fullmatch(key) else Form(values)


SubmittedForm = Annotated[Form, Depends(submitted_form)]
SubmittedAction = Annotated[Form, Depends(submitted_action)]


def _name(complaint: ErrorDetails) -> str:
    return str(complaint["loc"][0]) if complaint["loc"] else ""


def _sentence(complaint: ErrorDetails) -> str:
    if complaint["type"] in {"missing", "string_too_short", "too_short"}:
        return "Fill this in"
    if complaint["type"] in {"enum", "literal_error"}:
        return "Choose one of the list"
    name = _name(complaint)
    return _capitalized(length_of(complaint, _LABELS.get(name) or name.replace("_", " ")) or message_of(complaint))


def _capitalized(said: str) -> str:
    return said[:1].upper() + said[1:]
