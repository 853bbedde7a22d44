"""What the libraries show to the world: names of ours only, so that nobody's code meets them by accident."""

import re
import subprocess

from conftest import BUILD


def exported(path: str) -> set[str]:
    """Names of the dynamic symbols that a library defines."""
    out = subprocess.run(
        ["nm", "--dynamic", "--defined-only", "--format=posix", str(BUILD / path)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return {line.split()[0].split("@")[0] for line in out.splitlines()}


def test_library_exports_only_our_names() -> None:
    names = exported("libmite.so.1") - {"MITE_1", "MITE_PRIVATE"}
    assert "mite_main" in names
    strangers = {name for name in names if not re.match(r"mite_", name)}
    assert not strangers


def test_plugin_exports_its_two_entries() -> None:
    assert exported("src/python/libmite-python.so") == {"mite__python_api", "PyInit__mite"}
