"""Signing in: what a one-time link leads to, the form for a password, and other ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tollkeeper.console.own_paths import HOME, own_path
from tollkeeper.console.shared import Console, Query, SignInWay
from tollkeeper.domain.access import Viewer


@dataclass(frozen=True, slots=True)
class SignInPage:
    """``token`` is the link's, "" without one; ``next`` is where to go afterwards.

    ``signed_out`` tells that somebody has just signed out. ``ways`` are other ways to sign in.
    ``passwords`` tells whether one may be given; ``email`` is what was typed, and ``fault`` why
    it was refused.
    """

    template: ClassVar[str] = "sign_in.html"
    token: str
    next: str
    signed_out: bool
    ways: tuple[SignInWay, ...] = ()
    passwords: bool = True
    email: str = ""
    fault: str = ""
    status: int = 200


def sign_in(console: Console, viewer: Viewer | None, query: Query) -> SignInPage:
    """Answer ``GET /login``. The link is spent by the form's button, not by opening it."""
    return SignInPage(
        query.get("token", ""),
        own_path(query.get("next", HOME)),
        "signed_out" in query,
        tuple(console.sign_in_ways),
        console.passwords,
    )


def password_page(console: Console, email: str, after: str, fault: str) -> SignInPage:
    """Show the form again, with what was typed but the password, and why it was refused."""
    ways = tuple(console.sign_in_ways)
    return SignInPage("", after, False, ways, True, email, fault, 401)
