"""Runs each example, and checks what it says."""

import os
import signal
import subprocess
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "../examples/c"))
from lavoro_ctypes import Client

OUT = sys.argv[1]
client = Client("memory:")
env = {**os.environ, "LAVORO_DATABASE_URL": client.url()}


def program(*path):
    return os.path.join(OUT, *path)


def run(*command):
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout


def sees(lines, worker):
    """The worker prints a line for each job."""
    return [worker.stdout.readline() for _ in range(lines)]


for producer in (program("examples", "producer"), program("examples", "static"), program("cmake", "producer")):
    assert run(producer, "2").count("enqueued") == 2
worker = subprocess.Popen([program("examples", "worker")], env=env, stdout=subprocess.PIPE, text=True)
assert all("user" in line for line in sees(6, worker))
worker.send_signal(signal.SIGTERM)
assert worker.wait(40) == 0
assert client.call("jobs.count", filter={"state": "completed"}) == 6

worker = subprocess.Popen([program("examples", "poll_worker")], env=env, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True)
said = run(program("examples", "transaction"))
assert "commit" in said and "rollback" in said, said
assert "buyer" in sees(1, worker)[0]
worker.stdin.close()
assert worker.wait(40) == 0
assert client.call("jobs.count") == 7  # what was rolled back is not there
client.close()

said = run(program("examples", "raii"))
assert '"result":"Ada"' in said and "invalid_task" in said, said
assert run(sys.executable, os.path.join(here, "../examples/c/lavoro_ctypes.py")) == "Hello, Ada!\n"
print("examples: producer (shared, static, CMake), worker, poll_worker, transaction, raii, ctypes")
