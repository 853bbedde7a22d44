"""The machinery of the scoreboard: servers, clients, alternated rounds, goals, and what is shown of them.

`goal` and `group` are the vocabulary of a score; `requests`, `clients` and `nginx` measure requests; `process` and `cores`
run programs; `table`, `page` and `picture` show results. None of them knows a score: those are in ../scores.
"""
