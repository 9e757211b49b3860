"""The life of an override that an agent proposes: what it may ask for, and the checks that it must pass."""
