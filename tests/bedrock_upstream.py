"""A Bedrock for tests: it checks signatures with AWS's own signer, and answers as AWS does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from aws_frames import EVENTS, compact, converse_events, converse_reply
from bedrock_replies import anthropic_events, anthropic_message
from rough_upstream import Conversation

REGION = "us-east-1"
ACCESS_KEY_ID = "AKIACANARYBEDROCK001"
SECRET = "canary/secret/of/bedrock/0123456789abcdef"
SESSION = "canarySessionToken+of/bedrock=="
API_KEY = "ABSKcanaryBedrockApiKey0001"
_SIGNATURE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([a-z0-9-]+)/([a-z-]+)/aws4_request, "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)


class Received:
    """One request in its parts: header names are in lower case."""

    def __init__(self, conversation: Conversation) -> None:
        line, *lines = conversation.head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = line.split(" ")
        pairs = [line.split(": ", 1) for line in lines if line]
        self.headers = {name.lower(): value for name, value in pairs}
        self.body = conversation.body
        self.names = [name.lower() for name, _ in pairs]

    @property
    def model(self) -> str:
        return unquote(self.target.split("/")[2])

    @property
    def verb(self) -> str:
        return self.target.rpartition("/")[2]


def is_signed(received: Received, session: str = SESSION) -> bool:
    """Tell whether a request is signed as AWS's own signer would sign it."""
    found = _SIGNATURE.fullmatch(received.headers.get("authorization", ""))
    if found is None:
        return False
    access_key_id, day, region, service, names, signature = found.groups()
    signed = {name: received.headers[name] for name in names.split(";")}
    url = f"http://{received.headers['host']}{received.target}"
    request = AWSRequest(received.method, url, headers=signed, data=received.body)
    request.context["timestamp"] = signed["x-amz-date"]
    signer = SigV4Auth(Credentials(ACCESS_KEY_ID, SECRET, session or None), service, region)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    unsigned = {
        name
        for name in received.names
        if name.startswith("x-amz") and name not in {*signed, "x-amzn-trace-id"}
    }
    return (
        signer.signature(text, request) == signature
        and (access_key_id, region, service) == (ACCESS_KEY_ID, REGION, "bedrock")
        and day == signed["x-amz-date"][:8]
        and signed.get("x-amz-security-token", "") == session
        and not unsigned
    )


class FakeBedrock:
    """A script for ``RoughUpstream``. ``seen`` has what came, ``answers`` what to say to it.

    A request without a good signature or API key is refused, as the service does: with the
    text that it would have signed.
    """

    def __init__(self, session: str = SESSION) -> None:
        self.session = session
        self.seen: list[Received] = []
        self.answer: Callable[[Conversation, Received], None] = usual_answer

    def __call__(self, conversation: Conversation) -> None:
        received = Received(conversation)
        self.seen.append(received)
        by_api_key = received.headers.get("authorization") == f"Bearer {API_KEY}"
        if not by_api_key and not is_signed(received, self.session):
            text = f"The Canonical String should have been x-amz-security-token:{self.session}"
            refuse(conversation, 403, "InvalidSignatureException", text)
            return
        self.answer(conversation, received)


def reply(conversation: Conversation, status: int, headers: dict[str, str], body: bytes) -> None:
    lines = {"Content-Type": "application/json", "x-amzn-RequestId": "req-1", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    framed = f"HTTP/1.1 {status} X\r\n{head}Content-Length: {len(body)}\r\n\r\n"
    conversation.answer(framed.encode() + body)


def refuse(conversation: Conversation, status: int, word: str, message: str) -> None:
    place = "http://internal.amazon.com/coral/com.amazon.bedrock/"
    body = compact({"message": message})
    reply(conversation, status, {"x-amzn-ErrorType": f"{word}:{place}"}, body)


def begin_stream(conversation: Conversation) -> None:
    conversation.answer(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.amazon.eventstream\r\n"
        b"x-amzn-RequestId: req-1\r\nTransfer-Encoding: chunked\r\n\r\n"
    )


def send_chunk(conversation: Conversation, data: bytes) -> None:
    conversation.answer(b"%x\r\n%b\r\n" % (len(data), data))


def stream(conversation: Conversation, data: bytes) -> None:
    """Send a whole stream, in pieces that no frame fits."""
    begin_stream(conversation)
    for at in range(0, len(data), 100):
        send_chunk(conversation, data[at : at + 100])
    conversation.answer(b"0\r\n\r\n")


COUNTS = {
    "X-Amzn-Bedrock-Input-Token-Count": "6",
    "X-Amzn-Bedrock-Output-Token-Count": "9",
}


def usual_answer(conversation: Conversation, received: Received) -> None:
    """Answer each call of the runtime with something that carries usage."""
    if received.verb == "converse":
        reply(conversation, 200, {}, compact(converse_reply()))
    elif received.verb == "converse-stream":
        stream(conversation, converse_events())
    elif received.verb == "invoke":
        asked: dict[str, Any] = json.loads(received.body)
        is_claude = "anthropic_version" in asked
        body = anthropic_message() if is_claude else {"generations": [{"text": "a"}]}
        reply(conversation, 200, {} if is_claude else COUNTS, compact(body))
    elif received.verb == "invoke-with-response-stream":
        stream(conversation, b"".join(anthropic_events()))
    elif received.verb == "count-tokens":
        reply(conversation, 200, {}, compact({"inputTokens": 12}))
    else:
        refuse(conversation, 404, "UnknownOperationException", "no such operation")


__all__ = ["EVENTS", "FakeBedrock", "Received", "is_signed"]
