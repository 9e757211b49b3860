"""How people write workflows: `@task`, `@workflow`, `.map`, `shell`; traced into a `Workflow` before anything runs."""
