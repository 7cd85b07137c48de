"""What the figures share."""

from dreamer_idm.report import drawing


def test_sixteen_methods_beside_the_baseline_have_colors_of_their_own():
  palette = drawing.colors(['dreamer', *map(str, range(16))])
  assert len({*palette.values()}) == 17
