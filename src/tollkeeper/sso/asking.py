"""Asks a provider and reads its JSON, with words for everything that can go wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from tollkeeper import __version__
from tollkeeper.domain.oidc import ProviderFailed
from tollkeeper.outgoing import Answer, NoAnswer, OutsideClient
from tollkeeper.telemetry import logger

_OK: Final = 200
_REDIRECTS: Final = range(300, 400)
_JSON: Final = "application/json"


class Asker:
    """Asks one provider. ``label`` is what people know it by."""

    def __init__(self, outside: OutsideClient, label: str) -> None:
        self._outside = outside
        self._label = label

    def require(self, what: str, url: object) -> str:
        """Give an address of the provider's that may be connected to. Raises ProviderFailed."""
        if not isinstance(url, str):
            raise self.failed(what, "the discovery document does not name it")
        try:
            self._outside.target(url)
        except ValueError as error:
            raise self.failed(what, f"the address {error}") from None
        return url

    def get(self, what: str, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Get a JSON object. Raises ProviderFailed."""
        answer = self._answer("GET", what, url, dict(headers or {}), None)
        if answer.status != _OK:
            moved = ", and no redirect is followed" if answer.status in _REDIRECTS else ""
            raise self.failed(what, f"answered with status {answer.status}{moved}")
        return self._object(what, answer)

    def post(
        self, what: str, url: str, headers: Mapping[str, str], body: str
    ) -> tuple[int, dict[str, Any]]:
        """Post a form; give status and JSON object. Raises ProviderFailed."""
        sent = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        answer = self._answer("POST", what, url, sent, body.encode())
        if answer.status in _REDIRECTS or answer.status >= 500:
            raise self.failed(what, f"answered with status {answer.status}")
        return answer.status, self._object(what, answer)

    def failed(self, what: str, reason: str) -> ProviderFailed:
        """Make the error, and leave the reason in the log."""
        logger.warning(
            "sign-in provider not usable",
            extra={"provider": self._label, "part": what, "reason": reason},
        )
        return ProviderFailed(self._label, what, reason)

    def _answer(
        self, method: str, what: str, url: str, headers: dict[str, str], body: bytes | None
    ) -> Answer:
        headers |= {"Accept": _JSON, "User-Agent": f"Tollkeeper/{__version__}"}
        try:
            return self._outside.ask(method, url, headers, body)
        except NoAnswer as error:
            raise self.failed(what, str(error)) from None

    def _object(self, what: str, answer: Answer) -> dict[str, Any]:
        try:
            found = json.loads(answer.body)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise self.failed(what, f"status {answer.status}, and no JSON object")
        return found
