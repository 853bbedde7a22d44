"""The recorder: what journeys create, as input for later ones."""

from __future__ import annotations

import os
from typing import Any

from _mite import recorder as _recorder

__all__ = ["Recorder"]


class Recorder:
    """Appends the data of each `data_created` to NAME.msgpack in its directory; `purge_data` deletes that file."""

    def __init__(self, target_dir: str | os.PathLike[str] | None = None) -> None:
        self._sink = _recorder(None if target_dir is None else os.fspath(target_dir))

    def process_message(self, message: dict[str, Any]) -> None:
        self._sink.process_message(message)

    def close(self) -> None:
        self._sink.close()
