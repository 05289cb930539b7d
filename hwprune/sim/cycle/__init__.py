"""The level `cycle`: when every beat of every stream passes, without running the RTL.

Timing does not depend on data, so it is computed apart from the values (`hwprune.sim.golden` has those), and by beats
instead of cycles: each operator says when its next beat comes from when earlier beats came. That is exact, for the
operators' handshakes are such recurrences; see `hwprune.sim.cycle.machine`.
"""
