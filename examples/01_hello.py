"""01 Hello: two tasks and the graph between them. Next: 02_resources.py.

Calling a workflow runs it right here, like any function. `headway run examples/01_hello.py` runs the same
graph through the scheduler, and `headway graph examples/01_hello.py` shows it.
"""

from headway import task, workflow


@task
def greet(name: str) -> str:
    return f"Hello, {name}!"


@task
def count_letters(text: str) -> int:
    return sum(letter.isalpha() for letter in text)


@workflow
def hello(name: str = "world") -> dict:
    greeting = greet(name)
    return {"greeting": greeting, "letters": count_letters(greeting)}


if __name__ == "__main__":
    print(hello())
