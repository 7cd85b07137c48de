"""What stands between dreamerv2 2.2.0 and today's libraries, one cause a file.

Each module says what is broken, since which version, and when it can go; its
`apply` fixes it, in dreamerv2's imported `common` package or `agent` module.
The ones in `before_tensorflow` must run before TensorFlow's first import, the
ones in `before_upstream` before dreamerv2's, the rest after it.
`dreamer_idm.upstream` calls the last two, `dreamer_idm` itself the first.

Not patched, because the installation settles it: `np.bool` (gone in numpy
1.24, back in 2.0) by asking for numpy 2, and `common/plot.py` and `train.py`,
which are never imported.
"""

from . import dlopen
from . import keras2
from . import startup_noise


def before_tensorflow():
  """Prepares the process for TensorFlow's first import; imports nothing."""
  dlopen.apply()
  keras2.apply()
  startup_noise.apply()


def before_upstream():
  """Repairs what dreamerv2's modules need while they are being imported."""
  from . import mixed_precision
  from . import ruamel_yaml
  mixed_precision.apply()
  ruamel_yaml.apply()


def after_upstream(common, agent, expl):
  """Repairs the imported upstream package.

  Args:
    common: dreamerv2's imported `common` package.
    agent: dreamerv2's imported `agent` module.
    expl: dreamerv2's imported `expl` module.
  """
  from . import adam
  from . import eager_arrays
  from . import episode_count
  from . import fast_actor
  from . import fast_decoder
  from . import fast_rssm
  from . import gif
  from . import nested_functions
  from . import random_exploration
  from . import step_cache
  from . import trunc_normal
  adam.apply(common)
  episode_count.apply(common)
  gif.apply(common)
  eager_arrays.apply(agent)
  nested_functions.apply(common, agent)
  fast_actor.apply(common, agent)
  fast_decoder.apply(common)
  fast_rssm.apply(common)
  random_exploration.apply(expl)
  step_cache.apply(agent)
  trunc_normal.apply(common)
