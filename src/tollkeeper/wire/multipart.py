"""Reads the text fields of a form as its bytes go by; files are never kept.

A scanner is fed the body in any cuts. It is stricter than RFC 2046 and RFC 7578: a form that
two servers could take apart differently is refused, for one of them sets the price.
"""

from __future__ import annotations

import enum
import re
from typing import Final

from tollkeeper.domain.errors import BadRequest

PARTS_MAX: Final = 1_000
TEXT_FIELDS_MAX: Final = 100
FIELD_BYTES_MAX: Final = 4 << 10
_HEAD_BYTES_MAX: Final = 8 << 10
_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_KIND: Final = re.compile(rf"\s*({_WORD}(?:/{_WORD})?)\s*")
_PARAMETER: Final = re.compile(
    rf';\s*({_WORD})=(?:"((?:[^"\\]|\\.)*)"|({_WORD}(?:[/:?=,()]+{_WORD})*))\s*'
)
# What steers a call must be said once, in one short text, under its exact name: the call
# may already be on its way when the rest of the form comes.
_STEERING: Final = frozenset({"model", "stream", "n", "user"})
_PLAIN_ENCODINGS: Final = frozenset({"", "7bit", "8bit", "binary"})
_PLAIN_CHARSETS: Final = frozenset({"", "utf-8", "us-ascii"})


def boundary_of(content_type: bytes) -> bytes:
    """Give the boundary of a multipart/form-data content type. Raises BadRequest."""
    kind, parameters = _value_and_parameters(content_type)
    boundary = parameters.get("boundary", "")
    if kind != "multipart/form-data" or not _BOUNDARY.fullmatch(boundary):
        raise _invalid("has no usable boundary")
    return boundary.encode("ascii")


class _In(enum.Enum):
    PREAMBLE = 0
    HEAD = 1
    CONTENT = 2
    EPILOGUE = 3


