"""Errors as people and programs get them: a page that says what to do, or RFC 9457 JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from tollkeeper.domain.errors import LedgerInUse, LedgerUnavailable, Refused, TollkeeperError
from tollkeeper.reports.questions import BadQuestion

PROBLEM_TYPE: Final = "application/problem+json"
_TITLES: Final[Mapping[int, str]] = {
    400: "The request cannot be read",
    401: "Please sign in",
    403: "You may not do this",
    404: "There is nothing here",
    405: "This cannot be done here",
    406: "This cannot be had in that form",
    409: "This does not fit what is there",
    413: "That was too much",
    415: "This cannot be read",
    422: "The question cannot be answered",
    429: "Too many attempts",
    500: "Something went wrong here",
    503: "Not available at the moment",
}
_SIGN_IN: Final = "sign_in_"
"""How codes begin that say why nobody is let in."""

_LINK_REMEDY: Final = "Whoever runs Tollkeeper makes a new link with: tollkeeper users link EMAIL"
_REMEDIES: Final[Mapping[str, str]] = {
    "link_rejected": _LINK_REMEDY,
    "not_signed_in": _LINK_REMEDY,
    "sign_in_over": "Sign in again: it works once, within ten minutes, in one browser.",
    "sign_in_refused": "Try again; if it stays so, ask whoever runs the provider.",
    "sign_in_not_verified": "Try again. If it stays so, the server's log says what was wrong.",
    "sign_in_unreachable": "Try again in a minute; 'tollkeeper doctor' says what is wrong.",
    "sign_in_no_role": "Whoever runs Tollkeeper says which groups have one; ask to be put in one.",
    "sign_in_no_account": "An admin can add you: tollkeeper users add EMAIL",
    "sign_in_domain": "Sign in with the account of your company.",
    "sign_in_email_unverified": (
        "Confirm your address at the provider. If it never says whether addresses are confirmed, "
        "whoever runs Tollkeeper may trust it with trust_emails."
    ),
    "sign_in_account_bound": (
        "Sign in as you did before. Where somebody has a new account at the provider, whoever runs "
        "Tollkeeper makes room for it with: tollkeeper users unbind EMAIL"
    ),
    "user_inactive": "An admin can switch it on again.",
    "ledger_in_use": "Stop the process that has the ledger open; this page then works by itself.",
    "ledger_unavailable": (
        "Calls are carried and recorded meanwhile, and nothing is lost. The ledger is tried "
        "again every few seconds; 'tollkeeper doctor' says what is wrong and what to do."
    ),
    "store_unavailable": "'tollkeeper doctor' says what is wrong and what to do.",
    "internal": "The server's log says more, under the number of this request.",
    "role_too_low": "An admin can give you another role, or do it for you.",
}
_LITELLM_TYPES: Final[Mapping[int, str]] = {
    401: "auth_error",
    403: "auth_error",
    404: "not_found_error",
    500: "internal_server_error",
    503: "internal_server_error",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong, in words. ``code`` is stable and for programs; ``remedy`` may be ""."""

    template: ClassVar[str] = "problem.html"
    status: int
    code: str
    detail: str
    remedy: str = ""
    parameter: str = ""
    retry_after_s: int | None = None
    request_id: str = ""

    @property
    def title(self) -> str:
        """Give a short sentence for the status."""
        if self.code.startswith(_SIGN_IN):
            return "You are not signed in"
        return _TITLES.get(self.status, "This did not work")

    def document(self) -> Mapping[str, Any]:
        """Give the problem details of RFC 9457."""
        found: dict[str, Any] = {
            "type": f"urn:tollkeeper:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        optional = {
            "remedy": self.remedy,
            "parameter": self.parameter,
            "request_id": self.request_id,
        }
        return found | {name: value for name, value in optional.items() if value}

    def litellm_error(self) -> Mapping[str, Any]:
        """Give the problem as LiteLLM's clients read it."""
        return {
            "message": self.detail,
            "type": _LITELLM_TYPES.get(self.status, "bad_request_error"),
            "param": self.parameter or None,
            "code": str(self.status),
        }


def problem(status: int, code: str, detail: str, **more: Any) -> Problem:
    """Make a problem with the remedy that belongs to its code."""
    return Problem(status, code, detail, _REMEDIES.get(code, ""), **more)


def problem_of(error: Exception) -> Problem | None:
    """Describe an error that was meant to be told; None for a fault of ours."""
    if isinstance(error, BadQuestion):
        return problem(422, "bad_question", str(error), parameter=error.parameter)
    if isinstance(error, LedgerUnavailable):
        code = "ledger_in_use" if isinstance(error, LedgerInUse) else "ledger_unavailable"
        return problem(503, code, error.message, retry_after_s=2)
    if isinstance(error, Refused):
        return problem(error.status, error.code, error.message, retry_after_s=error.retry_after_s)
    if isinstance(error, TollkeeperError):
        return problem(error.status, error.code, error.message)
    if type(error) is LookupError:  # a KeyError or IndexError would be a fault of ours
        return problem(404, "not_found", str(error))
    if isinstance(error, OSError):
        return problem(503, "store_unavailable", "the store cannot be used", retry_after_s=5)
    return None


def numbered(found: Problem, request_id: str) -> Problem:
    """Give the problem with the number under which the log has it."""
    return replace(found, request_id=request_id)
