"""11 By the clock: each run gets the interval that has passed since the one before. Next: 12_on_an_event.py.

headway schedule nightly 11_by_the_clock.py --cron "30 5 * * mon-fri" --zone Europe/Berlin
headway backfill nightly --from 2026-11-01 --parallel 2
"""

from headway import task, workflow


@task
def load(start: str, end: str) -> int:
    return int(end[8:10]) - int(start[8:10])


@task
def report(days: int) -> str:
    return f"{days} day of data"


@workflow
def nightly(
    interval_start: str = "2026-11-23T05:30:00+01:00", interval_end: str = "2026-11-24T05:30:00+01:00"
) -> str:
    return report(load(interval_start, interval_end))


if __name__ == "__main__":
    print(nightly())
