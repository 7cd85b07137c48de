"""Acting with what `export` wrote, without the agent that it came from."""

import numpy as np
import tensorflow as tf


def load(path):
  """Loads a SavedModel that `export` wrote, `act_given` as a function.

  Args:
    path: pathlib.Path of the folder.

  Returns:
    function of dicts of arrays (observation, state) and noise, an array or
    None to draw it, to the action, an array, and the next state, a dict.
  """
  model = tf.saved_model.load(str(path))

  def act(observation, state, noise=None):
    tensors = [
        {k: tf.constant(v) for k, v in x.items()} for x in (observation, state)]
    action, state = model.act(*tensors) if noise is None else (
        model.act_given(*tensors, tf.constant(noise)))
    return action.numpy(), {k: v.numpy() for k, v in state.items()}

  return act


def load_onnx(path):
  """Loads a policy.onnx as `load` does; the noise has to be given."""
  import onnxruntime
  session = onnxruntime.InferenceSession(
      str(path), providers=['CPUExecutionProvider'])
  names = [x.name for x in session.get_outputs()]

  def act(observation, state, noise):
    inputs = {
        **observation, 'noise': noise,
        **{f'state_{k}': v for k, v in state.items()}}
    found = dict(zip(names, session.run(None, inputs)))
    action = found.pop('action')
    return action, {k[len('next_'):]: v for k, v in found.items()}

  return act


def observation(keys, rows):
  """What a model takes of an environment's observations.

  Args:
    keys: dict of name -> (shape, name of the type), see `Exported.describe`.
    rows: dict of arrays [B, ...].

  Returns:
    dict of arrays.
  """
  return {k: np.asarray(rows[k], dtype) for k, (_, dtype) in keys.items()}


def zeros(interface):
  """The state at the beginning of an episode, a dict of arrays."""
  return {
      k: np.zeros(shape, dtype)
      for k, (shape, dtype) in interface['state'].items()}


def noise(interface, random):
  """Draws what `act_given` takes: float32 [B, ...].

  Args:
    interface: dict of `Exported.describe`.
    random: numpy.random.Generator.
  """
  shape, _ = interface['noise']
  if not interface['draws']:
    return np.zeros(shape, np.float32)
  draw = random.gumbel if len(shape) == 3 else random.normal
  return draw(size=shape).astype(np.float32)


def episode(act, interface, env, random):
  """Runs an episode.

  Args:
    act: function of `load` or `load_onnx`.
    interface: dict of `Exported.describe`; of a batch all rows act alike.
    env: environment of `environments.make_envs`.
    random: numpy.random.Generator, of the latents.

  Returns:
    dict of arrays [T + 1, ...], the observations and rewards.
  """
  state = zeros(interface)
  batch = interface['action'][0][0]
  steps = [env.reset()]
  while not steps[-1]['is_last']:
    rows = {k: np.stack([v] * batch) for k, v in steps[-1].items()}
    _, state = act(
        observation(interface['observation'], rows), state,
        noise(interface, random))
    step = env.step({'action': state['action'][0]})
    steps.append(step() if callable(step) else step)  # A worker's promise.
  return {k: np.stack([x[k] for x in steps]) for k in steps[0]}
