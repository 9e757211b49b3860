"""The names of the roles on the bus, where whoever must stay small can have them without pydantic."""

PLANNER, SCHEDULER, RESOURCE_MANAGER = "planner", "scheduler", "resource_manager"
