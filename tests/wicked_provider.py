"""An OpenID provider for tests that does whatever it is told, right or wrong.

A real HTTP server that signs with its own keys. ``mood`` says what is wrong with it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
import warnings
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jws
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from loopback import HOST

CLIENT_ID = "tollkeeper"
CLIENT_SECRET = "a secret & its signs"
RSA = RSAKey.generate_key(2_048, private=True)
OTHER_RSA = RSAKey.generate_key(2_048, private=True)
with warnings.catch_warnings():  # the library warns of the key that we refuse
    warnings.simplefilter("ignore")
    WEAK_RSA = RSAKey.generate_key(1_024, private=True)
EC = ECKey.generate_key("P-256", private=True)
ED = OKPKey.generate_key("Ed25519", private=True)

Claims = dict[str, Any]


class WickedProvider:
    """Answers discovery, keys, tokens and userinfo. ``asked`` counts requests by path.

    ``claims`` and ``header`` change what a token says; ``sign`` how it is signed; ``answers``
    replaces whole answers by path: a status and a JSON value.
    """

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.keys: dict[str, Key] = {"k1": RSA}
        self.codes: dict[str, dict[str, str]] = {}
        self.claims: Claims = {}
        self.left_out: tuple[str, ...] = ()
        self.userinfo: Claims | None = None
        self.metadata: Claims = {}
        self.header: Claims = {}
        self.signing: Key | bytes = RSA
        self.algorithm = "RS256"
        self.token: Callable[[str], str] = lambda token: token
        self.answers: dict[str, tuple[int, Any]] = {}
        self.now_s = 0
        self.forms: list[dict[str, str]] = []
        self.credentials: list[str] = []
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.issuer = f"http://{HOST}:{self._server.server_address[1]}/realm"

    @contextmanager
    def running(self) -> Iterator[WickedProvider]:
        self._thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def code_for(self, address: str, **claims: Any) -> dict[str, str]:
        """Sign somebody in whose browser was sent to this address; give what it brings back."""
        sent = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert sent["response_type"] == "code"
        assert sent["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = sent
        self.claims |= claims
        return {"code": code, "state": sent["state"]}

    # ------------------------------------------------------------------ answers

    def answer(self, path: str, form: Mapping[str, str], credential: str) -> tuple[int, Any]:
        self.asked[path] += 1
        if path in self.answers:
            return self.answers[path]
        match path:
            case "/realm/.well-known/openid-configuration":
                return 200, self._described()
            case "/realm/keys":
                return 200, {"keys": [self._public(kid, key) for kid, key in self.keys.items()]}
            case "/realm/token":
                self.forms.append(dict(form))
                self.credentials.append(credential)
                return self._tokens(form)
            case "/realm/userinfo":
                return 200, self.userinfo
        return 404, {"error": "not_found"}

    def _described(self) -> Claims:
        found = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }
        if self.userinfo is not None:
            found["userinfo_endpoint"] = f"{self.issuer}/userinfo"
        return found | self.metadata

    @staticmethod
    def _public(kid: str, key: Key) -> Any:
        return {**key.as_dict(private=False), "kid": kid, "use": "sig"}

    def _tokens(self, form: Mapping[str, str]) -> tuple[int, Any]:
        sent = self.codes.pop(form.get("code", ""), None)
        if sent is None:
            return 400, {"error": "invalid_grant"}
        verifier = form.get("code_verifier", "")
        challenge = half(hashlib.sha256(verifier.encode()).digest())
        if challenge != sent["code_challenge"] or form["redirect_uri"] != sent["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        access_token = secrets.token_urlsafe(24)
        return 200, {
            "access_token": access_token,
            "token_type": "Bearer",
            "id_token": self.token(self._id_token(sent, access_token)),
        }

    def _id_token(self, sent: Mapping[str, str], access_token: str) -> str:
        digest = hashlib.sha512 if self.algorithm == "EdDSA" else hashlib.sha256
        hashed = digest(access_token.encode()).digest()
        claims = {
            "iss": self.issuer,
            "sub": "s-1",
            "aud": CLIENT_ID,
            "exp": self.now_s + 300,
            "iat": self.now_s,
            "nonce": sent["nonce"],
            "at_hash": half(hashed[: len(hashed) // 2]),
            "email": "newcomer@acme.com",
            "email_verified": True,
            "name": "New Comer",
        } | self.claims
        for name in self.left_out:
            claims.pop(name, None)
        header = {"alg": self.algorithm, "kid": "k1"} | self.header
        return signed(header, claims, self.signing)

    # ------------------------------------------------------------------ the server

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer({})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                self._answer({name: values[0] for name, values in parse_qs(body).items()})

            def _answer(self, form: Mapping[str, str]) -> None:
                path = urlsplit(self.path).path
                credential = self.headers.get("authorization", "")
                status, value = provider.answer(path, form, credential)
                body = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                if status in range(300, 400):
                    self.send_header("location", f"{provider.issuer}/elsewhere")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:
                """Say nothing."""

        return Handler


def half(digest: bytes) -> str:
    return urlsafe_b64encode(digest).decode().rstrip("=")


def signed(header: Claims, claims: Claims, key: Key | bytes) -> str:
    """Sign a token with any algorithm, ``none`` included; bytes are a secret for HS256."""
    content = ".".join(half(json.dumps(each).encode()) for each in (header, claims))
    if header["alg"] == "none":
        return f"{content}."
    if isinstance(key, bytes):
        return f"{content}.{half(hmac.digest(key, content.encode(), 'sha256'))}"
    algorithms = ["RS256", "RS512", "PS256", "ES256", "EdDSA"]
    with warnings.catch_warnings():  # of the name EdDSA
        warnings.simplefilter("ignore")
        return jws.serialize_compact(header, json.dumps(claims), key, algorithms=algorithms)


def as_secret(key: RSAKey) -> bytes:
    """Give an RSA public key as the secret of an HMAC: what a careless verifier would take."""
    return key.as_pem(private=False)
