"""python -m mite: the same program as the command `mite`."""

import sys

from _mite import main

if __name__ == "__main__":
    sys.exit(main(["mite", *sys.argv[1:]]))
