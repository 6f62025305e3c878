"""What follows from the head of a reply alone. Worked out once, kept with its kind."""

from __future__ import annotations

from typing import Final

from tollkeeper.http1.reply_heads import HeadKind, ReplyHead
from tollkeeper.wire.headers import HeaderFilter
from tollkeeper.wire.json_lines import are_lines

_CONTENT_TYPE: Final = 1
_CONTENT_ENCODING: Final = 2
_REQUEST_ID: Final = 3
_MEANING: Final = {
    b"content-type": _CONTENT_TYPE,
    b"content-encoding": _CONTENT_ENCODING,
    b"request-id": _REQUEST_ID,
    b"x-request-id": _REQUEST_ID,
    b"apim-request-id": _REQUEST_ID,
    b"x-amzn-requestid": _REQUEST_ID,
    b"x-goog-request-id": _REQUEST_ID,
}


class ReplyNotes:
    """Facts of one kind of head.

    ``content_type`` and ``encoding`` are header values as text ("" where there is none);
    ``json_lines`` tells that the body is a stream of JSON lines.
    Raises UpstreamFailed for a field that would be more than one line.
    """

    __slots__ = (
        "_request_id",
        "_request_id_at",
        "_template",
        "content_type",
        "encoding",
        "json_lines",
    )

    def __init__(self, kind: HeadKind, header_filter: HeaderFilter) -> None:
        self._template = header_filter.reply_template(kind.headers, kind.varying)
        self._request_id = self.content_type = self.encoding = ""
        self._request_id_at = -1  # among the values of the head at hand
        for place, (name, value) in enumerate(kind.headers):
            meaning = _MEANING.get(name.lower())
            if meaning == _CONTENT_TYPE:
                self.content_type = value.decode("latin-1")
            elif meaning == _CONTENT_ENCODING:
                self.encoding = value.decode("latin-1")
            elif meaning == _REQUEST_ID and not self._request_id and self._request_id_at < 0:
                if place in kind.varying:
                    self._request_id_at = kind.varying.index(place)
                else:
                    self._request_id = value.decode("latin-1")
        self.json_lines = are_lines(self.content_type)

    def lines(self, head: ReplyHead) -> bytes:
        """Give the header lines of a head for the client, without framing."""
        return self._template % head.values

    def request_id(self, head: ReplyHead) -> str:
        """Give the provider's own name for its reply, "" if it has none."""
        if self._request_id_at >= 0:
            return head.values[self._request_id_at].decode("latin-1")
        return self._request_id


def notes_of(head: ReplyHead, header_filter: HeaderFilter) -> ReplyNotes:
    """Give the notes of a head's kind. Raises UpstreamFailed as well."""
    notes = head.kind.notes
    if not isinstance(notes, ReplyNotes):
        notes = head.kind.notes = ReplyNotes(head.kind, header_filter)
    return notes
