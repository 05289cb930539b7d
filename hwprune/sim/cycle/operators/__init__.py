"""When each operator takes and gives its beats: a file an operator, its contract beside its kernel.

A module here has ``timing(operator, streams)``, which turns an operator of the design into a `Timing`, and ``advance(m,
i)``, its kernel (`hwprune.sim.cycle.machine`).
"""
