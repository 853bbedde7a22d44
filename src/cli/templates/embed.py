"""Writes a C source that holds files: embed.py OUT FOLDER..., each FOLDER an array of what lies in it."""

import sys
from pathlib import Path

ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}


def literal(line: str) -> str:
    return '"' + "".join(ESCAPES.get(c, c) for c in line) + '"'


def array(folder: Path) -> str:
    files = [
        f"    {{{literal(file.name)},\n"
        + "".join(f"     {literal(line)}\n" for line in file.read_text().splitlines(keepends=True))
        + "    },\n"
        for file in sorted(folder.iterdir())
    ]
    return f"const struct template_file templates_{folder.name}[] = {{\n{''.join(files)}    {{0}},\n}};\n"


out, *folders = map(Path, sys.argv[1:])
out.write_text('#include "cli/templates.h"\n\n' + "\n".join(map(array, folders)))
