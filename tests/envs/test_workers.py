import functools
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT
from conftest import run_script

from dreamer_idm.envs import workers
from dreamer_idm.upstream import envs as upstream_envs

SCRIPT = """
import os
import time
from dreamer_idm.upstream import envs as upstream_envs
from dreamer_idm.envs import workers
"""

linux = pytest.mark.skipif(sys.platform != 'linux', reason='Linux only')


def gone(pid, seconds=900):
  """Whether a process ends; `seconds` are for one that never does."""
  for _ in range(10 * seconds):
    try:
      state = pathlib.Path(f'/proc/{pid}/stat').read_text()
    except (ProcessLookupError, FileNotFoundError):
      return True
    if state.rsplit(')', 1)[1].split()[0] == 'Z':
      return True  # Ended; its new parent has not asked yet.
    time.sleep(0.1)
  return False


@pytest.fixture(autouse=True)
def alarm():
  """Ends a test that waits for ever, which is how most of them can fail."""
  def ring(*_):
    raise TimeoutError
  before = signal.signal(signal.SIGALRM, ring)
  signal.alarm(900)
  yield
  signal.alarm(0)
  signal.signal(signal.SIGALRM, before)


@pytest.fixture
def start():
  """Starts workers, ended after the test."""
  started = []

  def begin(strategy, constructor=upstream_envs.Dummy):
    started.append(workers.Worker(constructor, strategy))
    return started[-1]
  yield begin
  for worker in started:
    worker.close()


@pytest.mark.parametrize('strategy', ['thread', 'process'])
def test_the_environments_interface(start, strategy):
  worker = start(strategy)
  assert worker.act_space['action'].shape == (6,)
  assert worker.obs_space['image'].shape == (64, 64, 3)
  assert worker.reset()['is_first']
  assert worker.reset(blocking=False)()['is_first']
  promise = worker.step({'action': 0})
  assert not promise()['is_first']


@linux
def test_processes_close_without_orphans(start):
  idle, busy = start('process'), start('process')
  pids = [idle._process.pid, busy._process.pid]
  assert idle._process.is_alive() and busy._process.is_alive()
  busy.step({'action': 0})
  for worker in [idle, busy]:
    worker.close()
    worker.close()
  assert all(gone(pid) for pid in pids)


@linux
def test_a_process_that_hangs_is_ended(start):
  worker = start('process')
  worker.patience = 0.2
  os.kill(worker._process.pid, signal.SIGSTOP)
  worker.close()
  assert gone(worker._process.pid)


def test_a_process_that_dies_at_its_start_is_an_error(start):
  with pytest.raises(RuntimeError, match='process ended unexpectedly.* code 3'):
    start('process', functools.partial(os._exit, 3))


def test_a_process_that_dies_later_is_an_error(start):
  worker = start('process')
  os.kill(worker._process.pid, signal.SIGKILL)
  with pytest.raises(
      RuntimeError, match='process ended unexpectedly.* code -9'):
    worker.reset()


@pytest.mark.parametrize('strategy', ['thread', 'process'])
def test_errors_inside_are_told_outside(start, strategy):
  with pytest.raises(Exception, match='ZeroDivisionError'):
    start(strategy, functools.partial(divmod, 1, 0))
  worker = start(strategy)
  with pytest.raises(Exception, match='nothing'):
    worker.call('nothing')()
  with pytest.raises(RuntimeError, match='ended unexpectedly'):
    worker.reset()


@linux
@pytest.mark.parametrize('ending', [
    'os.kill(os.getpid(), 9)', 'raise SystemExit(0)', 'worker.close()'])
def test_processes_end_with_their_parent(tmp_path, ending):
  done = run_script(tmp_path, SCRIPT + f"""
worker = workers.Worker(upstream_envs.Dummy, 'process')
print(worker._process.pid, flush=True)
{ending}
""", timeout=900)
  assert done.returncode == (-9 if 'kill' in ending else 0), done.stderr
  assert not done.stderr
  assert gone(int(done.stdout))


@pytest.mark.parametrize('ending, code', [
    ('', 0), ('raise SystemExit(5)', 5)])
def test_a_forgotten_thread_does_not_keep_the_program(tmp_path, ending, code):
  done = run_script(tmp_path, SCRIPT + f"""
worker = workers.Worker(upstream_envs.Dummy, 'thread')
worker.reset()
print('end')
{ending}
""", timeout=900)
  assert (done.returncode, done.stdout, done.stderr) == (code, 'end\n', '')


@linux
def test_interrupts_are_the_parents_alone(tmp_path):
  script = tmp_path / 'script.py'
  script.write_text(SCRIPT + """
worker = workers.Worker(upstream_envs.Dummy, 'process')
try:
  print('ready', flush=True)
  time.sleep(900)
except KeyboardInterrupt:
  print(worker.reset()['is_first'])
""")
  program = subprocess.Popen(
      [sys.executable, str(script)], stdout=subprocess.PIPE,
      stderr=subprocess.PIPE, text=True, start_new_session=True,
      env={**os.environ, 'PYTHONPATH': str(ROOT)})
  assert program.stdout.readline() == 'ready\n'
  os.killpg(program.pid, signal.SIGINT)  # As the terminal does.
  assert program.communicate(timeout=900) == ('True\n', '')
  assert program.returncode == 0


def test_the_main_script_is_not_run_again(tmp_path):
  done = run_script(tmp_path, """
print('main')
from dreamer_idm.upstream import envs as upstream_envs
from dreamer_idm.envs import workers
workers.Worker(upstream_envs.Dummy, 'process').close()
assert __spec__ is None and __file__.endswith('script.py')
""", timeout=900)
  assert (done.returncode, done.stdout, done.stderr) == (0, 'main\n', '')
