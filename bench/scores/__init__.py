"""What is measured: a file for each score, in the order in which they are shown.

Each file has `groups(quick)`, which returns the groups of lines to measure. A new score is a new file and its name here; a
new client beside the others is a new line in a file. README.md tells more.
"""

NAMES = (
    "get",
    "ten",
    "tls",
    "connect",
    "many",
    "bodies",
    "users",
    "sleepers",
    "first",
    "switch",
    "duplicator",
    "collector",
    "stats",
    "fleet",
    "workers",
    "share",
)
