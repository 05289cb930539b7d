"""Random instances of each operator that the cycle model is compared with the RTL on, and FIFOs around them."""

from collections.abc import Sequence

import numpy as np

from tests.accel.operators.sam_cases import FIXED, make, random_settings
from tests.sim.instances import Instance, mvau, sam_instance


def depths(rng: np.random.Generator, instances: Sequence[Instance]) -> dict[str, int]:
    """For each node the depth of its FIFOs: mostly 2 to 40 beats, some in block RAM, and for a third of them none."""
    made = {}
    for one in instances:
        (node,) = one.model.graph.node
        kind = rng.random()
        if kind < 0.6:
            made[node.name] = int(rng.integers(2, 41))
        elif kind < 0.67:
            made[node.name] = int(rng.integers(301, 600))
    return made


# MVAU_rtl


def mvau_cases(rng: np.random.Generator, count: int) -> list[Instance]:
    """Any fold; a vector of one beat, one fold, and both, are among the random ones often enough."""
    return [mvau(rng, f"mvau_{k}", most_vectors=20) for k in range(count)]


# SAMVAU_rtl


def samvau_cases(rng: np.random.Generator, count: int) -> list[Instance]:
    """All forms and folds, groups within a beat and over several, ROMs in block RAM and not: chosen ones first."""
    settings = [*FIXED, *(random_settings(rng) for _ in range(count - len(FIXED)))][:count]
    made = [make(f"samvau_{k}", rng, vectors=int(rng.integers(1, 21)), **one) for k, one in enumerate(settings)]
    return [sam_instance(case, rng) for case in made]
