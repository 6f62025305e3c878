"""What an empty page says: how the first call is made, ready to be copied."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from tollkeeper.console.shared import Console
from tollkeeper.domain.access import Role, Scope, Viewer
from tollkeeper.domain.ledger import Outcome
from tollkeeper.reports import calls
from tollkeeper.reports.call_rows import CallRow
from tollkeeper.services import connect
from tollkeeper.services.connect import Connection, ToolSettings

READERS: Final = frozenset({Role.FINANCE, Role.AUDITOR})
"""Roles that look at everybody's figures and keys, and issue none."""

_ROWS_LOOKED_AT: Final = 50


class FirstCall(NamedTuple):
    """A whole first call as one command, and the settings of every tool.

    ``url`` is where the gateway is. ``may_issue`` tells whether the viewer can issue the key
    that is needed.
    """

    url: str
    command: str
    tools: tuple[ToolSettings, ...]
    may_issue: bool


def first_call(console: Console, viewer: Viewer) -> FirstCall:
    """Say how to get the first call into the ledger."""
    to = Connection(console.public_url)
    return FirstCall(
        to.url, connect.curl(to), connect.tool_settings(to), viewer.role not in READERS
    )


def connection(console: Console, scope: Scope, key: str) -> Connection:
    """Give a connection with models that were called here lately, else the sandbox's."""
    rows = calls.newest(console.ledger, scope, (), _ROWS_LOOKED_AT).rows
    return Connection(
        console.public_url,
        key,
        _model(rows, "openai"),
        _model(rows, "anthropic"),
        _model(rows, "gemini"),
    )


def _model(rows: Iterable[CallRow], wire: str) -> str:
    for row in rows:
        if row.wire == wire and row.outcome == Outcome.OK and row.model_requested:
            return row.model_requested
    return connect.SANDBOX_MODEL
