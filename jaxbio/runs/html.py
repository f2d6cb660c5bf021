"""A page of tables and figures in one HTML file that needs nothing else."""

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from jaxbio.files import write_text
from jaxbio.plotting.saving import png_bytes

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { border-bottom: 1px solid #ccc; padding: .2rem .8rem; text-align: left }
figure { margin: 1.5rem 0 } img { max-width: 100% } figcaption { color: #555 }
"""


def write_page(
    path: Path,
    title: str,
    tables: Mapping[str, Sequence[tuple[str, ...]]],
    figures: Mapping[str, Figure],
) -> None:
    """Writes a page atomically.

    Args:
      path: of the file; its folder is made.
      title: of the page.
      tables: rows per heading; the first row is the head.
      figures: a figure per caption, embedded as PNG.
    """
    parts = [f"<h1>{html.escape(title)}</h1>"]
    for heading, rows in tables.items():
        parts.append(f"<h2>{html.escape(heading)}</h2>{html_table(rows)}")
    for caption, figure in figures.items():
        data = base64.b64encode(png_bytes(figure)).decode()
        text = html.escape(caption)
        parts.append(
            f'<figure><img alt="{text}" src="data:image/png;base64,{data}">'
            f"<figcaption>{text}</figcaption></figure>"
        )
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )
    write_text(path, page)


def html_table(rows: Sequence[tuple[str, ...]]) -> str:
    """A table of text; the first row is the head."""
    head, *rest = rows
    return f"<table>{_row(head, 'th')}{''.join(_row(row, 'td') for row in rest)}</table>"


def _row(cells: Sequence[str], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"
