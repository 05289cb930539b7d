"""SAM units of many shapes as FINN nodes with weights, and what they compute by the formula, in NumPy alone."""

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.util.basic import qonnx_make_model

from tests.accel.operators.bench import pack

VECTORS = 5


@dataclass(frozen=True)
class SamCase:
    """A unit ``op``, the only node of ``model``, with its weights (MW, MH) and signs (MW / group, MH)."""

    name: str
    op: object
    model: ModelWrapper
    p: np.ndarray
    n: np.ndarray | None
    sign: np.ndarray | None

    def inputs(self, rng: np.random.Generator, frames: int = 1) -> np.ndarray:
        """Integers (frames * vectors, MW) over the whole range of their type, the ends more often."""
        datatype = self.op.get_input_datatype()
        low, high = int(datatype.min()), int(datatype.max())
        shape = (frames * self.op.get_nodeattr("numInputVectors")[-1], self.op.get_nodeattr("MW"))
        values = rng.integers(low, high, shape, endpoint=True)
        return np.where(rng.random(shape) < 0.3, rng.choice([low, high], shape), values)

    def golden(self, x: np.ndarray) -> np.ndarray:
        """Sums (vectors, MH): the formula, one group and one output after the other."""
        get = self.op.get_nodeattr
        group, form, shift = get("group"), get("form"), get("shift")
        x = x * 2 ** max(0, -shift)
        p, n = (None if w is None else w * 2 ** max(0, shift) for w in (self.p, self.n))
        least = 0 if get("floor") else np.iinfo(np.int64).min
        sums = np.zeros((len(x), get("MH")), np.int64)
        for j in range(get("MH")):
            for g in range(get("MW") // group):
                part = slice(g * group, (g + 1) * group)
                term = (x[:, part] - p[part, j]).max(1, initial=least)
                if form == "maxmin":
                    term = term + (x[:, part] + n[part, j]).min(1)
                if form == "difference":
                    term = term - (x[:, part] - n[part, j]).max(1, initial=least)
                sums[:, j] += term if self.sign is None else self.sign[g, j] * term
        return sums

    def beats_in(self, x: np.ndarray) -> np.ndarray:
        return pack(x.reshape(-1, self.op.get_nodeattr("SIMD")), self.op.get_input_datatype().bitwidth())

    def beats_out(self, sums: np.ndarray) -> np.ndarray:
        return pack(sums.reshape(-1, self.op.get_nodeattr("PE")), self.op.get_output_datatype().bitwidth())


def distance_codes(rng: np.random.Generator, mw: int, mh: int, group: int, bits: int, floor: bool) -> np.ndarray:
    """Random distances (mw, mh) of which each group has at least one zero, unless it has a floor."""
    codes = rng.integers(0, 2**bits, (mh, mw // group, group))
    codes[rng.random(codes.shape) < 0.2] = 0
    if not floor:
        np.put_along_axis(codes, rng.integers(0, group, codes.shape[:2])[..., None], 0, axis=2)
    return codes.reshape(mh, mw).T


def make(name: str, rng: np.random.Generator, *, mw, mh, simd, pe, group, form="difference", x="UINT4", bits=4, shift=0,
         floor=0, signs=None, minimize=True, vectors=VECTORS, **attributes) -> SamCase:  # fmt: skip
    """A unit with random weights; ``signs`` for the form maxmin; types as the weights need them, if ``minimize``."""
    p = distance_codes(rng, mw, mh, group, bits, floor)
    n = None if form == "signed" else distance_codes(rng, mw, mh, group, bits, floor)
    has_sign = form == "signed" if signs is None else signs
    sign = rng.choice([-1, 1], (mw // group, mh)) if has_sign else None
    weights = {"p": p, "n": n, "sign": sign}
    weights = {key: value for key, value in weights.items() if value is not None}
    node = helper.make_node(
        "SAMVAU_rtl", ["x", *weights], ["y"], name=name, domain="finn.custom_op.fpgadataflow.rtl",
        backend="fpgadataflow", MW=mw, MH=mh, SIMD=simd, PE=pe, form=form, group=group, shift=shift, floor=floor,
        inputDataType=x, weightDataType=f"UINT{bits}", outputDataType="INT24", numInputVectors=[1, vectors],
        **attributes,
    )  # fmt: skip
    ends = [helper.make_tensor_value_info(t, TensorProto.FLOAT, [1, vectors, c]) for t, c in (("x", mw), ("y", mh))]
    model = ModelWrapper(qonnx_make_model(helper.make_graph([node], name, ends[:1], ends[1:])))
    model.set_tensor_datatype("x", DataType[x])
    for key, value in weights.items():
        model.set_initializer(key, value.astype(np.float32))
        model.set_tensor_datatype(key, DataType["BIPOLAR" if key == "sign" else f"UINT{bits}"])
    op = getCustomOp(model.graph.node[0])
    if minimize:
        op.minimize_weight_bit_width(model)
        op.minimize_accumulator_width(model)
    return SamCase(name, op, model, p, n, sign)


FIXED = [
    # A sum in every cycle: one beat a vector, all outputs at once; and one beat a vector that is replayed.
    dict(mw=8, mh=3, simd=8, pe=3, group=4),
    dict(mw=8, mh=6, simd=8, pe=2, group=2, form="maxmin"),
    dict(mw=4, mh=2, simd=4, pe=1, group=4, form="signed"),
    # A vector of two beats in a ring of two words; of three beats in a ring of four.
    dict(mw=8, mh=4, simd=4, pe=1, group=4, form="maxmin", signs=True),
    dict(mw=12, mh=4, simd=4, pe=2, group=2, form="signed", x="INT4"),
    # Groups over several beats, the whole window as one group; one input a beat.
    dict(mw=12, mh=2, simd=2, pe=1, group=12, form="maxmin", x="INT3"),
    dict(mw=8, mh=2, simd=1, pe=2, group=4, x="UINT8", bits=5, shift=1),
    dict(mw=6, mh=1, simd=1, pe=1, group=3, form="signed", x="INT5", shift=-2),
    # Groups of one, where they have a meaning.
    dict(mw=3, mh=2, simd=1, pe=1, group=1, form="signed"),
    dict(mw=6, mh=2, simd=3, pe=2, group=1, form="maxmin", x="INT2", signs=True, shift=-1),
    # A ROM in block RAM; types that are wider than needed; one bit.
    dict(mw=16, mh=8, simd=4, pe=2, group=4, ram_style="block", signs=True, form="maxmin"),
    dict(mw=8, mh=2, simd=2, pe=1, group=4, x="INT8", bits=8, shift=-3, minimize=False),
    dict(mw=4, mh=2, simd=4, pe=2, group=2, x="UINT1", bits=1),
    dict(mw=36, mh=4, simd=36, pe=1, group=4, shift=3, bits=2),
    # With a floor; groups of one have a meaning then.
    dict(mw=8, mh=3, simd=4, pe=1, group=4, floor=1),
    dict(mw=6, mh=2, simd=3, pe=1, group=1, floor=1, shift=-1),
    dict(mw=12, mh=2, simd=2, pe=2, group=6, form="signed", floor=1),
]


def random_settings(rng: np.random.Generator) -> dict:
    """Any shape, fold, form and type that hardware takes."""
    form = str(rng.choice(["maxmin", "difference", "signed"]))
    group, mw = int(rng.choice([2, 3, 4, 6, 8])), 0
    mw = group * int(rng.integers(1, 7))
    mh = int(rng.integers(1, 9))
    simd = int(rng.choice([d for d in range(1, mw + 1) if mw % d == 0 and (d % group == 0 or group % d == 0)]))
    pe = int(rng.choice([d for d in range(1, mh + 1) if mh % d == 0]))
    floor = form != "maxmin" and rng.random() < 0.3
    return dict(
        mw=mw, mh=mh, simd=simd, pe=pe, group=group, form=form, floor=int(floor),
        x=f"{'UINT' if floor else rng.choice(['INT', 'UINT'])}{rng.integers(2, 9)}", bits=int(rng.integers(1, 7)),
        shift=int(rng.integers(-3, 4)), signs=form == "signed" or (form == "maxmin" and bool(rng.integers(2))),
        ram_style=str(rng.choice(["auto", "block", "distributed"])), minimize=bool(rng.random() < 0.8),
    )  # fmt: skip


def sam_cases(count: int, seed: int = 0) -> list[SamCase]:
    """The fixed cases and random ones up to ``count``."""
    rng = np.random.default_rng([count, seed])
    settings = [*FIXED, *(random_settings(rng) for _ in range(count - len(FIXED)))]
    return [make(f"sam_{k}", rng, **setting) for k, setting in enumerate(settings)]
