"""Tables of text cells -> Markdown, LaTeX and CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from panda_core.durable import replace_text
from panda_core.reproduction.tables import Table
from panda_core.spreadsheet import guard

_LATEX = {"\\": r"\textbackslash{}", "–": "--", "²": "$^2$"} | {sign: f"\\{sign}" for sign in "&%$#_{}"}
_LATEX |= {"^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}


def markdown(table: Table) -> str:
    """A heading, a pipe table and the notes."""
    lines = [f"## {table.title}", "", _pipes(table.header), _pipes(["---"] * len(table.header)), *map(_pipes, table.rows), ""]
    return "\n".join([*lines, *(f"- {note}" for note in table.notes), ""])


def _pipes(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def latex(table: Table) -> str:
    """A table environment that needs no package."""
    rows = [" & ".join(map(_escaped, row)) + r" \\" for row in (table.header, *table.rows)]
    columns = "l" * len(table.header)
    body = ["\\begin{table}", f"\\caption{{{_escaped(table.title)}}}", f"\\begin{{tabular}}{{{columns}}}", "\\hline", rows[0], "\\hline"]
    notes = "\n\n".join(map(_escaped, table.notes))
    return "\n".join([*body, *rows[1:], "\\hline", "\\end{tabular}", "", notes, "\\end{table}", ""])


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in text)


def comma_separated(table: Table) -> str:
    """Header and rows, safe to open in a spreadsheet."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([map(guard, row) for row in (table.header, *table.rows)])
    return stream.getvalue()


def write_tables(folder: Path, tables: Sequence[Table]) -> list[Path]:
    """NAME.md, NAME.tex and NAME.csv for each; returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for table in tables:
        for suffix, text in ((".md", markdown(table)), (".tex", latex(table)), (".csv", comma_separated(table))):
            written.append(folder / f"{table.name}{suffix}")
            replace_text(written[-1], text, durable=False)
    return written
