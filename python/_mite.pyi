"""The part in C. Its types are described where the packages show them."""

from collections.abc import Sequence
from typing import Any

__version__: str

def main(argv: Sequence[str], /) -> int: ...
def __getattr__(name: str) -> Any: ...
