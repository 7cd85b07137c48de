"""Video summaries without ffmpeg.

Broken: upstream's `encode_gif` pipes frames through ffmpeg's `fifo` filter.
Since: ffmpeg 7.0 removed the filter; many machines have no ffmpeg at all.
Mends: Pillow writes the GIF.
Can go: when upstream encodes its videos otherwise.
"""

import io

from PIL import Image


def encode_gif(frames, fps):
  """Encodes a video as an endlessly repeating GIF.

  Args:
    frames: uint8 [T, H, W, C], C is 1 or 3.
    fps: float, frames per second; GIF stores whole hundredths of a second.

  Returns:
    bytes.
  """
  images = [
      Image.fromarray(x[..., 0] if x.shape[-1] == 1 else x) for x in frames]
  buffer = io.BytesIO()
  images[0].save(
      buffer, format='GIF', save_all=True, append_images=images[1:],
      duration=max(20, round(100 / fps) * 10), loop=0)
  return buffer.getvalue()


def apply(common):
  """Replaces the encoder that upstream's logger uses.

  Args:
    common: dreamerv2's imported `common` package.
  """
  common.logger.encode_gif = encode_gif
