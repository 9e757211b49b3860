"""The production engine under a virtual clock: traces in, metrics, pictures and reports out."""
