from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from akash_gradio.catalog.loader import Catalog
from akash_gradio.domain.model import ModelCard
from akash_gradio.domain.size_limits import FILE_BYTES
from tests.web.fakes import FakeChatGateway, endpoint_status, full_answer, make_deps, make_page

CATALOG = Catalog(
    cards=(ModelCard(id="blind", name="Blind"), ModelCard(id="eyes", name="Eyes", vision=True))
)
PICTURE = {"kind": "picture", "name": "a.png", "url": "data:image/png;base64,iVBORw0KGgo="}
BYTES = {"content-type": "application/octet-stream"}


@pytest.fixture
def gateway() -> FakeChatGateway:
    return FakeChatGateway(full_answer("A dot."), statuses=[endpoint_status("blind", "eyes")])


@pytest.fixture
def client(gateway: FakeChatGateway, tmp_path: Path) -> TestClient:
    return TestClient(make_page(make_deps(gateway, tmp_path, catalog=CATALOG)))


def asking(model: str) -> dict[str, Any]:
    return {"model": model, "turns": [{"role": "user", "text": "", "attachments": [PICTURE]}]}


def test_a_picture_is_returned_as_a_data_url(client: TestClient) -> None:
    out = io.BytesIO()
    Image.new("RGB", (30, 20), "red").save(out, "PNG")
    picture = client.post("/page/file/picture", content=out.getvalue(), headers=BYTES).json()
    assert (picture["width"], picture["height"]) == (30, 20)
    assert picture["url"].startswith("data:image/jpeg;base64,")


def test_an_unreadable_file_is_an_error_with_a_code(client: TestClient) -> None:
    response = client.post("/page/file/pdf", content=b"no pdf", headers=BYTES)
    assert response.status_code == 422
    assert response.json()["error"]["code"] == "file_damaged"


def test_a_file_over_the_limit_is_rejected_with_the_limit(client: TestClient) -> None:
    content = b"0" * (FILE_BYTES + 1)
    response = client.post("/page/file/pdf", content=content, headers=BYTES)
    assert response.status_code == 413
    assert "20.0 MB" in response.json()["error"]["title"]


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "multipart/form-data; boundary=x"},
        {**BYTES, "sec-fetch-site": "cross-site"},
    ],
)
def test_other_websites_cannot_have_files_read(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/page/file/pdf", content=b"x", headers=headers).status_code in (403, 415)


def test_a_model_with_vision_gets_the_picture(client: TestClient, gateway: FakeChatGateway) -> None:
    assert "A dot." in client.post("/page/reply", json=asking("eyes")).text
    (request,) = gateway.opened
    assert request.conversation.turns[0].pictures == (PICTURE["url"],)


def test_pictures_for_a_model_without_vision_are_rejected_before_a_request(
    client: TestClient, gateway: FakeChatGateway
) -> None:
    response = client.post("/page/reply", json=asking("blind"))
    assert response.status_code == 422
    assert response.json()["error"]["code"] == "no_vision"
    lanes = [asking("blind") | {"letter": letter} for letter in "AB"]
    compared = client.post("/page/compare", json={"run": "r" * 16, "lanes": lanes})
    assert compared.json()["error"]["code"] == "no_vision"
    assert gateway.opened == []
