"""A run's graph: dependencies, map expansion, retries, look-ahead, ends. The planner's deterministic core."""

from headway.core.runs.planner import Offer, Plan, Runs, refuse_impossible

__all__ = ["Offer", "Plan", "Runs", "refuse_impossible"]
