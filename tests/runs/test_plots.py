import numpy as np
import pytest
from PIL import Image

from dreamer_idm.runs import metrics_file
from dreamer_idm.runs import plots


def test_series_takes_the_later_of_two_and_leaves_out_half_lines(tmp_path):
  (tmp_path / 'metrics.jsonl').write_text(
      '{"step": 20, "x": 1}\n{"step": 10, "x": 2}\n{"step": 20, "x": 3}\n'
      '{"step": 30, "y": 4}\n{"foo": 1}\n3\n{"step": "a"}\n'
      '{"step": 40, "x"')
  rows = metrics_file.read(tmp_path)
  assert len(rows) == 4
  steps, values = metrics_file.series(rows, 'x')
  np.testing.assert_array_equal(steps, [10, 20])
  np.testing.assert_array_equal(values, [2, 3])


def test_metrics_may_be_read_in_part(tmp_path):
  (tmp_path / 'metrics.jsonl').write_text(
      '{"step": 1, "x": 1, "y": 2}\n{"step": 2, "y": 3}\n')
  assert metrics_file.read(tmp_path, ['x']) == [{'step': 1, 'x': 1}]


def test_steps_that_none_can_be_are_left_out(tmp_path):
  (tmp_path / 'metrics.jsonl').write_text(''.join(
      f'{{"step": {x}}}\n' for x in ('NaN', 'Infinity', '9' * 400, '-1', '7')))
  assert metrics_file.read(tmp_path) == [{'step': 7}]


def test_a_run_without_metrics_has_none(tmp_path):
  assert metrics_file.read(tmp_path) == []


def test_reconstruction_takes_the_columns_asked_for(tmp_path):
  video = np.zeros((11, 3 * 8, 2 * 8, 3), np.float32)
  video[5, :8, 8:] = 1.0  # Truth of the second sequence at time 5.
  path = tmp_path / 'strip.png'
  plots.reconstruction(video, path, (8, 8), every=5, scale=1)
  image = np.array(Image.open(path))
  assert image.shape == (2 * 24, 3 * 8, 3)
  np.testing.assert_array_equal(image[24:32, 8:16], 255)
  assert image.sum() == 255 * 64 * 3
  assert [x.name for x in tmp_path.iterdir()] == ['strip.png']


def test_policy_video_has_every_frame(tmp_path):
  frames = np.random.RandomState(0).randint(0, 255, (7, 8, 8, 3), np.uint8)
  plots.policy_video(frames, tmp_path / 'policy.gif', fps=25, scale=2)
  with Image.open(tmp_path / 'policy.gif') as video:
    assert video.n_frames == 7 and video.size == (16, 16)
    assert video.info['duration'] == 40


def test_a_policy_video_of_a_long_episode_is_bounded(tmp_path):
  frames = np.zeros((3 * plots.MOST_FRAMES, 8, 8, 3), np.uint8)
  frames[-1] = 255
  frames[::2, :4] = 100  # Or equal frames would be merged into one.
  plots.policy_video(frames, tmp_path / 'policy.gif', scale=1)
  with Image.open(tmp_path / 'policy.gif') as video:
    assert video.n_frames <= plots.MOST_FRAMES
    video.seek(video.n_frames - 1)
    assert np.array(video.convert('RGB')).min() > 240, 'the end is shown'


@pytest.mark.parametrize('channels, expected', [
    (1, 1), (2, 1), (3, 3), (4, 3), (9, 3)])
def test_images_of_any_channels_can_be_shown(tmp_path, channels, expected):
  frames = np.random.RandomState(0).randint(
      0, 255, (6, 8, 8, channels), np.uint8)
  shown = plots.shown(frames)
  np.testing.assert_array_equal(shown, frames[..., :expected])
  plots.policy_video(frames, tmp_path / 'policy.gif')
  plots.reconstruction(plots.shown(frames / 255), tmp_path / 'x.png', (2, 8))


def test_learning_curve_shows_clean_and_rotated(tmp_path):
  (tmp_path / 'metrics.jsonl').write_text(''.join(
      f'{{"step": {s}, "eval_return": {s}, "eval_return_std": 1, '
      f'"eval_rotated_return": {s / 2}}}\n' for s in (0, 100, 200)))
  path = tmp_path / 'curve.png'
  plots.learning_curve({'idm': tmp_path}, path, 'title')
  colors = {tuple(x) for x in np.array(Image.open(path)).reshape(-1, 4)}
  assert (31, 119, 180, 255) in colors  # The first color of the cycle.
