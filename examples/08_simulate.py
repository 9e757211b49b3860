"""08 Simulate: what would this take, under which policy? No task is run. Next: 09_branches.py.

The same from a terminal, for traces: `headway simulate jobs.csv --cluster nodes.toml --policy fcfs --policy srpt`.
"""

from headway import api, task, workflow


@task(estimate="10min", cpu=1)
def train(fold: int) -> float:
    return fold / 10


@task(estimate="5s")
def best(scores: list) -> float:
    return max(scores)


@workflow
def simulated(folds: int = 8) -> float:
    return best(train.map(list(range(folds))))


if __name__ == "__main__":
    found = api.simulate(simulated, policies=["fcfs", "critical_path"], durations={"train": "30min"})
    for one in found.metrics:
        print(f"{one.policy}: done after {one.makespan / 60:.0f} minutes")
