"""Hooks of MkDocs: pages outside of docs/, and the files that pages link to.

In the repository README.md, CHANGELOG.md and those of folders stand where
readers look for them, and pages link to sources and pictures beside docs/. In
the site such pages are added, such files are copied, and links to folders,
which a site has none of, become plain text.
"""

import pathlib
import posixpath
import re

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Path in the repository -> path in the site, of pages outside of docs/.
PAGES = {
    'README.md': 'index.md', **{
        x: x for x in (
            'CHANGELOG.md', 'CONTRIBUTING.md', 'agents/README.md',
            'results/README.md')
        if (ROOT / x).exists()}}
# [words](path#anchor), of a picture with a ! before it.
LINK = re.compile(
    r'\[(?P<words>[^\[\]]*)\]\((?![a-z]+:|#)(?P<path>[^)#\s]+)'
    r'(?P<anchor>#[^)\s]*)?\)')


def on_files(files, config):
  """Adds pages and linked files; see MkDocs."""
  for source, name in PAGES.items():
    files.append(_file(config, name, source))
  for page in list(files.documentation_pages()):
    for match in LINK.finditer(page.content_string):
      source = _source(page.src_uri, match['path'])
      if (ROOT / source).is_file() and _name(source) not in files.src_uris:
        files.append(_file(config, source, source))
  return files


def on_page_markdown(markdown, page, config, files):
  """Points links to where their files are in the site; see MkDocs."""
  here = page.file.src_uri

  def point(match):
    source = _source(here, match['path'])
    if (ROOT / source).is_dir():
      return match['words']
    name = posixpath.relpath(_name(source), posixpath.dirname(here) or '.')
    return f'[{match["words"]}]({name}{match["anchor"] or ""})'

  return LINK.sub(point, markdown)


def _file(config, name, source):
  return File.generated(config, name, abs_src_path=str(ROOT / source))


def _source(page, target):
  """Finds the path in the repository that a page's link means."""
  at = next((k for k, v in PAGES.items() if v == page), f'docs/{page}')
  return posixpath.normpath(posixpath.join(posixpath.dirname(at), target))


def _name(source):
  """Finds the path in the site of a file of the repository."""
  if source in PAGES:
    return PAGES[source]
  return source[len('docs/'):] if source.startswith('docs/') else source
