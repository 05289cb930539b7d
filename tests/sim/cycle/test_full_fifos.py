"""FIFOs of all styles, filled to the last beat, against the RTL: only then does it show when they have room again."""

import numpy as np

from hwprune.sim.cycle.model import CycleModel, Stalls
from hwprune.sim.cycle.occupancy import peak
from tests.accel.operators.cases import operator
from tests.sim.cycle_bench import build_bench
from tests.sim.instances import FRAMES, Instance, instance, integers

DEPTHS = (2, 6, 20, 33, 40, 65, 130, 250, 301, 513, 520, 580)
"""Shift registers, LUT-RAM, block RAM of one and of two address spaces; `build_bench` makes block RAM above 300."""


def slow_units(rng: np.random.Generator) -> tuple[list[Instance], dict[str, int]]:
    """Units that take a beat in four to six cycles, many more than their FIFO holds; and the depths of the FIFOs."""
    made = []
    for k, depth in enumerate(DEPTHS):
        vectors, folds = int(1.3 * depth) + 200, int(rng.integers(4, 7))
        node = operator("MVAU_rtl", inputs=2, name=f"slow_{k}", MW=1, MH=folds, SIMD=1, PE=1, inputDataType="INT4",
                        weightDataType="INT4", outputDataType="INT22", accDataType="INT22", noActivation=1,
                        numInputVectors=[1, vectors, 1]).onnx_node  # fmt: skip
        seen, weights = integers(rng, "INT4", (FRAMES * vectors, 1)), integers(rng, "INT4", (1, folds))
        made.append(instance(node, [seen], [seen @ weights], {"i1": weights}))
    return made, {f"slow_{k}": depth for k, depth in enumerate(DEPTHS)}


def test_every_beat_in_the_rtls_cycle(tmp_path):
    instances, depths = slow_units(np.random.default_rng(1))
    bench = build_bench(instances, tmp_path, depths)
    model = CycleModel(bench.design)
    room = {queue.source: queue.storage.capacity for queue in model.queues}
    for stalls in (Stalls(), Stalls(10, 1), Stalls(50, 2)):
        beats, differences = bench.check(stalls)
        assert beats > 50_000 and not differences, "\n".join(map(str, differences))
        run = model.run(FRAMES, stalls=stalls, record=[end for f in bench.design.fifos for end in (f.source, f.sink)])
        for fifo in bench.design.fifos:
            if model.streams[fifo.source].role == "input":
                assert peak(run.cycles[fifo.source], run.cycles[fifo.sink]) > room[fifo.source], fifo
