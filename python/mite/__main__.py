"""python -m mite: the same program as the command `mite`."""

import sys

from _mite import main as _main


def main() -> int:
    """Runs the program with the words of sys.argv; its exit status is returned."""
    return _main(["mite", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
