"""AWS's Signature Version 4, for requests that go to Amazon with the operator's keys.

Only the Authorization header's form, and the rules of services other than S3: the path is
encoded once more than it is sent. Source: docs.aws.amazon.com on signing AWS API requests.
"""

from __future__ import annotations

import hmac
import re
from hashlib import sha256
from time import gmtime, strftime
from typing import Final
from urllib.parse import quote, unquote

from tollkeeper.domain.routing import AwsKey

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_BLANKS: Final = re.compile(rb"[ \t]+")
_US_PER_S: Final = 1_000_000
# Signed beside the host: what AWS asks for, and what would change the meaning of a request.
_SIGNED: Final = frozenset({b"host", b"content-type", b"x-amz-security-token"})
_SIGNED_PREFIX: Final = b"x-amz"
_CHANGED_ON_THE_WAY: Final = b"x-amzn-trace-id"


class RequestSigner:
    """Signs the requests that share one head: ``head`` is its request line and header lines.

    What depends on the head alone is worked out once. The head must name its host, and must
    not hold a signature already.
    """

    __slots__ = ("_day", "_day_key", "_fields", "_key", "_request", "_security_line")

    def __init__(self, key: AwsKey, head: bytes) -> None:
        line, _, lines = head.partition(b"\r\n")
        method, target, _ = line.split(b" ", 2)
        path, _, query = target.decode("latin-1").partition("?")
        self._key = key
        self._request = f"{method.decode()}\n{_canonical_path(path)}\n{_canonical_query(query)}\n"
        self._security_line = b""
        if key.session_token:
            self._security_line = f"x-amz-security-token: {key.session_token}\r\n".encode()
        self._fields = _signed_fields(lines + self._security_line)
        self._day = self._day_key = b""

    def lines(self, body: bytes, now_us: int) -> bytes:
        """Give the header lines that sign the request with this body, at this moment."""
        moment = strftime("%Y%m%dT%H%M%SZ", gmtime(now_us // _US_PER_S))
        fields = {**self._fields, "x-amz-date": moment}
        names = ";".join(sorted(fields))
        listed = "".join(f"{name}:{fields[name]}\n" for name in sorted(fields))
        asked = f"{self._request}{listed}\n{names}\n{sha256(body).hexdigest()}"
        day = moment[:8]
        scope = f"{day}/{self._key.region}/{self._key.service}/aws4_request"
        text = f"{_ALGORITHM}\n{moment}\n{scope}\n{sha256(asked.encode()).hexdigest()}"
        signature = _mac(self._key_of(day.encode()), text.encode()).hex()
        return b"x-amz-date: %b\r\n%bauthorization: %b\r\n" % (
            moment.encode(),
            self._security_line,
            f"{_ALGORITHM} Credential={self._key.access_key_id}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}".encode(),
        )

    def _key_of(self, day: bytes) -> bytes:
        if day != self._day:
            derived = _mac(b"AWS4" + self._key.secret_access_key.encode(), day)
            for part in (self._key.region, self._key.service, "aws4_request"):
                derived = _mac(derived, part.encode())
            self._day, self._day_key = day, derived
        return self._day_key


def _mac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")


def _canonical_path(path: str) -> str:
    return quote(path, safe="/-_.~") or "/"


def _canonical_query(query: str) -> str:
    pairs = []
    for part in query.split("&") if query else ():
        name, _, value = part.partition("=")
        pairs.append((quote(unquote(name), safe="-_.~"), quote(unquote(value), safe="-_.~")))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _signed_fields(lines: bytes) -> dict[str, str]:
    fields: dict[str, list[str]] = {}
    for line in lines.split(b"\r\n"):
        name, _, value = line.partition(b":")
        lower = name.lower()
        if lower == _CHANGED_ON_THE_WAY:
            continue
        if lower in _SIGNED or lower.startswith(_SIGNED_PREFIX):
            text = _BLANKS.sub(b" ", value.strip()).decode("latin-1")
            fields.setdefault(lower.decode(), []).append(text)
    return {name: ",".join(values) for name, values in fields.items()}
