"""Which core runs what, and how many files a process may have open.

A server on one core and its client on another disturb each other the least, and a client that could spread over two cores
would be compared with one that cannot. The children of this process inherit what it is pinned to at the moment they start.
"""

import contextlib
import os
import resource
from collections.abc import Iterator

_all = sorted(os.sched_getaffinity(0))
SERVER = _all[0]
CLIENT = _all[-1]


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """What starts within stays on this core. A machine with one core has no choice to make."""
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, _all)


def allow_open_files(wanted: int) -> int:
    """Raises the limit as far as this user may, also for children; returns what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        for limits in ((wanted, max(hard, wanted)), (min(wanted, hard), hard)):
            with contextlib.suppress(ValueError, PermissionError):
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
                break
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
