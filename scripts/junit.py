#!/usr/bin/python3
"""Reads JUnit files of meson and pytest: failed cases go to stderr, `PASSED FAILED SKIPPED` to stdout."""

import sys
import xml.etree.ElementTree as ElementTree

MOST_LINES = 60  # of one failure


def show(case: ElementTree.Element, problem: ElementTree.Element) -> None:
    print(f"--- {case.get('classname', '')} {case.get('name', '')}", file=sys.stderr)
    text = problem.text or problem.get("message") or ""
    output = case.findtext("system-out") or case.findtext("system-err") or ""
    for line in (text.strip() or output.strip()).splitlines()[-MOST_LINES:]:
        print(f"    {line}", file=sys.stderr)


def main(paths: list[str]) -> None:
    passed = failed = skipped = 0
    for path in paths:
        for case in ElementTree.parse(path).iter("testcase"):
            problem = case.find("failure")
            if problem is None:
                problem = case.find("error")
            if problem is not None:
                failed += 1
                show(case, problem)
            elif case.find("skipped") is not None:
                skipped += 1
            else:
                passed += 1
    print(passed, failed, skipped)


if __name__ == "__main__":
    main(sys.argv[1:])
