#!/usr/bin/python3
"""Reads reports of LeakSanitizer or valgrind and prints the leaks that are ours: `leaks.py FOLDER`. Exits 1 for any.

CPython and uvloop keep things until the process ends, and every stack of theirs begins in our main(). A leak is ours
when the first frame above the allocator and CPython's own C functions is ours, not the interpreter or another library:
then it was our code that asked for the object.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

LEAK = re.compile(r"Direct leak of|are definitely lost in")
FRAME = re.compile(r"^(?:==\d+==)?\s+(?:#\d+|at|by) 0x[0-9A-Fa-f]+:?\s+(?:in )?(.*)")
OURS = re.compile(r"/src/[a-z]+/[a-z0-9_]+\.[ch]:\d+")
ALLOCATES = re.compile(r"interceptor_|vgpreload_|libpython|/libc\.so")


def leaks(report: str) -> Iterator[tuple[str, list[str]]]:
    """Heading and frames, innermost first, of each leak."""
    lines = iter(report.splitlines())
    for line in lines:
        if LEAK.search(line):
            frames = []
            for following in lines:
                frame = FRAME.match(following)
                if not frame:
                    break
                frames.append(frame[1])
            yield line, frames


def is_ours(frames: list[str]) -> bool:
    for frame in frames:
        if OURS.search(frame):
            return True
        if "_PyEval_EvalFrameDefault" in frame or not ALLOCATES.search(frame):
            return False
    return False


def main(folder: str) -> int:
    found = 0
    for report in sorted(Path(folder).iterdir()):
        for heading, frames in leaks(report.read_text(errors="replace")):
            if is_ours(frames):
                found += 1
                print(f"{report}: {heading}", *frames, sep="\n    ")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
