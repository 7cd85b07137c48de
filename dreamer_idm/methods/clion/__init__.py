"""CLION: what IDM grew from (ICLR 2021 submission), by its differences."""

from ... import idm
from ...agent.declaration import amount
from ...agent.declaration import at_least
from ...agent.declaration import between
from ...agent.declaration import Key
from ...agent.declaration import Method
from ...agent.declaration import Preset
from ...upstream.config import NOTHING


def conflicts(config):
  """See `Method.conflicts`."""
  yield from idm.conflicts(config)
  if config.idm.cst_delta:
    yield (
        "CLION's constraint has no margin: use --idm.cst_delta 0, or "
        '--configs dmc idm')


def seen_in_training(settings):
  """See `Method.seen_in_training`."""
  degrees = settings.get('clion.rotation_degrees')
  if degrees and settings.get('clion.rotation_scale') and (
      settings.get('encoder.cnn_keys') not in NOTHING):
    yield f"rotations up to {amount(degrees)}° in a term of the encoder's"


METHOD = Method(
    keys={
        'rotation_scale': Key(
            0.01, "weight of the encoder's distance to a rotated image",
            at_least(0)),
        'rotation_degrees': Key(
            5.0, 'largest angle of that rotation, drawn uniformly',
            between(0, 180))},
    reads=('idm',),
    presets={'clion': Preset(
        'CLION: constraint on h alone, a rotation-invariant encoder, linear '
        'evaluator.',
        {**idm.ALL_PARTS, 'idm.stoch_mode': 'resample',
         'idm.eva_loss': 'linear'}, 7)},
    conflicts=conflicts,
    seen_in_training=seen_in_training)
