"""A table as LaTeX: booktabs, a caption and a label that name the study, notes below, real minus signs."""

import re
import textwrap
from collections.abc import Iterable, Sequence

from ..errors import visible
from ..tables._base import Column, Row, Table
from .cells import DASH, STAR, WIDEST, Seen, below, column_width, fitted, heading_lines

# What a page of a plain article has place for in \footnotesize.
WIDTH = 88  # characters of a row, with 3 pt beside each column
NOTE = 84  # characters of a line below the table
PAGE = 48  # lines beside caption, heading and rules; a table of more is broken over pages
_PLAIN = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    STAR: r"$\star$", DASH: "--", "²": "$^2$", "·": r"$\cdot$",
    "±": r"$\pm$", "≤": r"$\leq$", "≥": r"$\geq$", "→": r"$\to$", "×": r"$\times$",  # noqa: RUF001
    "α": r"$\alpha$", "β": r"$\beta$", "σ": r"$\sigma$",  # noqa: RUF001
}  # fmt: skip


def to_latex(table: Table, rows: Sequence[Row], notes: Sequence[str] = (), study: str = "") -> str:
    """A table with the columns that fit on a page; the others are named below it.

    Args:
        table: Its columns.
        rows: As read from its CSV.
        notes: Sentences below the table, after its own rules.
        study: Named in the caption and in the label; "" for a table that is of no study.
    """
    seen = fitted(table, rows, WIDTH)
    under = below(table, seen, notes)
    if seen.hidden:
        names = "; ".join(column.heading for column in seen.hidden)
        under.append(f"Also in {table.name}.csv: {names}.")
    places = range(len(seen.columns))
    columns = "{@{}" + "".join(_alignment(seen, at) for at in places) + "@{}}"
    head = [r"\toprule", _line(_heading(seen, at) for at in places), r"\midrule"]
    body = [_line(escape(cell.whole) for cell in line) for line in seen.lines]
    said = "\\par\n".join(map(escape, under))
    caption, size = _caption(table, study), r"\footnotesize\setlength{\tabcolsep}{3pt}"
    if _height(seen, under) > PAGE:
        return _joined(
            r"% Needs \usepackage{booktabs, array, longtable}.",
            r"\begingroup\setlength{\LTcapwidth}{\linewidth}" + size, r"\begin{longtable}" + columns,
            caption + r"\\", *head, r"\endfirsthead", *head, r"\endhead", r"\bottomrule", r"\endfoot", *body,
            r"\end{longtable}", r"\par\noindent\raggedright", said, r"\par\endgroup",
        )  # fmt: skip
    return _joined(
        r"% Needs \usepackage{booktabs, array}.", r"\begin{table}", r"\centering", caption, size,
        r"\begin{tabular}" + columns, *head, *body, r"\bottomrule", r"\end{tabular}",
        r"\par\medskip\begin{minipage}{\linewidth}\raggedright", said, r"\end{minipage}", r"\end{table}",
    )  # fmt: skip


def _height(seen: Seen, under: Sequence[str]) -> int:
    """The number of lines of a table and its notes."""
    rows = (max(-(-len(cell.text) // WIDEST) for cell in line) for line in seen.lines)
    return sum(rows) + sum(len(textwrap.wrap(line, NOTE)) for line in under)


def _joined(*lines: str) -> str:
    return "\n".join(lines) + "\n"


def _caption(table: Table, study: str) -> str:
    title = table.summary_title or table.title
    text = title if title.endswith("?") else f"{title}."
    label = re.sub(r"[^a-z0-9]+", "-", f"{study} {table.name}".lower()).strip("-")
    return f"\\caption{{{escape(f'{text} Study {study}.' if study else text)}}}\\label{{tab:{label}}}"


def escape(text: str) -> str:
    r"""Text that TeX prints and does not run; a minus before a number, or between spaces, is a real one.

    >>> print(escape("50% of a_b: -0.5, 4.7e-04"))
    50\% of a\_b: $-$0.5, 4.7$\times10^{-4}$
    """
    escaped = "".join(_PLAIN.get(c, c) for c in visible(" ".join(text.splitlines())))
    escaped = re.sub(r"(?<![\w.])(\d+(?:\.\d+)?)e([+-]?)0*(\d+)(?!\w)", _power, escaped)
    escaped = re.sub(r"(?<![\w${}^.-])-(?=\.?\d)|(?<= )-(?= )", "$-$", escaped)
    # At the start of a row these would be read as an argument of the line break before.
    return f"{{{escaped[0]}}}{escaped[1:]}" if escaped[:1] in ("[", "*") else escaped


def _power(found: re.Match[str]) -> str:
    sign = "-" if found[2] == "-" else ""
    return f"{found[1]}$\\times10^{{{sign}{found[3]}}}$"


def _alignment(seen: Seen, at: int) -> str:
    column = seen.columns[at]
    if column.form:
        return "r"
    longest = max((len(line[at].whole) for line in seen.lines), default=0)
    return f">{{\\raggedright\\arraybackslash}}p{{{0.4 * WIDEST:.1f}em}}" if longest > WIDEST else "l"


def _heading(seen: Seen, at: int) -> str:
    column: Column = seen.columns[at]
    lines = [escape(line) for line in heading_lines(column.heading, column_width(seen, at))]
    if len(lines) == 1:
        return lines[0]
    side = "r" if column.form else "l"
    return r"\begin{tabular}[b]{@{}" + side + "@{}}" + r"\\".join(lines) + r"\end{tabular}"


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"
