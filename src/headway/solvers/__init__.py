"""Heavier solvers behind the port of `core.joint`, one a file; each is an extra and imported only when asked.
"""
