"""Who runs where and when, decided together: the problem as data, list scheduling, search, and the port heavier solvers stand behind.

    problem   what is asked: jobs, places, precedence, objective, the utilisation floor
    plan      an answer as data, its measures, and the check that it keeps every constraint
    bounds    what no plan can beat
    serial    the schedule a job list stands for, and its justification
    listing   lists by priority rules
    search    lists by local search
    port      how any solver is asked, and what it must answer
"""
