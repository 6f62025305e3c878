"""What follows from a request's head alone. Worked out once, kept with the remembered head."""

from __future__ import annotations

from typing import Final, NamedTuple

from tollkeeper.domain.access import VirtualKey
from tollkeeper.gateway.plans import Planner
from tollkeeper.gateway.shared import Gateway
from tollkeeper.gateway.ways import Way, WayKey
from tollkeeper.http1.messages import Request
from tollkeeper.wire.controls import NO_CONTROLS
from tollkeeper.wire.credentials import Credentials
from tollkeeper.wire.endpoints import Body, Match, body_kind
from tollkeeper.wire.paths import query_without
from tollkeeper.wire.tags import end_customer, named_session, read_tags

_WAYS_MAX: Final = 64


class HeadNotes:
    """Facts of one head, and the ways that calls with it have taken.

    ``lines`` are the header lines for the provider without Host, credential and framing;
    ``query`` is what of the query goes there, with its question mark. ``ways`` remembers
    admissions for one planner and one state of the key; ``ways_for`` forgets them when
    either has changed.
    """

    def __init__(
        self, gateway: Gateway, request: Request, match: Match, credentials: Credentials
    ) -> None:
        self.request = request
        self.match = match
        self.credentials = credentials
        self.token = credentials.key
        self.body_kind = body_kind(match.endpoint, request.header(b"content-type") or b"")
        self.encoding = (request.header(b"content-encoding") or b"").decode("latin-1")
        self.client = gateway.clients.identify(request.header, NO_CONTROLS)
        self.session_id = named_session(request.header)
        self.end_customer = end_customer(request.header, "")
        self.lines = gateway.headers.request_lines(request.headers, credentials)
        dropped = frozenset((*credentials.query_dropped, *match.query_dropped))
        query = query_without(request.query.decode("latin-1"), dropped)
        self.query = f"?{query}" if query else ""
        self.is_plain_json = (
            self.body_kind is Body.JSON and not self.encoding and not match.endpoint.local
        )
        read_tags(request.header, request.headers, (), {})  # so that a bad header is refused now
        self._planner: Planner | None = None
        self._key: VirtualKey | None = None
        self._ways: dict[WayKey, Way] = {}

    def ways_for(self, planner: Planner, key: VirtualKey) -> dict[WayKey, Way]:
        """Give the remembered ways; empty after a change of routing or of the key."""
        if self._planner is not planner or self._key is not key or len(self._ways) > _WAYS_MAX:
            self._planner, self._key, self._ways = planner, key, {}
        return self._ways


class Caller(NamedTuple):
    """A request of an identified caller, at the moment it came."""

    notes: HeadNotes
    key: VirtualKey
    now_us: int
