"""The process that carries the agents' graphs: it hears digests, lets a graph deliberate, and proposes."""
