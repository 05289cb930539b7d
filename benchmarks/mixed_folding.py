"""One network on two purses: MAC layers on DSP slices and SAM layers on LUTs, against all layers MAC.

The network of `full_size.py` on xc7z020, folded as fast as 85 % of its LUTs, all DSP slices and all block RAMs allow.
SAM layers are added one by one, the most expensive first; the fastest design counts. Cycles and resources are estimates
(a matrix-vector unit's and a SAM unit's LUTs are fitted to synthesis), without FIFOs and width converters.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from common import conclude, say
from full_size import random_network
from networks import REFERENCE, reference
from qonnx.custom_op.registry import getCustomOp

from hwprune.accel import operators
from hwprune.accel.finn_env import prepare_finn
from hwprune.accel.folding import Budget, fold_to_budget, node_cycles, resources
from hwprune.accel.lower import lower
from hwprune.accel.names import transform_named
from hwprune.models.cost import cost_table
from hwprune.quant.export import export_qonnx
from hwprune.sam.settings import FORMS, Sam

PART, CLOCK_MHZ = "xc7z020clg400-1", 100
LIMITS = Budget(luts=int(0.85 * 53_200), dsps=220, brams=280)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--form", choices=FORMS, default="signed")
    parser.add_argument("--group", type=int, default=1)
    parser.add_argument("--no-floor", action="store_true")
    parser.add_argument(
        "--shift", type=int, default=2, help="2: three bits of code and a sign, as much as a MAC weight"
    )
    parser.add_argument("--layers", type=int, default=6, help="at most so many layers become SAM")
    options = parser.parse_args()
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers

    sam = Sam(form=options.form, group=options.group, floor=not options.no_floor, shift=options.shift)
    table = reference().table
    work = {row.layer: row.macs for row in cost_table(table, *reference().size)}
    # The first layer reads 8-bit pixels, and the heads have widths of no use for groups: they stay MAC.
    inner = [name for name in work if name not in (table.layers[0].name, *table.heads)]
    chosen = sorted(inner, key=work.get, reverse=True)[: options.layers]
    designs = []
    with TemporaryDirectory(prefix="mixed-folding-") as temporary:
        folder = Path(temporary)
        prepare_finn(folder)
        operators.register()
        for count in range(len(chosen) + 1):
            mixed = table.with_neurons(dict.fromkeys(chosen[:count], sam))
            graph = export_qonnx(random_network(mixed, reference().size), reference().size, folder / "network.onnx")
            model = transform_named(lower(graph)[0], SpecializeLayers(PART))
            for node in model.get_nodes_by_op_type("SAMVAU_rtl"):
                getCustomOp(node).minimize_weight_bit_width(model)
            cycles = fold_to_budget(model, LIMITS, PART)
            slowest = max(model.graph.node, key=node_cycles).name
            design = {"sam_layers": chosen[:count], "fps": round(CLOCK_MHZ * 1e6 / cycles, 1), "cycles": cycles,
                      "slowest": slowest, **resources(model, PART)}  # fmt: skip
            designs.append(design)
            names = ", ".join(chosen[:count]) or "none"
            say(f"SAM {names}: {design['fps']} fps, {design['lut']} LUT, {design['dsp']} DSP, {design['bram18']} BRAM; "
                f"the slowest is {slowest}")  # fmt: skip
    best = max(designs, key=lambda design: design["fps"])
    conclude(
        "mixed_folding",
        best["fps"],
        "fps",
        f"all MAC: {designs[0]['fps']} fps",
        best["fps"] / designs[0]["fps"],
        {
            "image": reference().size,
            "widths": REFERENCE,
            "max_luts": LIMITS.luts,
            "max_dsps": LIMITS.dsps,
            "max_bram18": LIMITS.brams,
            "sam": sam.model_dump(),
        },
        designs=designs,
    )


if __name__ == "__main__":
    main()
