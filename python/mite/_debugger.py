"""The post-mortem debugger of --debugging."""

from __future__ import annotations

import contextlib
import importlib
import os
import pdb
import sys
from collections.abc import Callable
from typing import Any


def _named(path: str) -> Callable[[], Any] | None:
    """A dotted callable; None when it cannot be imported."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name, None) if module else None
    except ImportError:
        return None


def _choose() -> Callable[[], Any]:
    """PYTHONPOSTMORTEM, else post_mortem of the module of PYTHONBREAKPOINT, else pdb's."""
    paths = [os.environ.get("PYTHONPOSTMORTEM", "")]
    module = os.environ.get("PYTHONBREAKPOINT", "").rpartition(".")[0]
    if not paths[0] and module:
        paths = [f"{module}.post_mortem"]
    for path in filter(None, paths):
        debugger = _named(path)
        if callable(debugger):
            return debugger
        print(f"mite: cannot import {path}: using pdb", file=sys.stderr)
    return pdb.post_mortem


def post_mortem(exception: BaseException) -> None:
    """Opens the debugger where the exception came from."""
    import traceback

    traceback.print_exception(type(exception), exception, exception.__traceback__)
    try:
        raise exception
    except BaseException:
        with contextlib.suppress(SystemExit):  # one way to leave it, which would end the process and not the run
            _choose()()
