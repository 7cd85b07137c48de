"""Writes docs/configuration.md from configs.yaml and the rules of the keys.

  python docs/generate.py
"""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / 'docs' / 'configuration.md'
sys.path.insert(0, str(ROOT))

from dreamer_idm.config import load as config_lib  # noqa: E402
from dreamer_idm.config import methods  # noqa: E402
from dreamer_idm.config import sources  # noqa: E402
from dreamer_idm.config.keys import text  # noqa: E402

HEAD = """\
# Configuration

<!-- Written by docs/generate.py; change configs.yaml instead. -->

A run's settings are dreamerv2's packaged defaults, then this project's
`defaults` in [configs.yaml](../configs.yaml), then the presets after
`--configs` in their order, then the keys of the command line. Unless these, or
a preset that is made for the very task, say otherwise, Gymnasium's tasks have
`action_repeat` 1 and a head for terminal states (`pred_discount` True). What a
preset has under `by_task` for the very task (see below) stands in that preset's
place in this order:

```
dreamer-idm train --configs cpu idm --idm.sigma_h 0.2 --dataset.batch 32
```

Keys have upstream's syntax: `--key value`, `--key=value`, `--key 1 2 3` for
lists, and regular expressions for several keys at once (`'--.*_opt.lr' 1e-4`).
An invalid key or value is reported in one line, before anything starts. A key
of a method that does not run has no effect, and a line says so. Steps are agent
steps: environment steps divided by `action_repeat`. `dreamer-idm train
--help` prints presets and keys without dreamerv2's, `--help all` with them.

A *method* is code, chosen by the key `agent`. A *preset* is a set of values
with a name. An *arm* is what a comparison compares: a preset, perhaps with
further values; the key `method` has its name, which folders and tables show.
"""


def page():
  """Writes the page.

  Returns:
    str, Markdown.
  """
  presets, *keys = config_lib.sections().items()
  lines = [HEAD, '## Presets', '', '| preset | what it is |', '|---|---|']
  lines += [f'| `{x.name}` | {_cell(x.text)} |' for x in presets[1]]
  lines += ['', *_sizes(), '', *_settings()]
  for title, entries in keys:
    lines += [
        '', f'## {title[0].upper()}{title[1:]}', '',
        '| key | default | what it is | may be |', '|---|---|---|---|']
    lines += [
        f'| `{x.name}` | `{_cell(x.default)}` | {_cell(x.text)} | '
        f'{_cell(x.allowed)} |' for x in entries]
  return '\n'.join(lines) + '\n'


def _cell(text):
  return text.replace('|', '\\|').replace('<', '&lt;')


def _sizes():
  """Tables what the presets that stand alone set, where it differs."""
  names = ['dmc', 'cpu', 'cpu_proprio']
  configs = [config_lib.load(['--configs', x]).flat for x in names]
  default = config_lib.defaults().flat
  lines = [
      '### What the presets set', '',
      'Keys in which one of the presets that stand alone differs from the '
      'defaults.', '', f'| key | default | {" | ".join(names)} |',
      '|---|---|' + '---|' * len(names)]
  for key, value in default.items():
    values = [value, *(x[key] for x in configs)]
    if any(x != value for x in values):
      cells = [
          '`{}`'.format(_cell(text(x)).replace("'", '')) for x in values]
      lines.append(f'| `{key}` | {" | ".join(cells)} |')
  return [*lines, '', *_by_task()]


def _by_task():
  """Tables what the presets set for single tasks."""
  lines = ['| preset | task | what differs there |', '|---|---|---|']
  for preset, values in sources.read(sources.OURS).items():
    for task, special in values.get('by_task', {}).items():
      cells = [f'`{k}` {text(v)}' for k, v in special.items()]
      lines.append(f'| `{preset}` | `{task}` | {", ".join(cells)} |')
  return lines


def _settings():
  """Tables what the presets of methods set."""
  lines = [
      '### What the presets of methods set', '',
      'Beside `agent` and `method`; all but `doubled` and those that add to a '
      'method set `batch_multiplier` 1.', '',
      '| preset | method | sets |', '|---|---|---|']
  for method in methods.declared():
    for name, preset in method.presets.items():
      cells = [
          '`{}`'.format(_cell(f'{k} {text(v)}').replace("'", ''))
          for k, v in preset.settings.items()]
      lines.append(f'| `{name}` | `{method.name}` | {", ".join(cells)} |')
  return lines


if __name__ == '__main__':
  PAGE.write_text(page(), encoding='utf-8')
