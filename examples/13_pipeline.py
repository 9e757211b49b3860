"""13 A pipeline: a list whose length only the run knows; each item flows on alone. Next: 14_tests.py."""

from headway import task, workflow


@task
def find(kind: str) -> list:
    return [f"{kind}-{number}" for number in range(len(kind))]


@task
def read(name: str) -> str:
    return name.upper() + "  "


@task
def clean(text: str) -> str:
    return text.strip()


@workflow
def pipeline(kind: str = "doc") -> list:
    return clean.map(read.map(find(kind)))


if __name__ == "__main__":
    print(pipeline())
