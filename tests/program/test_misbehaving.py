"""Whatever a server does, a request ends, what failed is counted with a sentence, and the run goes on."""

from collections.abc import Iterator
from pathlib import Path

import badserver
import pytest

from helpers import Mite, totals

JOURNEY = """
from mite_http import mite_http

@mite_http
async def visit(ctx):
    await ctx.http.get(ctx.config["url"])
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with badserver.serve() as url:
        yield url


@pytest.fixture
def journey(tmp_path: Path) -> str:
    (tmp_path / "bad.py").write_text(JOURNEY)
    return "bad:visit"


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("cut", "the server closed the connection in the middle of its answer"),
        ("cut_chunk", "the server closed the connection in the middle of its answer"),
        ("cut_head", "the server closed the connection"),
        ("silent", "the server closed the connection without an answer"),
        ("reset", "the server closed the connection in the middle of its answer"),
        ("garbage", "the answer breaks the protocol"),
        ("other_protocol", "the answer breaks the protocol"),
        ("bad_chunk", "the answer breaks the protocol"),
        ("bad_length", "the answer breaks the protocol"),
        ("bad_gzip", "the answer breaks the protocol"),
        ("endless_head", "the answer breaks the protocol"),
        ("endless_body", "the body is larger than 1000000 bytes (--max-body-size)"),
        ("bomb", "the body is larger than 1000000 bytes (--max-body-size)"),
        ("to_a_file", "only http and https are known"),
        ("round_and_round", "more than 5 redirects"),
    ],
)
def test_it_is_an_error_with_a_sentence(mite: Mite, journey: str, server: str, path: str, sentence: str) -> None:
    result = mite(
        "journey", "test", journey, "--iterations=3", "--volume=2", "--max-body-size=1000000", "--no-collector",
        env={"MITE_CONF_url": f"{server}/{path}"},
    )  # fmt: skip
    assert result.returncode == 1, result.stderr
    assert totals(result.stdout).errors == 3
    assert sentence in " ".join(result.stdout.split())
    assert f"GET {server}/{path}" in " ".join(result.stdout.split())


@pytest.mark.parametrize("path", ["no_location", "not_modified"])
def test_a_3xx_without_a_location_is_an_answer(mite: Mite, journey: str, server: str, path: str) -> None:
    result = mite(
        "journey", "test", journey, "--iterations=3", "--no-collector", env={"MITE_CONF_url": f"{server}/{path}"}
    )
    assert result.returncode == 0, result.stderr
    assert totals(result.stdout)[:3] == (3, 0, 3)
