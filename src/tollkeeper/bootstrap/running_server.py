"""Asks the running console over its own socket, with the token that it left for the operator."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from tollkeeper.domain.budgets import Budget
from tollkeeper.domain.errors import ConfigError, LedgerUnavailable, TollkeeperError
from tollkeeper.ports import DataFolder

OPERATOR_HEADER: Final = "x-tollkeeper-operator"
"""Where the console looks for the token (``console.access``, which is heavy to import)."""

_CONNECT_S: Final = 2.0
_ANSWER_S: Final = 60.0


class RunningServer:
    """Implements ``ports.ReportSource`` by the JSON API of a running console."""

    def __init__(self, socket_path: Path, token: str) -> None:
        self._socket_path = socket_path
        self._token = token

    def usage(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Answer ``GET /api/v1/usage``."""
        return self._get("/api/v1/usage", parameters)

    def calls(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Answer ``GET /api/v1/calls``."""
        return self._get("/api/v1/calls", parameters)

    def call(self, call_id: str) -> dict[str, Any]:
        """Answer ``GET /api/v1/calls/{id}``."""
        try:
            return self._get(f"/api/v1/calls/{quote(call_id, safe='')}", {})
        except LookupError:  # an id with a slash in it is no path of the API
            raise LookupError("no such call") from None

    def adoption(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Answer ``GET /api/v1/adoption``."""
        return self._get("/api/v1/adoption", parameters)

    def savings(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Answer ``GET /api/v1/savings``."""
        return self._get("/api/v1/savings", parameters)

    def forecast(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Answer ``GET /api/v1/forecast``."""
        return self._get("/api/v1/forecast", parameters)

    def changes(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Answer ``GET /api/v1/changes``."""
        return self._get("/api/v1/changes", parameters)

    def digest(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Answer ``GET /api/v1/digest``."""
        return self._get("/api/v1/digest", parameters)

    def reprice(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer ``POST /api/v1/prices/reprice``."""
        return self._ask("POST", "/api/v1/prices/reprice", json.dumps(body).encode())

    def replay_budget(
        self,
        budget: Budget,
        words: Mapping[str, Any],
        days: int,
        tell: Callable[[int, int], None],
    ) -> dict[str, Any]:
        """Answer ``POST /api/v1/budget-replays``: of a budget that is there, or of words."""
        what = {"id": budget.budget_id} if budget.budget_id else {"budget": dict(words)}
        body = json.dumps({**what, "days": days}).encode()
        return self._ask("POST", "/api/v1/budget-replays", body)

    def statements(self) -> dict[str, Any]:
        """Answer ``GET /api/v1/statements``."""
        return self._get("/api/v1/statements", {})

    def statement(self, month: str) -> dict[str, Any]:
        """Answer ``GET /api/v1/statements/{month}``."""
        return self._get(f"/api/v1/statements/{quote(month, safe='')}", {})

    def issue_statement(self, month: str) -> dict[str, Any]:
        """Answer ``POST /api/v1/statements/{month}/close``."""
        return self._ask("POST", f"/api/v1/statements/{quote(month, safe='')}/close", b"{}")

    def health(self) -> dict[str, Any]:
        """Ask how the console is: its faults, and what its loader has to do."""
        return self._get("/internal/health", {})

    def _get(self, path: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        return self._ask("GET", f"{path}?{urlencode(parameters)}" if parameters else path)

    def _ask(self, method: str, target: str, body: bytes | None = None) -> dict[str, Any]:
        headers = {OPERATOR_HEADER: self._token}
        if body is not None:
            headers["content-type"] = "application/json"
        try:
            with closing(_SocketConnection(self._socket_path)) as connection:
                connection.request(method, target, body, headers)
                reply = connection.getresponse()
                status, answer = reply.status, reply.read()
        except (OSError, HTTPException) as error:
            raise LedgerUnavailable(
                f"the running server does not answer ({str(error) or type(error).__name__}); "
                "'tollkeeper doctor' says what is wrong"
            ) from error
        return _answer(status, answer)


def server_of(data: DataFolder) -> RunningServer | None:
    """Find the server that runs on a data folder; None when none does.

    Raises ConfigError when one runs, and this user may not ask it.
    """
    path = data.socket("console")
    try:
        with closing(_SocketConnection(path)) as connection:
            connection.connect()
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        return None
    except PermissionError as error:
        raise _not_ours(path, error) from error
    return RunningServer(path, operator_token(data))


def operator_token(data: DataFolder) -> str:
    """Read the token of the running server. Raises ConfigError."""
    try:
        return data.operator_token.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _not_ours(data.operator_token, error) from error


def _not_ours(path: Path, error: Exception) -> ConfigError:
    words = getattr(error, "strerror", None) or str(error)
    return ConfigError(
        f"a server runs on this data folder, but it cannot be asked: {words}",
        file=str(path),
        hint="run this command as the user that runs the server",
    )


class _SocketConnection(HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_ANSWER_S)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_CONNECT_S)
        try:
            self.sock.connect(str(self._path))
        except BaseException:
            self.sock.close()
            raise
        self.sock.settimeout(_ANSWER_S)


def _answer(status: int, body: bytes) -> dict[str, Any]:
    """Give the document, or raise what the same question would have raised here."""
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise LedgerUnavailable(f"the running server answered with status {status}, and no JSON")
    if status == 200:
        return document
    reason = str(document.get("detail") or document.get("title") or f"status {status}")
    code = str(document.get("code") or "error")
    if code == "bad_question":
        raise ValueError(reason)
    if status == 404:
        raise LookupError(reason)
    if status == 503:
        raise LedgerUnavailable(reason, code=code)
    raise TollkeeperError(f"the running server refused: {reason}", code=code)
