"""07 Gang: tasks that start together or not at all, as data-parallel training needs. Next: 08_simulate.py.

Each member finds its rank and where the others are in its environment. On several nodes, `within="rack"` keeps them close.
"""

import os

from headway import task, workflow


@task(gang=True, cpu=0.5, estimate="1s", retries=2)
def train(shard: list) -> dict:
    rank = int(os.environ.get("HEADWAY_GANG_RANK", "0"))  # absent in a plain call
    size = int(os.environ.get("HEADWAY_GANG_SIZE", "1"))
    return {"sum": sum(shard), "count": len(shard), "who": f"{rank} of {size}"}


@task
def average(parts: list) -> float:
    return sum(part["sum"] for part in parts) / sum(part["count"] for part in parts)


@workflow
def gang(numbers: int = 100) -> float:
    return average(train.map([list(range(numbers))[i::2] for i in range(2)]))


if __name__ == "__main__":
    print(gang())
