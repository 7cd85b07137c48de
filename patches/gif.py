"""Video summaries without ffmpeg.

Broken: upstream's `encode_gif` pipes frames through ffmpeg's `fifo` filter.
Since: ffmpeg 7.0 removed the filter; many machines have no ffmpeg at all.
Repairs: Pillow writes the GIF.
Can go: when upstream encodes its videos otherwise.
"""

import io

import numpy as np
from PIL import Image

SAMPLE = 65536  # Pixels of a video from which its palette is made.


def encode_gif(frames, fps):
  """Encodes a video as an endlessly repeating GIF.

  All frames share one palette: one for each frame would be a little closer to
  the colours and take over ten times as long.

  Args:
    frames: uint8 [T, H, W, C], C is 1 or 3.
    fps: float, frames per second; GIF stores whole hundredths of a second.

  Returns:
    bytes.
  """
  if frames.shape[-1] == 1:
    images = [Image.fromarray(x[..., 0]) for x in frames]
  else:
    pixels = frames.reshape(-1, 3)
    # Odd, so that it does not take the same columns of every row.
    sample = pixels[::len(pixels) // SAMPLE | 1]
    palette = Image.fromarray(np.ascontiguousarray(sample[None])).quantize(256)
    images = [
        Image.fromarray(x).quantize(palette=palette, dither=Image.Dither.NONE)
        for x in frames]
  buffer = io.BytesIO()
  images[0].save(
      buffer, format='GIF', save_all=True, append_images=images[1:],
      duration=max(20, round(100 / fps) * 10), loop=0)
  return buffer.getvalue()


def apply(common):
  """Replaces the encoder that upstream's logger uses."""
  common.logger.encode_gif = encode_gif
