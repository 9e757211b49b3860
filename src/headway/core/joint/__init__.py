"""Who runs where and when, decided together: the problem as data, lists, search, and the port of heavier
solvers.

problem   what is asked: jobs, places, precedence, objective, the utilisation floor
plan      an answer as data, its measures, and the check that it keeps every constraint
serial    the schedule a job list stands for, and its justification
bounds    what no plan can beat
listing   lists by priority rules
search    lists by local search
reasons   why a plan starts a job when it does
port      how any solver is asked, and what it must answer
codec     problems and answers as JSON, for a solver in another process
horizon   from the engine's state to a problem, and from an answer to a plan of its tasks
record    that plan as the engine follows it and the journal keeps it
pools     tasks and pool changes in one plan
"""
