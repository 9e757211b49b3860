"""Why a task is where it is: data from the engine's own state and rules, and a text rendered from that data.

What blocks a task on a node is asked of the very function that placing asks, so an explanation cannot
contradict a decision. `task` begins; `waiting` says what keeps a queued task; `text` renders; `nodes` is for listings.
"""

from headway.core.explain.nodes import node_view
from headway.core.explain.plan import view as plan_view
from headway.core.explain.task import Explanation, why

__all__ = ["Explanation", "node_view", "plan_view", "why"]
