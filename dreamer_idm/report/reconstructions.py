"""Pictures that runs and the `reconstruct` command left."""

import dataclasses
import json
import math

from . import runs

STRIP = 'reconstruction_openl_image.png'
PICTURES = ('figure1.png', 'drift.png')


@dataclasses.dataclass
class Study:
  """What `reconstruct` wrote: the effect of noise on decoded states."""

  name: str  # The folder below the one that was searched.
  pictures: dict[str, bytes]  # PNGs by the names of their files.
  sigma: list[float]  # The noise levels of drift.json; may be empty.
  curves: list[tuple]  # (label, kl, pixel_error): str and lists of float.
  notes: list[str]  # What could not be read.


def find(logdir):
  """Finds the Studies below logdir, a pathlib.Path: a list.

  They are in folders with a drift.json, or called reconstruct.
  """
  studies = []
  for path, files in runs.folders(logdir):
    named = path.name == 'reconstruct' and {*PICTURES} & files
    if named or 'drift.json' in files:
      studies.append(_read(path, path.relative_to(logdir).as_posix()))
  return studies


def read_png(path):
  """Reads a picture: bytes, or None if there is no such file or no PNG."""
  try:
    data = path.read_bytes()
  except OSError:
    return None
  return data if data.startswith(b'\x89PNG\r\n\x1a\n') else None


def _read(path, name):
  study = Study(name if name != '.' else path.name, {}, [], [], [])
  for picture in PICTURES:
    data = read_png(path / picture)
    if data:
      study.pictures[picture] = data
    elif (path / picture).exists():
      study.notes.append(f'{study.name}/{picture} is not a PNG')
  if (path / 'drift.json').exists():
    try:
      drift = json.loads((path / 'drift.json').read_text('utf-8', 'replace'))
      sigma = _numbers(drift['sigma'])
      study.curves = [
          (str(x['label']), _numbers(x['kl'], len(sigma)),
           _numbers(x['pixel_error'], len(sigma))) for x in drift['runs']]
      study.sigma = sigma
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
      study.curves = []
      study.notes.append(f'{study.name}/drift.json cannot be read')
  return study


def _numbers(values, length=None):
  """Makes finite floats of values, so many of them, or raises ValueError."""
  if length not in (None, len(values)):
    raise ValueError('of another length than sigma')
  numbers = [float(x) for x in values]
  if not all(map(math.isfinite, numbers)):
    raise ValueError('not finite')
  return numbers
