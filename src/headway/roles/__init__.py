"""The deterministic loops: planner, scheduler and resource manager. Each drains what came, decides once, commits once, publishes once."""
