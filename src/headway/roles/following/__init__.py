"""What is found out beside the scheduler and never in its way: a copy of it that folds its journal, and duties on that copy.

`follower` folds, `duties` says what a duty is, `predicting` and `past` are two, `asking` is how another process asks.
"""
