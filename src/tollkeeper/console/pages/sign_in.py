"""Signing in: what a one-time link leads to, and how to get one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tollkeeper.console.shared import Console, Query
from tollkeeper.domain.access import Viewer


@dataclass(frozen=True, slots=True)
class SignInPage:
    """``token`` is the link's, "" without one; ``next`` is where to go afterwards.

    ``signed_out`` tells that somebody has just signed out.
    """

    template: ClassVar[str] = "sign_in.html"
    token: str
    next: str
    signed_out: bool


def sign_in(console: Console, viewer: Viewer | None, query: Query) -> SignInPage:
    """Answer ``GET /login``. The link is spent by the form's button, not by opening it."""
    return SignInPage(query.get("token", ""), query.get("next", "/"), "signed_out" in query)
