"""The tasks of celery_peer.py, imported by its worker too. Settings that suit very short tasks, with nothing
lost: late acknowledgement, prefetch 64, no events, no rate limits."""

import os
import time

from celery import Celery

url = os.environ["PEER_REDIS"]
app = Celery("peer", broker=url, backend=url)
app.conf.update(
    worker_prefetch_multiplier=64,
    worker_disable_rate_limits=True,
    worker_send_task_events=False,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    result_expires=600,
    broker_connection_retry_on_startup=True,
)


@app.task
def noop(*_):
    return time.monotonic()
