"""Where a form is between its page and the next: sealed, in the address, so that Back and reload never send it again.

A refused form leads back to its page, and a form to be reviewed leads to its review. Both addresses carry what was
typed for the session that typed it, so that several tabs, and each page in the history, keep their own.

Without a session there is nothing to bind an address to. Then a cookie of this browser keeps it, one of each kind:

- `guest_form`: signing in or up was refused.
- `interrupted_form`: the session had ended when the form arrived. It waits for the same owner to sign in again.

The address then names the cookie.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request, Response

from shared.auth.errors import AuthenticationRequired, TokenInvalid
from shared.auth.tokens import Claims
from shared.errors import BatuaError, Conflict, TooMany
from shared.http.cookies import set_cookie
from shared.http.dependencies import CurrentResources, given_token
from shared.http.slowed_refusals import ONE_TOO_MANY
from shared.pages.forms import Form, SubmittedForm
from shared.pages.paths import GUEST_PAGES, sign_in_before, sign_in_path
from shared.pages.rendering import see_other
from shared.pages.sealed_forms import MAX_AGE_SECONDS, FormSeal
from shared.runtime.resources import Resources

GUEST, INTERRUPTED = "guest_form", "interrupted_form"
TOO_OLD = (
    "What you had typed is no longer here: it is kept for 15 minutes, in the browser that sent it. "
    "Nothing was done now. Look at your activity first, then fill in the form again."
)
INTERRUPTED_WORDS = (
    "You were signed out before this arrived, so nothing was sent yet. "
    "Look through it, then press the button once more."
)


class ReviewTooOld(Conflict):
    """What was reviewed cannot be unsealed any more."""

    code = "review_too_old"
    title = TOO_OLD


@dataclass(frozen=True)
class KeptForms:
    """The form that a request's address has, and where forms go from here."""

    request: Request
    resources: Resources
    seal: FormSeal
    claims: Claims | None
    """Of the token that the browser sent, which may have expired. It opens what its owner had sealed, nothing else."""

    def form(self, blank: Form | None = None, *, purpose: str | None = None, action: str | None = None) -> Form:
        """The form of this page as it was typed, or else `blank`, which says so if what was kept cannot be unsealed.

        `action` tells the forms of one page apart. `purpose` is for a review, the page where its form begins: without
        what was typed there is nothing to review.
        """
        blank = blank or Form()
        given = self.request.query_params.get("form")
        if given is None and purpose is None:
            return blank
        found = self._open(given or "", purpose or self.request.url.path)
        if found is None:
            return blank if given == GUEST else replace(blank, problem=TOO_OLD, status=HTTPStatus.GONE)
        return found if action in (None, found.action) else blank

    def reviewed(self, sealed: str, *, purpose: str) -> Form | None:
        """The form that a review shows, by the sealed text in its own form: never by a cookie, which may change."""
        return None if sealed in (GUEST, INTERRUPTED) else self._open(sealed, purpose)

    def sealed(self, form: Form) -> str:
        """The form sealed for this session. Without one: raises AuthenticationRequired."""
        if self.claims is None:
            raise AuthenticationRequired
        return self.seal.seal(form, bound_to=_session(self.claims))

    def go_to(self, path: str, form: Form) -> Response:
        """Lead to the page of this app at `path`, which shows the form."""
        return see_other(f"{path}?form={self.sealed(form)}")

    def refused(self, form: Form, error: BatuaError) -> Response:
        """Lead back to the form's page, which shows what was typed and the error."""
        form.show_error(error)
        if isinstance(error, TooMany):
            setattr(self.request.state, ONE_TOO_MANY, True)
        if self.claims is not None and form.page not in GUEST_PAGES:
            return self.go_to(form.page_after_error, form)
        response = see_other(f"{form.page}?form={GUEST}")
        self._keep(response, GUEST, form, bound_to=["guest"])
        return response

    def interrupted(self, form: Form) -> Response:
        """Lead to sign-in, and then to the form's page with what was typed, if the same owner signs in."""
        if self.claims is None:
            return see_other(sign_in_path(self.request))
        form.problem = INTERRUPTED_WORDS
        response = see_other(sign_in_before(f"{form.page}?form={INTERRUPTED}"))
        self._keep(response, INTERRUPTED, form, bound_to=_owner(self.claims))
        return response

    def _keep(self, response: Response, cookie: str, form: Form, *, bound_to: list[str]) -> None:
        sealed = self.seal.seal(form, bound_to=bound_to)
        set_cookie(response, cookie, sealed, settings=self.resources.settings, max_age=MAX_AGE_SECONDS)

    def _open(self, given: str, purpose: str) -> Form | None:
        cookie = self.request.cookies.get(given, "")
        if given == GUEST:
            return self.seal.unseal(cookie, bound_to=["guest"], purpose=purpose)
        if self.claims is None:
            return None
        if given == INTERRUPTED:
            return self.seal.unseal(cookie, bound_to=_owner(self.claims), purpose=purpose)
        return self.seal.unseal(given, bound_to=_session(self.claims), purpose=purpose)


async def forms_kept(request: Request, resources: CurrentResources) -> KeptForms:
    """The forms of this request. The seal of a process is made at its first use."""
    state = request.app.state
    if not hasattr(state, "form_seal"):
        state.form_seal = FormSeal(resources.settings)
    try:
        claims = resources.tokens.read_expired(given_token(request))
    except (AuthenticationRequired, TokenInvalid):
        claims = None
    return KeptForms(request, resources, state.form_seal, claims)


CurrentKept = Annotated[KeptForms, Depends(forms_kept)]


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A dependency: the form whose review was sent, with the PIN of the review. `purpose` is where it begins."""

    purpose: str

    async def __call__(self, request: Request, submitted: SubmittedForm, kept: CurrentKept) -> Form:
        """Raises ReviewTooOld."""
        submitted.purpose = self.purpose
        form = kept.reviewed(submitted.value("form"), purpose=self.purpose)
        if form is None:
            submitted.page, submitted.values = self.purpose, {}
            raise ReviewTooOld
        values = {**form.values, "pin": submitted.values.get("pin", "")}
        form = request.state.form = replace(form.as_typed, values=values, page=submitted.page)
        return form


def _owner(claims: Claims) -> list[str]:
    return ["owner", str(claims.owner_id)]


def _session(claims: Claims) -> list[str]:
    return ["session", str(claims.owner_id), str(claims.token_id)]
