"""Where it goes: what nodes have free, which of them a shape fits, and which is best."""
