"""How people write workflows: `@task`, `@workflow`, `.map`, `shell`; traced before anything runs."""
