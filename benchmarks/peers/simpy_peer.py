"""SimPy's M/M/c: `simpy_peer.py '{"mmc": [8, 0.8, 1000, 1]}'` (servers, utilisation, jobs, seed) prints one JSON object.

One resource with so many places and one process a job, as SimPy's own documentation has it. The jobs are drawn before the clock
starts, and nothing but the response time is kept of one.
"""

import json
import random
import sys
import time

import simpy


def jobs(servers, utilisation, n, seed):
    """When each arrives and how long it takes, in whole microseconds; a mean job takes a second. As `bench_sim` draws them."""
    rng, now, found = random.Random(seed), 0.0, []
    for _ in range(n):
        now += rng.expovariate(servers * utilisation)
        found.append((round(now * 1e6), max(round(rng.expovariate(1.0) * 1e6), 1)))
    return found


def mmc(size):
    """Jobs per second of our time, and their mean response in seconds of the simulated."""
    servers, work = size[0], jobs(*size)
    responses = []

    def job(env, place, takes):
        arrived = env.now
        with place.request() as turn:
            yield turn
            yield env.timeout(takes)
        responses.append(env.now - arrived)

    def source(env, place):
        for arrives, takes in work:
            yield env.timeout(arrives - env.now)
            env.process(job(env, place, takes))

    started = time.perf_counter()
    env = simpy.Environment()
    env.process(source(env, simpy.Resource(env, servers)))
    env.run()
    spent = time.perf_counter() - started
    return {"jobs_per_s": len(work) / spent, "mean_response": sum(responses) / len(responses) / 1e6}


if __name__ == "__main__":
    figures = {}
    for workload, size in json.loads(sys.argv[1]).items():
        figures |= globals()[workload](size)
    print(json.dumps(figures))
