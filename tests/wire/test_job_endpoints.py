"""Paths of work that is billed later."""

from __future__ import annotations

import pytest

from tollkeeper.wire.endpoints import match


@pytest.mark.parametrize(
    ("method", "path", "reader", "job"),
    [
        ("POST", "/v1/batches", "new_batch", ""),
        ("POST", "/openai/batches", "new_batch", ""),
        ("POST", "/openai/v1/batches", "new_batch", ""),
        ("GET", "/v1/batches/batch_1", "batch", ""),
        ("POST", "/v1/batches/batch_1/cancel", "batch", ""),
        ("GET", "/v1/batches", "none", ""),
        ("GET", "/v1/files/file-1/content", "batch_results", "file/file-1"),
        ("GET", "/openai/v1/files/file-1/content", "batch_results", "file/file-1"),
        ("GET", "/v1/files/file-1", "none", ""),
        ("DELETE", "/v1/files/file-1", "none", ""),
        ("POST", "/v1/batch/jobs", "new_batch", ""),
        ("GET", "/v1/batch/jobs/ca1c", "batch", ""),
        ("GET", "/v1/batches/batch_1/results", "batch_page", "batch/batch_1"),
        ("POST", "/v1/messages/batches", "new_batch", ""),
        ("GET", "/v1/messages/batches/m1", "batch", "batch/m1"),
        ("GET", "/anthropic/v1/messages/batches/m1/results", "batch_results", "batch/m1"),
        ("POST", "/v1/messages/batches/m1/cancel", "batch", ""),
        ("DELETE", "/v1/messages/batches/m1", "batch", ""),
        ("GET", "/v1/responses/resp_1", "openai_stored", ""),
        ("POST", "/v1/responses/resp_1/cancel", "openai_stored", ""),
        ("GET", "/v1/responses/resp_1/input_items", "none", ""),
        ("DELETE", "/v1/responses/resp_1", "none", ""),
        ("POST", "/v1/videos", "new_video", ""),
        ("POST", "/v1/videos/generations", "new_video", ""),
        ("GET", "/v1/videos/v1", "stored_video", "video/v1"),
        ("GET", "/v1/videos/v1/content", "none", ""),
        ("POST", "/v1/threads/runs", "runs", ""),
        ("POST", "/v1/threads/t1/runs", "runs", ""),
        ("GET", "/v1/threads/t1/runs/r1", "stored_runs", ""),
        ("POST", "/v1/threads/t1/runs/r1/submit_tool_outputs", "stored_runs", ""),
        ("POST", "/v1/threads/t1/runs/r1/cancel", "stored_runs", ""),
        ("GET", "/v1/threads/t1/runs/r1/steps", "none", ""),
        ("GET", "/v1/threads/t1/runs", "none", ""),
        ("POST", "/v1/threads/t1/messages", "none", ""),
        ("POST", "/v1/assistants", "none", ""),
        ("GET", "/v1/assistants/a1", "none", ""),
        ("POST", "/v1beta/models/gemini-2.5-flash:batchGenerateContent", "new_operation", ""),
        ("GET", "/v1beta/batches/31u", "operation", ""),
        ("POST", "/v1beta/batches/31u:cancel", "operation", ""),
        ("GET", "/v1beta/operations/31u", "operation", ""),
        ("GET", "/download/v1beta/files/x1:download", "batch_results", "file/files/x1"),
        ("POST", "/v1beta/interactions", "interactions", ""),
        ("GET", "/google/v1beta/interactions/v1_a", "stored_interactions", ""),
        ("POST", "/v1beta/interactions/v1_a/cancel", "stored_interactions", ""),
        ("DELETE", "/v1beta/interactions/v1_a", "none", ""),
        ("POST", "/v1beta/cachedContents", "gemini_cache", ""),
        ("PATCH", "/v1beta/cachedContents/c1", "none", ""),
        ("POST", "/v1beta1/projects/p/locations/l/interactions", "interactions", ""),
    ],
)
def test_each_path_has_its_reader(method: str, path: str, reader: str, job: str) -> None:
    for whole in (path, f"/providers/some{path}"):
        found = match(method, whole)
        assert found is not None, whole
        assert (found.endpoint.reader, found.job) == (reader, job)
        begins = reader in {"runs", "interactions", "gemini_cache"} or reader.startswith("new_")
        assert found.endpoint.free != begins


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/v1/batches/batch_1"),
        ("GET", "/v1/batches/batch_1/cancel"),
        ("POST", "/v1/messages/batches/m1/results"),
        ("POST", "/v1beta/batches/31u"),
        ("POST", "/v1/files/file-1/content"),
        ("GET", "/v1beta/unknown/x"),
    ],
)
def test_others_are_none(method: str, path: str) -> None:
    assert match(method, path) is None


def test_vendors_own_paths_lead_to_that_vendor() -> None:
    kinds = {
        "/v1/batch/jobs/ca1c": "mistral",
        "/v1/batches/b/results": "xai",
        "/v1beta1/projects/p/locations/l/interactions/v1_a": "vertex",
        "/v1beta/interactions/v1_a": "",
    }
    for path, kind in kinds.items():
        found = match("GET", path)
        assert found is not None
        assert found.kind == kind
