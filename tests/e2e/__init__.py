"""The product as its users meet it: the real commands, broker, roles and workers, nothing replaced."""
