"""Once warm, our own code allocates nothing for a request, nor for the journey around it."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from c_journeys import HEADER
from helpers import Mite, totals

SOURCE = """
MITE_JOURNEY(journey)
{
    MITE_TRANSACTION(ctx, "get") {
        mite_send(ctx, "visit", MITE_STR("page", "front"), MITE_INT("number", mite_arg_int(ctx, 0)));
        mite_get(ctx, mite_config(ctx, "url", ""));
    }
}
MITE_DATAPOOL(pool)
{
    return mite_pool_items(setup, MITE_RECYCLABLE, mite_list(mite_int(1)), mite_list(mite_int(2)), mite_list(mite_int(3)));
}
"""


@pytest.mark.skipif("MITE_WRAPPER" in os.environ or "asan" in os.environ.get("MITE_BUILD", ""), reason="malloc is another's")
def test_no_allocation_for_a_request(mite: Mite, tmp_path: Path, target: str) -> None:
    counter = tmp_path / "count.so"
    source = Path(__file__).parent / "count_allocations.c"
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", str(counter), str(source)], check=True)
    (tmp_path / "j.c").write_text(HEADER + SOURCE)
    assert mite("journey", "run", "j.c:journey", "j.c:pool", "--no-collector").returncode == 1  # compiled, no url

    def allocations(iterations: int) -> int:
        result = mite(
            "journey", "test", "j.c:journey", "j.c:pool", f"--iterations={iterations}", "--volume=3", "--no-collector",
            env={"LD_PRELOAD": str(counter), "MITE_CONF_url": target + "/"},
        )  # fmt: skip
        assert totals(result.stdout).requests == iterations, result.stderr
        return int(re.findall(r"allocations: (\d+)", result.stderr)[-1])

    # What grows by the logarithm (histograms, queues) and what is drawn every 2 s is no cost of a request.
    assert allocations(4000) - allocations(1000) < 150
