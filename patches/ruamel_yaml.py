"""`ruamel.yaml.safe_load` and `safe_dump` are gone.

Broken: upstream's `Config.save`, `Config.load` and `api.py` call them; today
they end the whole program.
Since: ruamel.yaml 0.18.
Repairs: both functions, by the class that replaces them.
Can go: when upstream uses `ruamel.yaml.YAML`.
"""

import io

import ruamel.yaml


def safe_load(stream):
  """Parses one YAML 1.2 document of plain data; runs no code."""
  return ruamel.yaml.YAML(typ='safe', pure=True).load(stream)


def safe_dump(data, stream=None):
  """Writes plain data as YAML; without a stream, the text is returned."""
  yaml = ruamel.yaml.YAML(typ='safe', pure=True)
  if stream is not None:
    return yaml.dump(data, stream)
  text = io.StringIO()
  yaml.dump(data, text)
  return text.getvalue()


def apply():
  """Puts both functions back."""
  ruamel.yaml.safe_load = safe_load
  ruamel.yaml.safe_dump = safe_dump
