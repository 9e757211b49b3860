"""10 Promises: what is tried again, until when it should be done, what it costs. Next: 11_by_the_clock.py.

Only a lost connection is worth another try here, with pauses that double; any other error ends the task at once.
"""

from headway import Retry, task, workflow


@task(retry=Retry(5, on=ConnectionError, delay="10s"), cost=0.5, estimate="2s")
def fetch(source: str) -> int:
    if not source.startswith("https://"):
        raise ValueError(f"{source} is no address")  # not tried again
    return len(source)


@workflow(deadline="2h")
def promises(sources: list = ("https://one.example", "https://another.example")) -> list:
    return fetch.map(list(sources))


if __name__ == "__main__":
    print(promises())
