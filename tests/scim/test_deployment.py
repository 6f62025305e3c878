"""Through a whole deployment: whoever a provider switches off is refused calls within a moment."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from canaries import PLANTED
from command_line import run_command
from consoles import until
from loopback import HOST
from scim_clients import MEDIA_TYPE, patch
from served import served

CALL = {
    "model": "sandbox/echo",
    "max_tokens": 5,
    "messages": [{"role": "user", "content": "hi"}],
}


def asked(
    port: int, bearer: str, method: str, path: str, data: object = None, media: str = MEDIA_TYPE
) -> tuple[int, Any]:
    body = None if data is None else json.dumps(data)
    with closing(http.client.HTTPConnection(HOST, port, timeout=20)) as connection:
        headers = {"authorization": f"Bearer {bearer}", "content-type": media}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        read = response.read()
    return response.status, json.loads(read) if read else None


def test_who_is_switched_off_by_the_provider_calls_no_more(tmp_path: Path) -> None:
    with served(tmp_path) as made:
        told = run_command("users", "scim-token", "okta", "--json", folder=tmp_path).json()
        token = told["token"]
        PLANTED.plant("a SCIM token's secret", token.rpartition("_")[2])

        def scim(method: str, path: str, data: object = None) -> Any:
            status, document = asked(made.port, token, method, f"/scim/v2{path}", data)
            assert status in {200, 201, 204}, document
            return document

        user = scim("POST", "/Users", {"userName": "alice@acme.com", "displayName": "Alice"})
        group = scim("POST", "/Groups", {"displayName": "core", "members": []})
        joined = patch({"op": "Add", "path": "members", "value": [{"value": user["id"]}]})
        scim("PATCH", f"/Groups/{group['id']}", joined)
        wanted = quote('userName eq "alice@acme.com"')
        found = scim("GET", f"/Users?filter={wanted}")
        assert [each["display"] for each in found["Resources"][0]["groups"]] == ["core"]
        issued = run_command(
            *("keys", "issue", "--user", "alice@acme.com", "--name", "laptop", "--json"),
            folder=tmp_path,
        )
        key = issued.json()["key"]
        PLANTED.plant("a key's secret", key.rpartition("_")[2])

        def call(bearer: str) -> int:
            path = "/v1/chat/completions"
            return asked(made.port, bearer, "POST", path, CALL, "application/json")[0]

        assert call(key) == 200
        assert call(token) == 401  # it manages people, and nothing else
        scim("PUT", f"/Users/{user['id']}", {"userName": "alice@acme.com", "active": False})
        until(lambda: call(key) == 401)
        scim("DELETE", f"/Users/{user['id']}")
        status, _ = asked(made.port, token, "GET", f"/scim/v2/Users/{user['id']}")
        assert status == 404
        run_command("users", "scim-revoke", told["id"], folder=tmp_path)
        assert asked(made.port, token, "GET", "/scim/v2/Users")[0] == 401
