"""A provider's own description of itself, remembered for an hour."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from authlib.oidc.discovery import get_well_known_url

from tollkeeper.domain.oidc import OidcProvider, ProviderFailed
from tollkeeper.sso.asking import Asker

FRESH_S: Final = 3_600.0
RETRY_S: Final = 5.0
"""How long a failure stands before the provider is asked again."""

WHAT: Final = "discovery document"


class Metadata(NamedTuple):
    """What is needed of a provider's description. Addresses were looked at; "" is none.

    ``posts_secret`` tells that the client's secret goes into the form, not into a header.
    ``names_itself`` tells that the provider says who it is when it sends somebody back (RFC 9207).
    """

    authorization: str
    token: str
    keys: str
    userinfo: str
    end_session: str
    posts_secret: bool
    names_itself: bool


class Discovery:
    """Reads the description when it is needed. Safe to use from several threads."""

    def __init__(
        self, provider: OidcProvider, asker: Asker, monotonic_s: Callable[[], float]
    ) -> None:
        self._provider = provider
        self._asker = asker
        self._now_s = monotonic_s
        self._lock = threading.Lock()
        self._found: Metadata | None = None
        self._failed: ProviderFailed | None = None
        self._at_s = 0.0

    def metadata(self) -> Metadata:
        """Give the description. Raises ProviderFailed."""
        with self._lock:
            age_s = self._now_s() - self._at_s
            if self._found is not None and age_s < FRESH_S:
                return self._found
            if self._failed is not None and age_s < RETRY_S:
                raise self._failed.with_traceback(None)
            try:
                self._found, self._failed = self._read(), None
            except ProviderFailed as error:
                self._found, self._failed = None, error
                raise
            finally:
                self._at_s = self._now_s()
            return self._found

    def _read(self) -> Metadata:
        issuer = self._provider.issuer
        said = self._asker.get(WHAT, get_well_known_url(issuer, external=True))
        if said.get("issuer") != issuer:
            named = str(said.get("issuer"))[:200]
            raise self._asker.failed(WHAT, f"is of another issuer, {named!r}")

        def place(name: str, *, is_needed: bool = True) -> str:
            given = said.get(name)
            return self._asker.require(name, given) if given or is_needed else ""

        return Metadata(
            authorization=place("authorization_endpoint"),
            token=place("token_endpoint"),
            keys=place("jwks_uri"),
            userinfo=place("userinfo_endpoint", is_needed=False),
            end_session=place("end_session_endpoint", is_needed=False),
            posts_secret=_posts_secret(said),
            names_itself=said.get("authorization_response_iss_parameter_supported") is True,
        )


def _posts_secret(said: dict[str, Any]) -> bool:
    ways = said.get("token_endpoint_auth_methods_supported")
    if not isinstance(ways, list) or "client_secret_basic" in ways:
        return False
    return "client_secret_post" in ways
