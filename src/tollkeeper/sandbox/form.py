"""Takes a multipart form apart: its text fields, and its files with what is in them."""

from __future__ import annotations

from typing import Any, NamedTuple

from tollkeeper.sandbox.asked import read_object
from tollkeeper.wire.multipart import FormScanner, boundary_of


class File(NamedTuple):
    """One file of a form."""

    field: str
    name: str
    content: bytes


class Form(NamedTuple):
    """What a form says. A JSON body is read as a form without files."""

    fields: dict[str, Any]
    files: tuple[File, ...] = ()

    def text(self, name: str) -> str:
        """Give a text field, "" without it."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else ""

    def whole_number(self, name: str, default: int) -> int:
        """Give a field that is a whole number above zero."""
        value = self.fields.get(name)
        if isinstance(value, str) and value.isdigit() and len(value) < 10:
            value = int(value)
        return value if isinstance(value, int) and value > 0 else default


def read_form(body: bytes, content_type: bytes) -> Form:
    """Read a form, or the JSON that may stand in its place. Raises BadRequest."""
    if content_type[:16].lower() == b"application/json":
        return Form(read_object(body))
    boundary = boundary_of(content_type)
    scanner = FormScanner(boundary)
    scanner.feed(body)
    return Form(dict(scanner.fields), tuple(_files(body, boundary)))


def _files(body: bytes, boundary: bytes) -> list[File]:
    """Cut the files out of a form that the scanner has found to be in order."""
    found = []
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = _parameter(head, b"filename")
        if name is not None:
            found.append(File(_parameter(head, b"name") or "", name, content.removesuffix(b"\r\n")))
    return found


def _parameter(head: bytes, name: bytes) -> str | None:
    """Give a quoted parameter of a part's head."""
    before, found, after = head.partition(b"; " + name + b'="')
    return after.partition(b'"')[0].decode("utf-8", "replace") if before and found else None
