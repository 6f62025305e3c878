"""Our signatures are those that AWS's own signer makes of the same requests."""

from __future__ import annotations

from datetime import UTC, datetime

import botocore.auth
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.routing import AwsKey
from tollkeeper.wire.aws_signature import RequestSigner

KEY = AwsKey(
    "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "", "eu-west-1", "bedrock"
)
HOST = "bedrock-runtime.eu-west-1.amazonaws.com"
NOW = datetime(2026, 11, 27, 11, 5, 9, tzinfo=UTC)
NOW_US = int(NOW.timestamp()) * 1_000_000 + 123_456
MODEL = "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"


def _ours(
    target: str, body: bytes, headers: dict[str, str], key: AwsKey = KEY, method: str = "POST"
) -> dict[str, str]:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"{method} {target} HTTP/1.1\r\nhost: {HOST}\r\n{lines}".encode("latin-1")
    signed = RequestSigner(key, head).lines(body, NOW_US).decode().split("\r\n")
    assert signed.pop() == ""
    return dict(line.split(": ", 1) for line in signed)


def _theirs(
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    body: bytes,
    headers: dict[str, str],
    key: AwsKey = KEY,
    method: str = "POST",
) -> dict[str, str]:
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_: NOW.replace(tzinfo=None))
    request = AWSRequest(method, f"https://{HOST}{target}", headers=dict(headers), data=body)
    credentials = Credentials(key.access_key_id, key.secret_access_key, key.session_token or None)
    SigV4Auth(credentials, key.service, key.region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


JSON = {"Content-Type": "application/json"}
TOKEN = AwsKey(KEY.access_key_id, KEY.secret_access_key, "IQoJb3JpZ2lu/+=", "us-east-1", "bedrock")


@pytest.mark.parametrize(
    ("method", "target", "body", "headers", "key"),
    [
        ("POST", MODEL, b'{"messages":[]}', JSON, KEY),
        ("POST", MODEL, '{"text":"Grüße"}'.encode(), JSON, TOKEN),
        ("POST", MODEL, b"", {}, KEY),
        (
            "POST",
            "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Ainference-profile%2Fx/invoke",
            b"{}",
            {**JSON, "X-Amzn-Bedrock-Trace": "  ENABLED   FULL ", "x-amzn-bedrock-accept": "*/*"},
            TOKEN,
        ),
        ("GET", "/async-invoke?maxResults=10&nextToken=a%2Fb%3D&a=1&empty=", b"", {}, KEY),
        ("GET", "/", b"", {}, KEY),
        ("POST", "/openai/v1/responses", b"{}", JSON, AwsKey(*("a" * 20,) * 2, "", "x-1", "other")),
    ],
)
def test_a_signature_is_amazons_own(
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    target: str,
    body: bytes,
    headers: dict[str, str],
    key: AwsKey,
) -> None:
    theirs = _theirs(monkeypatch, target, body, headers, key, method)
    ours = _ours(target, body, headers, key, method)
    assert ours == {name: theirs[name] for name in ours}
    assert ("x-amz-security-token" in ours) == bool(key.session_token)


@given(
    st.binary(max_size=50),
    st.text("abcXYZ019-_.~%:/ &=+", max_size=30).map(lambda text: "/" + text.strip("/")),
)
def test_any_path_is_encoded_once_more(body: bytes, path: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clean = "/".join(part for part in path.split("/") if part not in {"", ".", ".."})
        target = "/" + clean.replace(" ", "%20").replace("&", "%26").replace("=", "%3D")
        assert (
            _ours(target, body, {})["authorization"]
            == (_theirs(patch, target, body, {})["authorization"])
        )


def test_headers_that_change_on_the_way_are_not_signed() -> None:
    sent = {**JSON, "User-Agent": "boto3", "X-Amzn-Trace-Id": "Root=1", "Accept": "*/*"}
    signed = _ours(MODEL, b"{}", sent)["authorization"]
    assert "SignedHeaders=content-type;host;x-amz-date, " in signed


def test_one_signer_signs_each_body_and_moment_by_itself() -> None:
    signer = RequestSigner(KEY, f"POST {MODEL} HTTP/1.1\r\nhost: {HOST}\r\n".encode())
    one = signer.lines(b"1", NOW_US)
    assert signer.lines(b"1", NOW_US) == one
    assert signer.lines(b"2", NOW_US) != one
    tomorrow = signer.lines(b"1", NOW_US + 86_400_000_000)
    assert b"20261128/eu-west-1/bedrock/aws4_request" in tomorrow
    assert signer.lines(b"1", NOW_US) == one


def test_a_key_shows_nothing_of_its_secrets() -> None:
    shown = repr(TOKEN)
    assert TOKEN.secret_access_key not in shown
    assert TOKEN.session_token not in shown
