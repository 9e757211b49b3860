"""09 Branches: a result decides what runs, and something runs whatever happened. Next: 10_promises.py."""

from headway import task, when, workflow


@task
def measure(model: str) -> dict:
    return {"model": model, "good": len(model) > 5}


@task
def deploy(model: str) -> str:
    return f"deployed {model}"


@task(rule="all_done")
def clean_up(model: str) -> str:
    return f"scratch files of {model} are gone"


@workflow
def branches(model: str = "resnet50") -> list:
    good = measure(model)["good"]
    return [when(good, lambda: deploy(model)), clean_up.after(good)(model)]


if __name__ == "__main__":
    print(branches())
