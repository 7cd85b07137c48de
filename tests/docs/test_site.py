"""The documentation as a site: it builds, and nothing in it leads nowhere."""

import html.parser
import subprocess
import sys
import urllib.parse

import pytest
from conftest import ROOT


@pytest.fixture(scope='module')
def site(tmp_path_factory):
  """Builds the site once."""
  folder = tmp_path_factory.mktemp('site')
  done = subprocess.run(
      [sys.executable, '-m', 'mkdocs', 'build', '--strict', '-d', folder],
      cwd=ROOT, capture_output=True, text=True, timeout=900)
  assert done.returncode == 0, done.stderr
  return folder


class _Addresses(html.parser.HTMLParser):
  """Collects where a page's tags lead, and what they load."""

  def __init__(self, text):
    super().__init__()
    self.leads, self.loads = [], []
    self.feed(text)

  def handle_starttag(self, tag, attrs):
    attrs = dict(attrs)
    if tag == 'a':
      self.leads.append(attrs.get('href'))
    elif attrs.get('rel') != 'canonical':
      self.loads += [attrs[x] for x in ('src', 'href') if attrs.get(x)]


def test_every_page_of_docs_is_in_it(site):
  for page in ROOT.glob('docs/*.md'):
    assert (site / page.with_suffix('.html').name).exists(), page
  assert (site / 'index.html').exists()


def test_links_and_pictures_are_in_it(site):
  pages, followed = sorted(site.rglob('*.html')), 0
  for page in pages:
    if page.name == '404.html' or 'report' in page.parent.parts:
      continue  # Absolute by nature; a report of ours, copied as it is.
    found = _Addresses(page.read_text('utf-8'))
    for address in [x for x in (*found.leads, *found.loads) if x]:
      parts = urllib.parse.urlsplit(address)
      if parts.scheme or parts.netloc or not parts.path:
        continue
      target = page.parent / urllib.parse.unquote(parts.path)
      assert target.exists(), f'{page.relative_to(site)}: {address}'
      followed += 1
  assert followed > 100


def test_nothing_is_loaded_from_other_hosts(site):
  for page in site.rglob('*.html'):
    for address in _Addresses(page.read_text('utf-8')).loads:
      assert not urllib.parse.urlsplit(address).netloc, f'{page}: {address}'
  for sheet in site.rglob('*.css'):
    assert 'url(http' not in sheet.read_text('utf-8'), sheet
