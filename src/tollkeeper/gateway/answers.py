"""Answers that the gateway gives by itself, in the caller's own protocol."""

from __future__ import annotations

from tollkeeper.domain.errors import Refused
from tollkeeper.domain.litellm_keys import over_budget_status
from tollkeeper.domain.rate_limits import RateLimited
from tollkeeper.gateway.admission import refused_entry
from tollkeeper.gateway.head_notes import Caller
from tollkeeper.gateway.relay import CALL_ID_LINE
from tollkeeper.gateway.shared import Gateway
from tollkeeper.http1.exchange import Exchange
from tollkeeper.wire.controls import Controls
from tollkeeper.wire.rate_limit_lines import with_standing
from tollkeeper.wire.refusals import refusal

JSON_LINE = b"content-type: application/json\r\n"


def refuse_call(
    gateway: Gateway, exchange: Exchange, caller: Caller, error: Refused, controls: Controls
) -> None:
    """Refuse the call of an identified caller, and write it down."""
    notes = caller.notes
    client = gateway.clients.identify(notes.request.header, controls)
    call_id = gateway.ids.next(caller.now_us // 1000)
    reply = refusal(
        error,
        notes.match.endpoint,
        client.tool,
        call_id=call_id,
        forced_status=over_budget_status(caller.key.tags, gateway.settings.refusal_status),
    )
    lines = reply.headers + CALL_ID_LINE % call_id.encode()
    entry = refused_entry(caller, error, controls, client, call_id=call_id, status=reply.status)
    if isinstance(error, RateLimited):
        gateway.counters.limited(error.rate)
        lines = with_standing(lines, error.standing, notes.match.endpoint.dialect, caller.now_us)
        exchange.send(reply.status, lines, reply.body)
        gateway.refused(entry, error.rule.name)
        return
    exchange.send(reply.status, lines, reply.body)
    # Whoever has a key and not its network can do nothing but repeat this.
    gateway.refused(entry, error.code if error.code == "address_not_allowed" else "")


class Answer:
    """Takes a request whose reply is known already, and answers once its body has gone by."""

    def __init__(self, exchange: Exchange, status: int, headers: bytes, body: bytes) -> None:
        self._exchange = exchange
        self._status = status
        self._headers = headers
        self._body = body

    def body(self, data: bytes) -> None:
        """Ignore the body."""

    def body_end(self) -> None:
        self._exchange.send(self._status, self._headers, self._body)

    def client_gone(self) -> None:
        """Nothing was begun."""

    def client_writable(self, *, writable: bool) -> None:
        """Nothing is being sent."""