class FormScanner:
    """Scans one form.

    ``fields`` holds the text fields that ended so far, and ``spans`` where in the body each
    of their values stands. ``unclear`` names what has no one short text: fields that came
    twice, are above 4 KiB, or are files; for the fields that steer a call this is refused.
    ``complete`` is true once the end mark was seen.
    """

    def __init__(self, boundary: bytes) -> None:
        self.fields: dict[str, str] = {}
        self.spans: dict[str, tuple[int, int]] = {}
        self.unclear: set[str] = set()
        self._mark = b"\n--" + boundary
        self._in = _In.PREAMBLE
        # What is not understood yet, as if a line had ended in front of the body.
        self._rest = b"\r\n"
        self._position = -2  # of the first byte of the rest, in the body
        self._parts = 0
        self._name: str | None = None  # of the text field that is being read
        self._value = bytearray()
        self._value_start = 0

    @property
    def complete(self) -> bool:
        """Tell whether the whole form went by."""
        return self._in is _In.EPILOGUE

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Raises BadRequest for a form that cannot be trusted."""
        self._rest += data
        more = True
        while more:
            if self._in is _In.EPILOGUE:
                self._end()
                more = False
            elif self._in is _In.HEAD:
                more = self._read_head()
            else:
                more = self._read_content()

    # ------------------------------------------------------------------ states

    def _read_content(self) -> bool:
        """Pass over content (or over the nothing before the first part) to the next mark."""
        rest, mark = self._rest, self._mark
        at = rest.find(mark)
        if self._in is _In.PREAMBLE and at != 1 and (at > 1 or len(rest) > len(mark)):
            raise _invalid("does not begin with its boundary")
        if at < 0:
            # Of a mark that is cut, all but its last byte may be here, and the byte before.
            self._pass(max(len(rest) - len(mark), 0))
            return False
        if rest[at - 1 : at] != b"\r":
            raise _invalid("has a boundary that only some servers see")
        after = at + len(mark)
        follows = rest[after : after + 2]
        if len(follows) < 2:
            self._pass(at - 1)
            return False
        if follows not in {b"\r\n", b"--"}:
            raise _invalid("has text behind a boundary")
        self._pass(at - 1)
        self._finish_field()
        self._skip(1 + len(mark) + 2)
        self._in = _In.HEAD if follows == b"\r\n" else _In.EPILOGUE
        return True

    def _read_head(self) -> bool:
        rest = self._rest
        if rest.startswith(b"\r\n"):
            raise _invalid("has a part without a head")
        end = rest.find(b"\r\n\r\n")
        if (end if end >= 0 else len(rest)) > _HEAD_BYTES_MAX:
            raise _invalid("has a part with too large a head")
        if end < 0:
            return False
        dashes = self._mark[1:]
        begins = rest[end + 4 : end + 4 + len(dashes)]
        if begins == dashes:
            raise _invalid("has a boundary that only some servers see")
        if dashes.startswith(begins):
            return False  # it may yet become one
        self._parts += 1
        if self._parts > PARTS_MAX:
            raise _invalid(f"has more than {PARTS_MAX} parts")
        self._begin_field(rest[:end])
        self._skip(end + 4)
        self._value_start = self._position
        self._in = _In.CONTENT
        return True

    def _end(self) -> None:
        if self._rest.strip(b"\r\n\t "):
            raise _invalid("goes on behind its end")
        self._skip(len(self._rest))

    # ------------------------------------------------------------------ one field

    def _begin_field(self, head: bytes) -> None:
        lines = _head_lines(head)
        kind, parameters = _value_and_parameters(lines.get("content-disposition", b""))
        name = parameters.get("name", "")
        if kind != "form-data" or not name or "name*" in parameters:
            raise _invalid("has a part without a name")
        folded = name.casefold().replace("_", "")
        if folded in _STEERING and folded != name:
            raise _invalid(f"has the field {folded!r} in an unusual spelling")
        if "filename" in parameters or "filename*" in parameters:
            self._set_aside(name)
            return
        encoding = lines.get("content-transfer-encoding", b"").decode("latin-1").lower()
        _, of_type = _value_and_parameters(lines.get("content-type", b"text/plain"))
        charset = of_type.get("charset", "").lower()
        if encoding not in _PLAIN_ENCODINGS or charset not in _PLAIN_CHARSETS:
            raise _invalid("has a text field that is not plain UTF-8")
        if len(self.fields) >= TEXT_FIELDS_MAX:
            raise _invalid(f"has more than {TEXT_FIELDS_MAX} text fields")
        if name in self.fields or name in self.unclear:
            self._set_aside(name)
            return
        self._name = name

    def _finish_field(self) -> None:
        name = self._name
        if name is None:
            return
        try:
            self.fields[name] = self._value.decode()
        except UnicodeDecodeError:
            raise _invalid("has a text field that is not plain UTF-8") from None
        self.spans[name] = (self._value_start, self._position)
        self._name = None
        self._value.clear()

    def _set_aside(self, name: str) -> None:
        if name in _STEERING:
            raise _invalid(f"must have the field {name!r} once, as a short text")
        self.unclear.add(name)
        self.fields.pop(name, None)
        self.spans.pop(name, None)
        self._name = None
        self._value.clear()

    def _pass(self, count: int) -> None:
        """Go over bytes of content, keeping them where they belong to a text field."""
        if self._name is not None:
            self._value += self._rest[:count]
            if len(self._value) > FIELD_BYTES_MAX:
                self._set_aside(self._name)
        self._skip(count)

    def _skip(self, count: int) -> None:
        self._rest = self._rest[count:]
        self._position += count


def _head_lines(head: bytes) -> dict[str, bytes]:
    lines: dict[str, bytes] = {}
    for line in head.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        lower = name.decode("latin-1").lower()
        if not colon or not re.fullmatch(_WORD, lower) or re.search(rb"[\r\n\0]", value):
            raise _invalid("has a part with an unreadable head")
        if lower in lines:
            raise _invalid("has a part with a repeated head line")
        lines[lower] = value.strip(b" \t")
    return lines


def _value_and_parameters(value: bytes) -> tuple[str, dict[str, str]]:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    kind = _KIND.match(text)
    if kind is None:
        raise _invalid("is described in an unreadable way")
    parameters: dict[str, str] = {}
    position = kind.end()
    while position < len(text):
        found = _PARAMETER.match(text, position)
        if found is None:
            raise _invalid("is described in an unreadable way")
        name = found[1].lower()
        quoted = found[2]
        if name in parameters or (quoted and "\\" in quoted and not name.startswith("filename")):
            raise _invalid("is described in an ambiguous way")
        parameters[name] = quoted if quoted is not None else found[3]
        position = found.end()
    return kind[1].lower(), parameters


def _invalid(what: str) -> BadRequest:
    return BadRequest(f"the form {what}", code="form_invalid")
