"""Where tasks run, and only there: the executor of a node, its persistent workers, logs, checkpoints, and how
they are ended."""
