"""Celery that loses nothing: `celery_peer.py '{"throughput": 1000}'` prints one JSON object.

Redis flushes its append-only file on every write (appendfsync always), tasks are acknowledged late, 2 worker
processes. The folder of the file is made here, on the disk that Headway's state would use.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(command, **options):
    """A child process that is ended at the end."""
    child = subprocess.Popen(command, **QUIET, **options)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(10)


def until_redis_answers(port):
    import redis

    client = redis.Redis(port=port)
    for _ in range(500):
        try:
            client.ping()
            return
        except redis.exceptions.RedisError:
            time.sleep(0.02)
    sys.exit("redis-server did not start")


def throughput(n):
    """No-op tasks per second, first submit to last result."""
    from celery_app import app, noop

    started = time.perf_counter()
    with app.producer_pool.acquire(block=True) as producer:
        results = [noop.apply_async(producer=producer) for _ in range(n)]
    for result in results:
        result.get(timeout=300)
    return {"tasks_per_s": n / (time.perf_counter() - started)}


def main(work):
    port = free_port()
    os.environ["PEER_REDIS"] = f"redis://127.0.0.1:{port}/0"
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin"
    with tempfile.TemporaryDirectory(prefix="celery-peer-") as folder:
        redis = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "",
                 "--appendonly", "yes", "--appendfsync", "always"]  # fmt: skip
        worker = [sys.executable, "-m", "celery", "-A", "celery_app", "worker", "-c", "2", "-P", "prefork",
                  "-Ofair", "--without-gossip", "--without-mingle", "--without-heartbeat"]  # fmt: skip
        with running(redis, env=os.environ | {"PATH": path}):
            until_redis_answers(port)
            with running(worker, cwd=HERE, env=dict(os.environ)):
                from celery import group
                from celery_app import noop

                noop.delay().get(timeout=60)
                group(noop.s() for _ in range(200)).apply_async().get(timeout=60)  # warm both processes
                figures = {}
                for workload, n in work.items():
                    figures |= globals()[workload](n)
    print(json.dumps(figures))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
