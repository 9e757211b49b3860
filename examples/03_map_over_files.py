"""03 Map: one task for each item, known only once the workflow runs. Next: 04_commands.py.

Items run side by side, as many at once as the nodes hold.
"""

from pathlib import Path

from headway import task, workflow


@task
def find(folder: str, pattern: str) -> list:
    return sorted(str(path) for path in Path(folder).glob(pattern))


@task(cpu=0.5)
def longest(path: str, at_least: int) -> tuple:
    words = {word for word in Path(path).read_text().split() if word.isalpha() and len(word) >= at_least}
    return Path(path).name, max(words, key=lambda word: (len(word), word), default="")


@workflow
def map_over_files(folder: str = str(Path(__file__).parent), pattern: str = "*.py") -> list:
    return longest.map(find(folder, pattern), at_least=5)  # positional: one each; keyword: for all


if __name__ == "__main__":
    print(*map_over_files(), sep="\n")
