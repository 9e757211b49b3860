"""04 Commands: programs of any language as tasks, beside Python functions. Next: 05_checkpoint.py.

Arguments are quoted for the shell; a list becomes several words. An exit code other than 0 fails the task.
"""

from headway import shell, task, workflow


@task
def split(text: str) -> list:
    return text.lower().split()


@task
def first_line(counted) -> str:
    count, word = counted.stdout.splitlines()[0].split()
    return f"{word}: {count} times"


@workflow
def commands(text: str = "the cat and the dog and the owl") -> str:
    counted = shell("printf '%s\\n' {words} | sort | uniq -c | sort -rn", words=split(text), cpu=0.5)
    return first_line(counted)


if __name__ == "__main__":
    print(commands())
