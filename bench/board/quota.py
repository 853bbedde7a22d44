"""Less than a core for a process: with a share of its own each, several of them fit on a machine that has few cores.

The kernel stops a process of a control group whose time is used up until the next period begins.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

PERIOD_US = 100_000
OLD, NEW = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")  # versions 1 and 2 of control groups
ROOT = OLD if OLD.is_dir() else NEW


def why_no_quota() -> str:
    """The reason why no process can be given a share here; "" when it can."""
    controllers = NEW / "cgroup.subtree_control"
    may = os.access(ROOT, os.W_OK) and (ROOT == OLD or (controllers.exists() and "cpu" in controllers.read_text()))
    return "" if may else "no control group for CPU time may be made here"


@contextlib.contextmanager
def share_of_core(pid: int, share: float) -> Iterator[None]:
    group = ROOT / f"mite-bench-{pid}"
    group.mkdir()
    try:
        time_us = int(share * PERIOD_US)
        if ROOT == OLD:
            (group / "cpu.cfs_period_us").write_text(f"{PERIOD_US}")
            (group / "cpu.cfs_quota_us").write_text(f"{time_us}")
        else:
            (group / "cpu.max").write_text(f"{time_us} {PERIOD_US}")
        (group / "cgroup.procs").write_text(f"{pid}")
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            (ROOT / "cgroup.procs").write_text(f"{pid}")
        group.rmdir()
