"""The scoreboard of bench/: that it measures, how it judges, and what it shows."""

import re
import subprocess
import sys
import time
import xml.etree.ElementTree as xml
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import ROOT, environment

sys.path.insert(0, str(ROOT / "bench"))

from board import page, picture, publish, table  # noqa: E402
from board.goal import at_least, at_most, more, times, times_at_least  # noqa: E402
from board.group import Bench, Column, Group, GroupResult, Line, Sample, measure  # noqa: E402
from board.process import Failed, build_programs, run, started, within  # noqa: E402
from scores import NAMES, share  # noqa: E402

NOTHING = Bench(server=None, folder=Path("/"), seconds=1, quick=True, open_files=0)  # type: ignore[arg-type]


def bench(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    env = environment(PATH="/usr/bin:/bin", **variables)
    argv = [str(ROOT / "bench" / "run"), *arguments]
    return subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)


def line(name: str, *values: float, goals=(), why_not: str = "") -> Line:
    """A line that measures these, one in each round."""
    samples: Iterator[Sample] = iter([{"cost": value, "rate": 1000 / value} for value in values])
    return Line(name, lambda bench: next(samples), goals, lambda bench: why_not)


def played(*lines: Line, reference: str = "peer", rounds: int = 3) -> GroupResult:
    columns = [Column("cost", "cost", "µs", 1), Column("rate", "requests/s", digits=0)]
    return measure("get", Group("A group", columns, lines, reference), NOTHING, rounds)


def sheet(*groups: GroupResult) -> page.Page:
    return page.Page("2026-01-01 00:00 UTC", "a machine", [0.5, 1.25], 3, 1, list(groups))


def test_a_quick_round_measures_everything() -> None:
    """Whatever the figures are. Without a registry, autocannon is there already or left out, with the reason."""
    done = bench("--quick", npm_config_offline="true")
    assert done.returncode == 0, done.stdout + done.stderr
    for words in (
        "One GET a visit, 100 virtual users",
        "Ten GETs",
        "TLS 1.3",
        "A new connection",
        "1,000 connections",
        "Bodies of 10 KB",
        "connected virtual user",
        "Sleeping journeys",
        "First request",
        "Switching",
        "Where the time",
    ):
        assert words in done.stdout
    assert re.search(r"^  autocannon +(\d.* µs|left out: .+)", done.stdout, re.MULTILINE)
    assert re.search(r"^  mite, C .*, at most 1.1 × wrk: (reached|MISSED)$", done.stdout, re.MULTILINE)
    assert re.search(r"^\d+ of \d+ goals reached$", done.stdout, re.MULTILINE)
    found = page.read(ROOT / "build" / "bench" / "results.json")
    assert [group.name for group in found.groups][:3] == ["get", "ten", "tls"]
    xml.parse(ROOT / "build" / "bench" / "results.svg")


def test_a_score_that_does_not_exist() -> None:
    done = bench("gte")
    assert (done.returncode, done.stdout) == (2, "")
    assert 'no score "gte": there are get, ten' in done.stderr


def test_a_part_is_not_published() -> None:
    done = bench("--publish", "--quick")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--publish" in done.stderr


@pytest.mark.parametrize(
    ("goal", "measured", "reached"),
    [
        (at_most(4, "µs"), "4.00 µs", True),
        (at_most(3.9, "µs"), "4.00 µs", False),
        (at_least(250, "a second").on("rate"), "250 a second", True),
        (at_least(251, "a second").on("rate"), "250 a second", False),
        (times(2, "peer"), "2.00 ×", True),
        (times(1.99, "peer"), "2.00 ×", False),
        (times_at_least(2, "peer"), "2.00 ×", True),
        (more(2.5, "µs", "peer"), "+2.5 µs", True),
        (more(2.4, "µs", "peer"), "+2.5 µs", False),
    ],
)
def test_goals(goal, measured: str, reached: bool) -> None:
    """Against another line, the samples of one round are a pair: here the ratios are 1, 2 and 3, the differences 0, 2.5, 8."""
    result = played(line("peer", 4, 2.5, 4), line("mite", 4, 5, 12, goals=[goal]))
    own = played(line("peer", 1, 1, 1), line("mite", 9, 4, 3, goals=[goal]))
    verdict = (result if goal.other else own).lines[1].verdicts[0]
    assert (verdict.measured, verdict.reached, verdict.fraction <= 1) == (measured, reached, reached)


def test_lines_take_turns() -> None:
    turns = []
    lines = [Line(name, lambda bench, name=name: turns.append(name) or {"cost": 1, "rate": 1}) for name in "ab"]
    measure("x", Group("A group", [Column("cost", "cost"), Column("rate", "rate")], lines, warm_up=True), NOTHING, 2)
    assert turns == ["a", "b"] * 3, "one round that does not count, and two that do"


def test_who_is_left_out() -> None:
    """Its line says why; who is compared with it is not judged."""
    result = played(line("peer", why_not="no peer on this machine"), line("mite", 1, 2, 3, goals=[times(2, "peer")]))
    shown = table.text(result)
    assert "left out: no peer on this machine" in shown
    assert "peer is left out, at most 2 × peer: not judged" in shown
    assert page.score(sheet(result)) == (0, 0)


