"""05 Checkpoint: a long task that goes on where it was killed. Next: 06_variants.py.

`headway submit examples/05_checkpoint.py --steps 60 --seconds 1` runs it on a service: kill what you like.
"""

import random
import time

from headway import checkpoint, progress, task, workflow


@task(retries=3, estimate="1s")
def throw_darts(steps: int, seconds: float) -> float:
    chance, hits, done = checkpoint() or (random.Random(1), 0, 0)  # what was kept last; None at first
    for step in range(done, steps):
        hits += sum(chance.random() ** 2 + chance.random() ** 2 < 1 for _ in range(1000))
        checkpoint((chance, hits, step + 1))
        progress((step + 1) / steps)
        time.sleep(seconds)
    return 4 * hits / (1000 * steps)


@workflow
def estimate_pi(steps: int = 20, seconds: float = 0.01) -> float:
    return throw_darts(steps, seconds)


if __name__ == "__main__":
    print(estimate_pi())
