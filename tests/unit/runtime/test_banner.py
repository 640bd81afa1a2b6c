"""What `serve` says when it is up: every API and its receivers, and a line that works when pasted into a shell."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from ringback.core.spec import Api, Endpoint, Predictor
from ringback.runtime.banner import banner, curl_line
from ringback.runtime.specfile import SpecFile

URL = "http://127.0.0.1:49152"
PREDICTOR = Predictor(path=Path("/nowhere/predictor.py"))
IRIS = Api(name="iris", endpoint="flowers", predictor=PREDICTOR)
TOLD = Api(
    name="text-generator",
    endpoint="text-generator",
    predictor=PREDICTOR,
    webhooks=(Endpoint(key="a", url="http://a/"), Endpoint(key="b", url="https://b/")),
)


def test_every_api_is_named_with_its_url_and_who_is_rung() -> None:
    lines = banner(SpecFile(file=Path("/x/ringback.yaml"), apis=(IRIS, TOLD)), URL).splitlines()

    assert lines[0].endswith(f"serves ringback.yaml on {URL}")
    assert f"  iris            POST {URL}/flowers   rings nobody (no webhook in the file)" in lines
    assert f"  text-generator  POST {URL}/text-generator   rings http://a/, https://b/" in lines


def test_the_line_to_paste_submits_to_the_first_api(tmp_path: Path) -> None:
    line = curl_line(IRIS, URL, tmp_path)

    assert line in banner(SpecFile(file=tmp_path / "ringback.yaml", apis=(IRIS, TOLD)), URL)
    curl, silent, url, header, kind, data, body = shlex.split(line)
    assert (curl, silent, url) == ("curl", "-s", f"{URL}/flowers")
    assert (header, kind, data) == ("-H", "Content-Type: application/json", "-d")
    assert json.loads(body) == {"hello": "world"}


@pytest.mark.parametrize("folder", ["plain", "with space", "it's"])
def test_a_sample_beside_the_file_is_sent_instead(folder: str, tmp_path: Path) -> None:
    sample = tmp_path / folder / "sample.json"
    sample.parent.mkdir()
    sample.touch()

    assert shlex.split(curl_line(IRIS, URL, sample.parent))[-1] == f"@{sample}"


def test_a_server_with_keys_is_asked_with_one() -> None:
    text = banner(SpecFile(file=Path("/x/ringback.yaml"), apis=(IRIS,)), URL, wants_key=True)

    assert '-H "Authorization: Bearer $RINGBACK_API_KEY"' in text
    assert "Authorization" not in banner(SpecFile(file=Path("/x/ringback.yaml"), apis=(IRIS,)), URL)


def test_who_is_reached_from_elsewhere_says_where_its_links_lead() -> None:
    text = banner(SpecFile(file=Path("/x/ringback.yaml"), apis=(IRIS,)), URL, links_to=URL)

    assert f"  Links in webhooks lead to {URL}; --public-url says where" in text
    assert "--public-url" not in banner(SpecFile(file=Path("/x/ringback.yaml"), apis=(IRIS,)), URL)
