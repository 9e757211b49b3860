"""12 On an event: a file that appears, a request, a message; the same event is taken once. Next: 13_pipeline.py.

headway schedule ingest 12_on_an_event.py --file "/data/in/*.csv" --overlap queue
headway schedule ask 12_on_an_event.py --http
headway event ask '{"path": "new.csv", "size": 7}' --key new.csv
"""

from headway import task, workflow


@task
def look(event: dict) -> str:
    return f"{event['path']} has {event['size']} bytes"


@workflow
def ingest(event: dict = {"path": "example.csv", "size": 42}) -> str:
    return look(event)


if __name__ == "__main__":
    print(ingest())
