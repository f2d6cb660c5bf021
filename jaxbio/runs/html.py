"""Pages of tables and figures, each one HTML file that needs nothing else."""

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from jaxbio.files import write_text
from jaxbio.plotting.saving import png_bytes

_STYLE = """
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
    parts = [f"<h2>{html.escape(name)}</h2>{html_table(rows)}" for name, rows in tables.items()]
    parts += [html_figure(figure, caption) for caption, figure in figures.items()]
    title, body = html.escape(title), "".join(parts)
    document = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>{body}</body></html>\n"
    )
    write_text(path, document)


def html_table(rows: Sequence[tuple[str, ...]]) -> str:
    """A table of text; the first row is the head."""
    head, *rest = rows
    return f"<table>{_row(head, 'th')}{''.join(_row(row, 'td') for row in rest)}</table>"


def html_figure(figure: Figure, caption: str) -> str:
    """A figure, embedded as PNG."""
    data, text = base64.b64encode(png_bytes(figure)).decode(), html.escape(caption)
    return (
        f'<figure><img alt="{text}" src="data:image/png;base64,{data}">'
        f"<figcaption>{text}</figcaption></figure>"
    )


def _row(cells: Sequence[str], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"
