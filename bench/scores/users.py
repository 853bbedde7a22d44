"""Memory of one more virtual user with a connection and a request in flight."""

from board.clients import mite
from board.goal import at_most
from board.group import Bench, Column, Group, Line, Sample
from board.nginx import Nginx
from board.requests import requests

FEW = 100


def line(language: str, count: int, most_kb: float) -> Line:
    few, many = (
        requests(mite(language, "get"), url=Nginx.slow, connections=users, patience=0.4) for users in (FEW, count)
    )

    def measure(bench: Bench) -> Sample:
        more_mib = many.measure(bench)["peak_mib"] - few.measure(bench)["peak_mib"]
        return {"kb": more_mib * 1024 / (count - FEW)}

    return Line(f"mite, {language}", measure, [at_most(most_kb, "KB")], many.why_not)


def groups(quick: bool) -> list[Group]:
    many = 1_000 if quick else 10_000
    title = f"Memory of one more connected virtual user, from {FEW} to {many:,}"
    return [Group(title, [Column("kb", "memory", "KB", 1)], [line("C", many, 16), line("Python", many, 24)])]
