"""Summarises all runs below a folder on one web page.

Finds every run below LOGDIR, whatever state it is in, and writes to LOGDIR/
report: index.html (one file, opens anywhere), figures/ as PNG and SVG, CSVs,
and scores.json in the format of dreamerv2's scores. Shown are learning curves
(clean and rotated), the paper's tables beside the published numbers, every
method against dreamer with intervals and p-values, ablations, robustness,
reconstructions and diagnostics. What is missing, unfinished or damaged is
named at the top. Needs no TensorFlow; runs may still be training.
"""

from .. import display
from ..errors import UsageError
from ..runs import files
from . import comparison
from . import drawing
from . import exports
from . import page
from . import reconstructions
from . import runs as run_folders
from . import scores
from .runs import CONDITIONS

EXAMPLE = 'dreamer-idm report --logdir logdir'


def add_arguments(parser):
  """Declares the command's arguments.

  Args:
    parser: argparse.ArgumentParser.
  """
  parser.add_argument(
      '--logdir', required=True, metavar='DIR',
      help='folder with runs, usually DIR/<task>/<method>/<seed>')
  parser.add_argument(
      '--out', metavar='DIR', help='where to write (default: LOGDIR/report)')
  parser.add_argument(
      '--title', help="the page's heading (default: the folder's name)")


def run(args):
  """Writes the report and prints where it is.

  Args:
    args: argparse.Namespace with `logdir`, `out` and `title`.

  Raises:
    UsageError: if there are no runs, or the report cannot be written.
  """
  logdir = files.expanded(args.logdir)
  out = files.expanded(args.out) if args.out else logdir / 'report'
  if not logdir.is_dir():
    raise UsageError(
        f'--logdir expects a folder with runs, but {logdir} '
        f'{"is a file" if logdir.exists() else "does not exist"}')
  # Names of folders may be private: the page has the one that was given.
  shown = args.logdir
  found = run_folders.find(logdir)
  if not found:
    raise UsageError(
        f'no runs in {logdir}: neither it nor any folder below it has a '
        "run's config.yaml or metrics.jsonl; train first (dreamer-idm train "
        f'--configs dmc idm --logdir {logdir}/idm), or give the folder of '
        'your runs as --logdir')
  title = args.title or f'Runs in {logdir.absolute().name or logdir}'
  try:
    warnings = _write(logdir, found, out, title, shown)
  except OSError as error:
    raise UsageError(
        f'cannot write the report to {out}: {error.strerror or error}; '
        'choose another folder with --out') from error
  print(
      f'{display.counted(len(found), "run")}, '
      f'{display.counted(len(warnings), "warning")}: {out / "index.html"}')


def _write(logdir, found, out, title, shown):
  """Writes the report on Runs to a folder; returns the warnings, of str."""
  (out / 'figures').mkdir(parents=True, exist_ok=True)
  runs = [x for x in found if x.rows and not x.duplicate_of]
  names = scores.methods(runs)
  comparisons = [
      y for method in names
      if (baseline := comparison.baseline(runs, method))
      for condition in CONDITIONS
      for y in comparison.compare(runs, method, condition, baseline)]
  tables = {
      '1': scores.table(runs, 'rotated'), '2': scores.table(runs, 'clean')}
  studies = reconstructions.find(logdir)
  with drawing.style():
    html, warnings, points = page.write(
        title, shown, found, runs, out / 'figures', studies, comparisons,
        tables)
  exports.write(out, found, runs, points, comparisons, tables)
  with files.replacing(out / 'index.html') as part:
    part.write_text(html, encoding='utf-8')
  return warnings
