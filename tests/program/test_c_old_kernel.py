"""Journeys in C on a kernel that has no cheap guards: guard pages as far as they go, then canaries (Debian 12's 6.1)."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from c_journeys import Run, run_c  # noqa: F401
from helpers import totals

pytestmark = pytest.mark.skipif(
    "MITE_WRAPPER" in os.environ or "asan" in os.environ.get("MITE_BUILD", ""), reason="what is preloaded is another's"
)

WARNING = "WARNING no guard pages for more than "

JOURNEYS = """
static int deep(int depth)
{
    volatile char frame[300];
    frame[0] = (char)depth;
    return depth ? deep(depth - 1) + frame[0] : 0;
}
MITE_JOURNEY(sleeps) { mite_sleep(ctx, 3600); }
MITE_JOURNEY(overflows)
{
    MITE_TRANSACTION(ctx, "deep") {
        mite_sleep(ctx, 0.01);
        deep((int)mite_config_int(ctx, "depth", 0));
        mite_sleep(ctx, 0.01);
    }
}
"""


@pytest.fixture
def old_kernel(tmp_path: Path) -> dict[str, str]:
    """The environment that makes this kernel look like an old one."""
    shim = tmp_path / "old_kernel.so"
    source = Path(__file__).parent / "old_kernel.c"
    subprocess.run(["gcc", "-O1", "-Wall", "-shared", "-fPIC", "-o", str(shim), str(source)], check=True)
    return {"LD_PRELOAD": str(shim)}


def limit() -> int:
    """How many guard pages mite dares to make: two mappings each, and room for others."""
    return (int(Path("/proc/sys/vm/max_map_count").read_text()) - 5530) // 2


@pytest.mark.skipif(limit() > 60_000, reason="vm.max_map_count was raised: guard pages for all")
def test_a_hundred_thousand_sleep(run_c: Run, old_kernel: dict[str, str]) -> None:
    result, _ = run_c(
        JOURNEYS, "sleeps", "--volume=100000", "--spawn-rate=1000000", "--duration=5", "--graceful-stop=0", "--no-collector",
        command=("journey", "test"), env=old_kernel, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stderr.count(WARNING) == 1
    told = re.search(WARNING + r"(\d+) fiber stacks: .* raise vm.max_map_count", result.stderr)
    assert told and int(told[1]) == limit()
    assert totals(result.stdout)[:3] == (0, 0, 100_000)


@pytest.mark.parametrize("depth", [250, 1_000_000])  # a little too deep; to the end of what is mapped
def test_an_overflow_is_seen_without_guards(run_c: Run, old_kernel: dict[str, str], depth: int) -> None:
    few = {**old_kernel, "OLD_KERNEL_PAGES": "0", "MITE_CONF_depth": str(depth)}
    result, _ = run_c(JOURNEYS, "overflows", "--volume=3", command=("journey", "test"), env=few)
    assert result.returncode == 3, result.stderr
    assert result.stderr.count(WARNING) == 1
    assert 'mite: journey "j.c:overflows" crashed in transaction "deep": it outgrew its stack' in result.stderr


def test_guard_pages_are_enough_for_few(run_c: Run, old_kernel: dict[str, str]) -> None:
    result, _ = run_c(
        JOURNEYS, "overflows", "--volume=3", command=("journey", "test"), env={**old_kernel, "MITE_CONF_depth": "250"}
    )
    assert result.returncode == 3, result.stderr
    assert WARNING not in result.stderr and "it outgrew its stack" in result.stderr
