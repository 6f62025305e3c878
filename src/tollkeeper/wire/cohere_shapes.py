"""The JSON of Cohere's own API, first and second version, as far as it is read."""

from __future__ import annotations

from typing import Any

import msgspec

from tollkeeper.wire.lenient_json import ABSENT, Count


class BilledUnits(msgspec.Struct):
    """What is billed. Each kind of call states its own units."""

    input_tokens: Count = None
    output_tokens: Count = None
    search_units: Count = None
    image_tokens: Count = None
    images: Count = None
    classifications: Count = None


class Tokens(msgspec.Struct):
    """What was counted, with what Cohere adds by itself and does not bill."""

    input_tokens: Count = None
    output_tokens: Count = None


class CohereUsage(msgspec.Struct):
    """The ``usage`` of the second version, the ``meta`` of the first."""

    billed_units: BilledUnits | None = None
    tokens: Tokens | None = None


class Reply(msgspec.Struct):
    """A whole reply. ``response_id`` is the first version's word for ``id``."""

    id: str | None = None
    response_id: str | None = None
    usage: msgspec.Raw = ABSENT
    meta: msgspec.Raw = ABSENT
    finish_reason: str | None = None
    text: str | None = None
    message: Any = None
    generations: list[Any] | None = None


class Delta(msgspec.Struct):
    message: Any = None
    usage: msgspec.Raw = ABSENT
    finish_reason: str | None = None
    error: str | None = None


class StreamEnd(msgspec.Struct):
    """The reply as a whole, repeated in the first version's last event."""

    response_id: str | None = None
    id: str | None = None
    meta: msgspec.Raw = ABSENT


class Event(msgspec.Struct):
    """One event: ``type`` and ``delta`` are the second version's, the others the first's."""

    id: str | None = None
    type: str | None = None
    delta: Delta | None = None
    event_type: str | None = None
    is_finished: bool = False
    generation_id: str | None = None
    text: str | None = None
    finish_reason: str | None = None
    response: StreamEnd | None = None
