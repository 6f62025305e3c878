"""Messages that are to be told: written here, sent by the console's own worker.

Whoever changes something writes its message inside the same ``store.together()``: then both
happen or neither, and a message is never lost between the two.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from tollkeeper.domain.deliveries import (
    EVENT_CHARS_MAX,
    TEXT_CHARS_MAX,
    TITLE_CHARS_MAX,
    Message,
    Outbox,
    Severity,
    one_line,
)
from tollkeeper.domain.ids import IdMint

DATA_CHARS_MAX: Final = 8_000

_ids: Final = IdMint()


def message_of(
    event: str,
    title: str,
    text: str,
    now_us: int,
    *,
    severity: Severity = Severity.INFO,
    data: Mapping[str, Any] | None = None,
    path: str = "/alerts",
    message_id: str = "",
) -> Message:
    """Make a message. ``event`` is one of the webhooks' words, such as ``budget.requested``.

    ``data`` is plain JSON data without secrets; ``path`` is the page that it leads to. An
    ``message_id`` of one's own makes it the same message however often it is written: letters,
    digits, ``_`` and ``-``.
    """
    return Message(
        message_id=message_id or f"msg_{_ids.next(now_us // 1000)}",
        event=event[:EVENT_CHARS_MAX],
        created_at_us=now_us,
        title=one_line(title, TITLE_CHARS_MAX) or event,
        text=text[:TEXT_CHARS_MAX],
        severity=severity,
        data=data or {},
        path=path,
    )


def enqueue(store: Outbox, message: Message) -> bool:
    """Keep a message for all channels; False where the same one is there already.

    Every channel of the configuration gets it within seconds, or with its next digest. Raises
    ValueError for data that are no JSON or too long, OSError when the store cannot be used.
    """
    written = json.dumps(dict(message.data), ensure_ascii=False)
    if len(written) > DATA_CHARS_MAX:
        raise ValueError(f"the data of a message are at most {DATA_CHARS_MAX} characters")
    return store.add_message(message)
