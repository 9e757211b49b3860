"""HTTP API, event stream, identity, and the supervisor of `headway up`. Thin: it asks the roles through the
ports.
"""
