"""Our side of a sign-in at one provider: code flow with PKCE, state and nonce."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from tollkeeper.domain.oidc import Arrival, OidcProvider, Request, Returned, SignInRefused
from tollkeeper.outgoing import OutsideClient
from tollkeeper.sso.asking import Asker
from tollkeeper.sso.discovery import Discovery, Metadata
from tollkeeper.sso.id_token import Expected, TokenRejected, claims_of
from tollkeeper.sso.signing_keys import SigningKeys
from tollkeeper.sso.who import arrival_of, needs_more

CALLBACK: Final = "/callback"
CODE_CHARS_MAX: Final = 4_096
_ACCESS_TOKEN_CHARS_MAX: Final = 64 << 10
_OK: Final = 200
_WORD: Final = re.compile(r"[a-z_]{1,60}")
_TOKEN: Final = re.compile(r"[!-~]+")


class ProviderClient:
    """Implements ``domain.oidc.OidcClient``. ``public_url`` is where people reach us."""

    def __init__(
        self,
        provider: OidcProvider,
        outside: OutsideClient,
        public_url: str,
        monotonic_s: Callable[[], float],
    ) -> None:
        self._provider = provider
        self._home = public_url.rstrip("/")
        self._asker = Asker(outside, provider.label)
        self._discovery = Discovery(provider, self._asker, monotonic_s)
        self._keys = SigningKeys(self._asker, monotonic_s)

    @property
    def provider(self) -> OidcProvider:
        """Give what is configured of the provider."""
        return self._provider

    @property
    def redirect_uri(self) -> str:
        """Give the one address that the provider may send people back to."""
        return f"{self._home}{self._provider.path}{CALLBACK}"

    def address(self, request: Request) -> str:
        """Say where to send the browser."""
        return str(
            prepare_grant_uri(
                self._discovery.metadata().authorization,
                self._provider.client_id,
                "code",
                redirect_uri=self.redirect_uri,
                scope=" ".join(self._provider.scopes),
                state=request.state,
                nonce=request.nonce,
                code_challenge=create_s256_code_challenge(request.verifier),
                code_challenge_method="S256",
            )
        )

    def arrival(self, request: Request, returned: Returned, now_us: int) -> Arrival:
        """Turn what somebody came back with into who they are, checking all of it."""
        metadata = self._discovery.metadata()
        self._require_sender(metadata, returned)
        if returned.error:
            word = returned.error if _WORD.fullmatch(returned.error) else "an error"
            raise SignInRefused(
                f"{self._provider.label} did not sign you in ({word})", reason=f"error {word}"
            )
        if not returned.code or len(returned.code) > CODE_CHARS_MAX:
            raise self._rejected("no code came back")
        tokens = self._tokens(metadata, request, returned.code)
        access_token = tokens["access_token"]
        try:
            claims = claims_of(
                tokens["id_token"],
                Expected(self._provider, request.nonce, access_token, metadata.keys, now_us),
                self._keys,
            )
        except TokenRejected as error:
            raise self._rejected(f"ID token: {error}") from None
        userinfo = self._userinfo(metadata, claims, access_token)
        return arrival_of(self._provider, claims, userinfo)

    def farewell(self) -> str:
        """Say where to send a browser to sign out at the provider too, "" for nowhere."""
        if not self._provider.signs_out:
            return ""
        end_session = self._discovery.metadata().end_session
        if not end_session:
            return ""
        query = urlencode(
            {
                "client_id": self._provider.client_id,
                "post_logout_redirect_uri": f"{self._home}/login",
            }
        )
        return f"{end_session}{'&' if '?' in end_session else '?'}{query}"

    def examine(self) -> None:
        """Look whether a sign-in could work. Raises ProviderFailed."""
        self._keys.fitting(self._discovery.metadata().keys, "", "RS256")

    def _require_sender(self, metadata: Metadata, returned: Returned) -> None:
        """Refuse an answer that is another provider's (RFC 9207)."""
        if returned.issuer and returned.issuer != self._provider.issuer:
            raise self._rejected("the answer names another issuer")
        if metadata.names_itself and not returned.issuer:
            raise self._rejected("the answer does not name its issuer")

    def _tokens(self, metadata: Metadata, request: Request, code: str) -> dict[str, str]:
        provider = self._provider
        more = {"code": code, "code_verifier": request.verifier}
        headers = {}
        if not provider.client_secret:
            more["client_id"] = provider.client_id
        elif metadata.posts_secret:
            more |= {"client_id": provider.client_id, "client_secret": provider.client_secret}
        else:
            pair = f"{quote_plus(provider.client_id)}:{quote_plus(provider.client_secret)}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        body = prepare_token_request("authorization_code", redirect_uri=self.redirect_uri, **more)
        status, answer = self._asker.post("token_endpoint", metadata.token, headers, body)
        if status != _OK:
            word = answer.get("error")
            known = word if isinstance(word, str) and _WORD.fullmatch(word) else "no reason given"
            raise self._rejected(f"the code was not taken: status {status}, {known}")
        return self._required(answer)

    def _required(self, answer: dict[str, Any]) -> dict[str, str]:
        """Give the two tokens. Raises SignInRefused for an answer without them."""
        kind = answer.get("token_type")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise self._rejected("the access token is of a kind that is not known")
        for name in ("access_token", "id_token"):
            token = answer.get(name)
            if not isinstance(token, str) or not _TOKEN.fullmatch(token):
                raise self._rejected(f"the answer has no {name}")
        if len(answer["access_token"]) > _ACCESS_TOKEN_CHARS_MAX:
            raise self._rejected("the access token is too long")
        return {name: answer[name] for name in ("access_token", "id_token")}

    def _userinfo(
        self, metadata: Metadata, claims: dict[str, Any], access_token: str
    ) -> dict[str, Any]:
        if not metadata.userinfo or not needs_more(self._provider, claims):
            return {}
        headers = {"Authorization": f"Bearer {access_token}"}
        found = self._asker.get("userinfo_endpoint", metadata.userinfo, headers)
        if found.get("sub") != claims["sub"]:
            raise self._rejected("userinfo is of another subject")
        return found

    def _rejected(self, reason: str) -> SignInRefused:
        label = self._provider.label
        return SignInRefused(
            f"what {label} sent could not be verified", code="sign_in_not_verified", reason=reason
        )
