"""AWS_BEARER_TOKEN_BEDROCK with our key in it, which AWS's client sends over TLS only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trustme
from botocore.exceptions import ClientError

from aws_frames import CONVERSE_QUANTITIES
from bedrock_client import HI, SONNET, Amazon, bedrock_gateway
from bedrock_upstream import is_signed
from booked import quantities_of


@pytest.fixture
def amazon(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Amazon]:
    folder = tmp_path_factory.mktemp("bearer")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    cert, key, trusted = (folder / name for name in ("cert.pem", "key.pem", "ca.pem"))
    cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    authority.cert_pem.write_to_path(trusted)
    with bedrock_gateway(folder, tls_cert=str(cert), tls_key=str(key)) as served:
        made = Amazon(*served, monkeypatch)
        made.url = f"https://localhost:{made.gateway.port}"
        made.verify = str(trusted)
        yield made
        made.close()


def test_a_bearer_is_a_key_like_any_other(amazon: Amazon) -> None:
    client = amazon.client("bearer")
    assert client.converse(modelId=SONNET, messages=HI)["usage"]["outputTokens"] == 34
    assert len(list(client.converse_stream(modelId=SONNET, messages=HI)["stream"])) == 8
    for entry in amazon.entries(2):
        assert quantities_of(entry) == CONVERSE_QUANTITIES
    assert all(is_signed(received) for received in amazon.bedrock.seen)
    narrow = amazon.gateway.issue("narrow", models=("amazon.*",))
    with pytest.raises(ClientError, match="may not use model") as raised:
        amazon.client("bearer", key=narrow).converse(modelId=SONNET, messages=HI)
    assert raised.value.response["Error"]["Code"] == "AccessDeniedException"