def test_who_fails_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    """Everything that is known about it goes to stderr, its line has a word, and the others go on."""

    def fails(bench: Bench) -> Sample:
        raise Failed("it exited with 1:\nbecause of this")

    result = played(line("peer", 1, 2, 3), Line("mite", fails, [times(2, "peer")]))
    assert "bench: A group: mite: it exited with 1:\nbecause of this\n" in capfd.readouterr().err
    assert "FAILED: it exited with 1:" in table.text(result)
    assert [len(result.samples) for result in result.lines] == [3, 0]


def test_what_a_page_shows(tmp_path: Path) -> None:
    """JSON loses nothing that is shown, the picture is well-formed, and neither minds what a name consists of."""
    found = sheet(played(line("peer", 1, 2, 3), line('mite & "<co>"', 2, 4, 9, goals=[times(1.5, "peer")])))
    page.write(found, tmp_path / "a.json")
    again = page.read(tmp_path / "a.json")
    assert [table.text(group) for group in again.groups] == [table.text(group) for group in found.groups]
    picture.write(again, tmp_path / "a.svg")
    words = " ".join(xml.parse(tmp_path / "a.svg").getroot().itertext())
    assert 'mite & "<co>"' in words and "missed: at most 1.5 × peer" in words and "2.00 ×" in words


def test_publishing_replaces_what_was_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "HERE", tmp_path)
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- results -->\nold\n<!-- end of results -->\nafter\n")
    for _ in range(2):
        publish.publish(sheet(played(line("peer", 1, 2, 3), line("mite", 2, 4, 9, goals=[times(1.5, "peer")]))))
    text = readme.read_text()
    assert text.startswith("before\n<!-- results -->\n") and text.endswith("<!-- end of results -->\nafter\n")
    assert "old" not in text and text.count("| peer | 2.0 µs | 1.0-3.0 | 500 |") == 1
    assert "load average 0.5 and 1.2 at the start and at the end. 0 of 1 goals reached." in text
    assert (tmp_path / "results" / "latest.json").exists() and (tmp_path / "results" / "latest.svg").exists()


def test_the_readme_names_every_score() -> None:
    table_of_scores = re.findall(r"^\| `(\w+)` \|", (ROOT / "bench" / "README.md").read_text(), re.MULTILINE)
    assert table_of_scores == list(NAMES)


def test_the_readme_shows_the_latest_page() -> None:
    """Nobody rewrites figures by hand."""
    assert (
        publish.words(page.read(ROOT / "bench" / "results" / "latest.json"))
        in (ROOT / "bench" / "README.md").read_text()
    )


def test_what_a_client_costs(tmp_path: Path) -> None:
    """Its own memory, not that of the interpreter which measures it; its own time; its words."""
    build_programs()
    cost = run(["sh", "-c", "echo $PWD; while [ $((i += 1)) -lt 100000 ]; do :; done"], tmp_path)
    assert cost.output == f"{tmp_path}\n"
    assert 0 < cost.cpu_s <= cost.wall_s
    assert 0 < cost.peak_mib < 8
    with pytest.raises(Failed, match="exited with 3:\nsorry"):
        run(["sh", "-c", "echo sorry; exit 3"], tmp_path)
    with pytest.raises(Failed, match="no-such-program: No such file"):
        run(["no-such-program"], tmp_path)


def test_what_hangs_is_given_up(tmp_path: Path) -> None:
    """And nothing is left of it, nor of what ran beside it."""
    with pytest.raises(Failed, match="nothing came of it within 1 s"), within(1):
        with started(["sh", "-c", "echo up; exec sleep 60"], stdout=subprocess.PIPE) as beside:
            assert beside.stdout is not None and beside.stdout.readline() == "up\n"
            run(["sh", "-c", "echo $$ > pid; exec sleep 60"], tmp_path)
    assert beside.returncode is not None
    deadline = time.monotonic() + 30
    while Path("/proc", (tmp_path / "pid").read_text().strip(), "exe").exists():
        assert time.monotonic() < deadline, "it still runs"


def test_callgrinds_cycles_belong_to_the_code_that_ran(tmp_path: Path) -> None:
    """What a callee costs is counted with the callee; a miss of a first cache is ten cycles."""
    profile = tmp_path / "callgrind.out"
    profile.write_text(
        "events: Ir Dr I1mr\n"
        "ob=(1) /usr/lib/libcurl.so.4.8.0\nfn=(1) multi\n16 100 5 2\n"
        "cob=(2) /usr/lib/libmite.so.1\ncfn=(2) on_header\ncalls=3 20\n17 9000 10 80\n+1 7\n"
        "ob=(2)\nfn=(2)\n* 40 1 1\n"
        "ob=(3) /usr/lib/libc.so.6\nfn=(3) memcpy\n-4 6\n"
    )
    spent = share.read_cycles(profile)
    assert (spent["libcurl"], spent["own"], spent["libc"]) == (127, 50, 6)
