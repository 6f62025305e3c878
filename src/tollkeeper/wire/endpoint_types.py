"""What a call is, as the table of endpoints says it."""

from __future__ import annotations

import enum
from typing import NamedTuple

from tollkeeper.domain.routing import Dialect


class Body(enum.Enum):
    """What the body of a request is."""

    JSON = "json"
    MULTIPART = "multipart"
    OPAQUE = "opaque"  # not looked into
    NONE = "none"


class Endpoint(NamedTuple):
    """One kind of call.

    ``name`` is the ledger's word for it. ``reader`` names the reader of its replies.
    ``free`` calls are known to cost nothing; ``local`` ones are answered by the gateway.
    ``unnamed`` ones need not name a model.
    """

    name: str
    dialect: Dialect
    reader: str = "none"
    body: Body = Body.JSON
    free: bool = False
    local: bool = False
    unnamed: bool = False


class Match(NamedTuple):
    """A recognised request.

    ``upstream_path`` is relative to the provider's base for the endpoint's dialect; where
    the path itself names a ``provider``, it is relative to that provider's root.
    ``model`` is the model that the path names, decoded ("" when the body names it).
    ``streamed`` tells that the path asks for a stream. ``query_dropped`` are the parameters
    that mean something to this path only, and nothing to the one upstream.
    ``kind`` is the kind of provider whose own path this is ("" for a path that many have).
    ``job`` is the job (see ``domain.jobs``) that a path names whose reply needs that name.
    """

    endpoint: Endpoint
    upstream_path: str
    model: str = ""
    streamed: bool = False
    provider: str = ""
    query_dropped: tuple[str, ...] = ()
    kind: str = ""
    job: str = ""
