"""A web page in one file: text, tables and pictures, everything escaped.

All functions take plain text, never HTML, so that nothing that stands in a
run's files can become part of the page's markup.
"""

import base64
import dataclasses
import html

CSS = '''
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 70rem; padding: 2rem 1.5rem 5rem;
  background: #fff; color: #1d2328; line-height: 1.5;
  font-family: system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.25rem; margin: 2.8rem 0 .7rem; padding-top: .7rem;
  border-top: 1px solid #d8dee4; }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
p { margin: .5rem 0; max-width: 52rem; }
ul { margin: .4rem 0; padding-left: 1.3rem; }
li { margin: .2rem 0; overflow-wrap: anywhere; }
a { color: #0b5a94; }
nav { background: #f6f8fa; border-radius: 6px; padding: .6rem 1rem;
  margin: 1.2rem 0; columns: 2; font-size: .92rem; }
nav a { display: block; text-decoration: none; padding: .1rem 0; }
.lead { color: #57606a; margin-top: 0; }
.result { border-left: 4px solid #0072b2; background: #f2f7fb;
  padding: .5rem 1rem; margin: 1rem 0; }
.warning { border-left: 4px solid #d98200; background: #fff8ec;
  padding: .5rem 1rem; margin: 1rem 0; }
figure { margin: 1.2rem 0; }
figure img { max-width: 100%; height: auto; display: block; }
figure img.drawn { width: 62rem; }
figure img.pixels { image-rendering: pixelated; }
figcaption, p.caption { color: #57606a; font-size: .86rem; }
figcaption { margin-top: .4rem; max-width: 52rem; }
summary { cursor: pointer; color: #0b5a94; }
.scroll { overflow-x: auto; margin: .8rem 0 1.2rem; }
table { border-collapse: collapse; font-size: .86rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .28rem .5rem; text-align: right; vertical-align: top;
  white-space: nowrap;
  border-bottom: 1px solid #e4e8ec; }
th { font-weight: 600; vertical-align: bottom; white-space: normal;
  border-bottom: 2px solid #c5ccd3; }
td.text, th.text { text-align: left; }
td.long { text-align: left; white-space: normal; min-width: 13rem;
  overflow-wrap: anywhere; }
td.published, th.published { background: #f5f2ea; color: #655a3d; }
th small, td small { display: block; color: #6a737c; font-size: .75rem;
  font-weight: 400; }
th small { max-width: 6.5rem; margin-left: auto; overflow-wrap: anywhere; }
'''


@dataclasses.dataclass
class Cell:
  """One cell of a table.

  Attributes:
    text: str.
    small: str, a second line in small print.
    kind: str, CSS classes: `text` (left-aligned, on one line), `long`
      (left-aligned, on several), `published`.
  """

  text: str
  small: str = ''
  kind: str = ''


class Page:
  """A page that grows from top to bottom."""

  def __init__(self, title, lead):
    """Begins with the heading.

    Args:
      title: str.
      lead: str, one line below it.
    """
    self._title, self._lead = title, lead
    self._top: list[str] = []
    self._parts: list[str] = []
    self._contents: list[tuple[str, str]] = []

  def section(self, heading):
    """Begins a section, which the table of contents lists.

    Args:
      heading: str.
    """
    name = f's{len(self._contents) + 1}'
    self._contents.append((name, heading))
    self._parts.append(f'<h2 id="{name}">{_escape(heading)}</h2>')

  def heading(self, text):
    """Writes a heading below a section's.

    Args:
      text: str.
    """
    self._parts.append(f'<h3>{_escape(text)}</h3>')

  def text(self, text):
    """Writes a paragraph.

    Args:
      text: str.
    """
    self._parts.append(f'<p>{_escape(text)}</p>')

  def points(self, heading, items, kind='', top=False):
    """Writes a list.

    Args:
      heading: str, in bold before it; may be empty.
      items: list of str; if there are none, nothing is written.
      kind: str, `result` or `warning` for a box, or empty.
      top: bool, whether it goes above the table of contents.
    """
    if not items:
      return
    lines = ''.join(f'<li>{_escape(x)}</li>' for x in items)
    first = f'<strong>{_escape(heading)}</strong>' if heading else ''
    (self._top if top else self._parts).append(
        f'<div class="{_escape(kind)}">{first}<ul>{lines}</ul></div>')

  def table(self, header, rows, caption, folded=''):
    """Writes a table.

    Args:
      header: list of str or Cell.
      rows: list of lists of str or Cell, as long as the header.
      caption: str.
      folded: str, what the table is, if it is to be shown only when asked
        for; else empty.
    """
    head = ''.join(_cell('th', x) for x in header)
    body = ''.join(
        f'<tr>{"".join(_cell("td", x) for x in row)}</tr>' for row in rows)
    table = (
        f'<p class="caption">{_escape(caption)}</p><div class="scroll"><table>'
        f'<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>')
    if folded:
      table = (
          f'<details><summary>{_escape(folded)}</summary>{table}</details>')
    self._parts.append(table)

  def picture(self, data, kind, caption, pixels=False):
    """Writes a picture with its caption, the data inlined.

    Args:
      data: bytes.
      kind: str, `svg+xml` or `png`.
      caption: str.
      pixels: bool, whether enlarging keeps the pixels.
    """
    code = base64.b64encode(data).decode('ascii')
    style = 'drawn' if kind == 'svg+xml' else 'pixels' if pixels else ''
    self._parts.append(
        f'<figure><img class="{style}" alt="{_escape(caption)}" '
        f'src="data:image/{_escape(kind)};base64,{code}">'
        f'<figcaption>{_escape(caption)}</figcaption></figure>')

  def html(self):
    """Puts the page together.

    Returns:
      str.
    """
    links = ''.join(
        f'<a href="#{name}">{_escape(text)}</a>'
        for name, text in self._contents)
    return '\n'.join([
        '<!DOCTYPE html>', '<html lang="en">', '<head>',
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width">',
        f'<title>{_escape(self._title)}</title>', f'<style>{CSS}</style>',
        '</head>', '<body>', f'<h1>{_escape(self._title)}</h1>',
        f'<p class="lead">{_escape(self._lead)}</p>', *self._top,
        f'<nav>{links}</nav>', *self._parts, '</body>', '</html>', ''])


def _cell(tag, cell):
  cell = cell if isinstance(cell, Cell) else Cell(cell)
  small = f'<small>{_escape(cell.small)}</small>' if cell.small else ''
  kind = f' class="{_escape(cell.kind)}"' if cell.kind else ''
  return f'<{tag}{kind}>{_escape(cell.text)}{small}</{tag}>'


def _escape(text):
  return html.escape(str(text))
