"""06 Variants: one task, several ways to run it. Next: 07_gang.py.

The scheduler takes the way that should be complete first: on a machine without a GPU that is the second. With GPUs
it may still be, when they are all taken for longer than the difference.
"""

from headway import task, variant, workflow


@task(variants=[{"gpu": 1, "estimate": "1s"}, {"cpu": 1, "estimate": "3s"}])
def embed(words: list) -> list:
    device = ("cuda", "cpu")[variant()]  # which of the two this attempt runs as; 0 where it is called plainly
    del device  # a real model would be moved there
    return [[len(word), word.count("a")] for word in words]


@workflow
def variants(text: str = "a scheduler that can be asked") -> list:
    return embed(text.split())


if __name__ == "__main__":
    print(variants())
