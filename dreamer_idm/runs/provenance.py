"""By what a run was trained: a line of provenance.jsonl for every start.

config.yaml says what a run began with. Each line says in what a start differed
from it, and with which code, libraries and machine the training continued.
"""

import datetime
import importlib.metadata
import json
import pathlib
import platform
import shlex
import socket
import subprocess
import sys

from .. import __version__
from . import files
from . import metrics_file

NAME = 'provenance.jsonl'
# Whose versions can change what is learned; the ones that are installed.
PACKAGES = (
    'dreamerv2', 'tensorflow', 'tf-keras', 'tensorflow-probability', 'numpy',
    'gymnasium', 'dm-control', 'mujoco', 'ale-py', 'crafter', 'cma')
# Untracked files of these kinds count as changes of a checkout.
CODE = ('.py', '.yaml')
ROOT = pathlib.Path(__file__).resolve().parents[2]


def write(logdir, changed, **facts):
  """Adds the line of a start.

  Args:
    logdir: pathlib.Path of the run, existing.
    changed: dict of dotted keys to pairs, the value in config.yaml and the one
      that holds from now on.
    **facts: what the caller knows, plain values by name: `step` (environment
      steps), `agent_step`, `device`, `precision`, `threads`.

  Returns:
    dict, the line: beside these `time` (of UTC, ISO 8601), `command`,
    `version`, `commit` and `dirty` (whether a file that git tracks was
    changed, or there is Python or YAML that it does not track and does not
    ignore; both None outside of a checkout), `packages` (name to version),
    `host` and `python`.

  Raises:
    OSError: if it cannot be written.
  """
  commit, dirty = _checkout(ROOT)
  line = {
      'time': datetime.datetime.now(datetime.timezone.utc).isoformat(
          timespec='seconds'),
      **facts, 'changed': {k: list(v) for k, v in changed.items()},
      'command': shlex.join(sys.argv), 'version': __version__,
      'commit': commit, 'dirty': dirty, 'packages': _packages(),
      'host': socket.gethostname(), 'python': platform.python_version()}
  path = logdir / NAME
  with path.open('a+b') as file:
    # The last line of a process that was killed may have no end.
    if file.tell() and file.seek(-1, 2) is not None and file.read() != b'\n':
      file.write(b'\n')
    file.write(json.dumps(line).encode() + b'\n')
  files.sync(path)
  return line


def read(logdir):
  """Reads by what a run was trained.

  Returns:
    list of dicts as `write` returns them, one per start; empty for a run
    without such a file. Damaged lines are left out.
  """
  return metrics_file.read(logdir, name=NAME)


def latest(logdir, key, begun):
  """Reads what a setting was at a run's latest start.

  Args:
    logdir: pathlib.Path of the run.
    key: str, dotted.
    begun: the value in config.yaml, which the run began with.

  Returns:
    scalar or list, the value.
  """
  return changed(read(logdir)[-1:]).get(key, [begun])[-1]


def changed(starts):
  """Collects the settings that starts had other than config.yaml says.

  Args:
    starts: list of dicts as `read` returns them.

  Returns:
    dict of dotted keys to lists, the values that held at each of the starts;
    the one of config.yaml where a start did not change it.
  """
  each = []
  for start in starts:
    found = start.get('changed')
    each.append({
        k: v for k, v in found.items() if isinstance(v, list) and len(v) == 2
    } if isinstance(found, dict) else {})
  begun = {k: v[0] for x in each for k, v in x.items()}
  return {
      k: [x[k][1] if k in x else v for x in each] for k, v in begun.items()}


def _packages():
  found = {}
  for name in PACKAGES:
    try:
      found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      pass
  return found


def _checkout(root):
  """The commit of a checkout, str, and whether it was changed; or Nones."""
  def git(*words):
    return subprocess.run(
        ['git', '-C', str(root), *words], capture_output=True, text=True,
        timeout=20, check=True).stdout.strip()

  try:
    # The package may be installed within a checkout of something else.
    if pathlib.Path(git('rev-parse', '--show-toplevel')).resolve() != root:
      return None, None
    changes = git('status', '--porcelain', '--untracked-files=all')
    return git('rev-parse', 'HEAD'), any(
        not x.startswith('??') or x.strip('"').endswith(CODE)
        for x in changes.splitlines())
  except (OSError, subprocess.SubprocessError):
    return None, None
