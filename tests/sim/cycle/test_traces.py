"""Files of traces, read back by others' parsers, against the model's cycles and beats packed by hand."""

import itertools
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from vcdvcd import VCDVCD

from hwprune.accel.design import Stream
from hwprune.errors import UserError
from hwprune.models.architecture import IMAGE, Architecture, Conv
from hwprune.sim.cycle import traces as module
from hwprune.sim.cycle.model import CycleModel, Stalls
from hwprune.sim.cycle.trace_files import Trace, save_npz, save_parquet
from hwprune.sim.cycle.traces import Values, check_size, choose_streams, record_traces, write_traces
from hwprune.sim.cycle.vcd import save_vcd
from tests.nets import images, integer_network
from tests.sim.cycle.made_up import chain, padding, unit

DESIGN = chain(padding("p", 3, channels=4, simd=2), 2, unit("m", 25, 4, 2, simd=2))
FEW = settings(max_examples=15, deadline=None)


def stream(name, beats, bits):
    return Stream(name=name, role="inner", tensor=name, producer="a", consumer="b", datatype="BINARY",
                  normal_shape=(1, beats, bits), folded_shape=(1, beats, bits), bits=bits)  # fmt: skip


@st.composite
def traced(draw):
    """Two streams of random gaps between beats and random values; the second one perhaps without values."""
    made = []
    for name in "ab":
        frames, beats, octets = draw(st.integers(1, 3)), draw(st.integers(1, 5)), draw(st.integers(1, 20))
        gaps = draw(st.lists(st.integers(1, 3), min_size=frames * beats, max_size=frames * beats))
        rng = np.random.default_rng(draw(st.integers(0, 99)))
        values = rng.integers(0, 256, (frames, beats, octets), np.uint8)
        cycles = (np.cumsum(gaps) - 1).astype(np.int32).reshape(frames, beats)
        made.append(Trace(stream(name, beats, 8 * octets), cycles, values if draw(st.booleans()) else None))
    return made


@FEW
@given(traced())
def test_npz(tmp_path_factory, made):
    path = tmp_path_factory.mktemp("npz") / "traces.npz"
    save_npz(path, made)
    with np.load(path) as read:
        assert len(read.files) == sum(1 + (trace.values is not None) for trace in made)
        for trace in made:
            assert np.array_equal(read[f"{trace.stream.name}.cycles"], trace.cycles)
            if trace.values is not None:
                assert np.array_equal(read[f"{trace.stream.name}.values"], trace.values)


@FEW
@given(traced())
def test_parquet(tmp_path_factory, made):
    path = tmp_path_factory.mktemp("parquet") / "traces.parquet"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hwprune.sim.cycle.trace_files.ROWS", 4)  # several row groups
        save_parquet(path, made)
    rows = iter(pq.read_table(path).to_pylist())
    for trace in made:
        for frame, beat in np.ndindex(trace.cycles.shape):
            row = next(rows)
            assert (row["stream"], row["frame"], row["beat"]) == (trace.stream.name, frame, beat)
            assert row["cycle"] == trace.cycles[frame, beat]
            if trace.values is None:
                assert row["words"] is None
            else:
                value = sum(word << 64 * place for place, word in enumerate(row["words"]))
                assert value == int.from_bytes(trace.values[frame, beat].tobytes(), "little")
    assert next(rows, None) is None


@FEW
@given(traced(), st.sampled_from([100.0, 250.0, 300.0]))
def test_vcd(tmp_path_factory, made, clock_mhz):
    path = tmp_path_factory.mktemp("vcd") / "traces.vcd"
    save_vcd(path, "top", made, clock_mhz)
    read = VCDVCD(str(path))
    assert float(read.timescale["timescale"]) == 1e-12
    period = round(1e6 / clock_mhz)
    names = {re.sub(r"\[.*", "", name): name for name in read.references_to_ids}
    for trace in made:
        cycles = trace.cycles.reshape(-1).tolist()
        valid, ready = (read[names[f"top.{trace.stream.name}.{flag}"]] for flag in ("tvalid", "tready"))
        for cycle in range(cycles[-1] + 2):
            for time in (cycle * period, cycle * period + period - 1):
                assert valid[time] == ready[time] == str(int(cycle in cycles))
        if trace.values is None:
            assert f"top.{trace.stream.name}.tdata" not in names
            continue
        data = read[names[f"top.{trace.stream.name}.tdata"]]
        assert int(data.size) == trace.stream.bits
        for cycle, value in zip(cycles, trace.values.reshape(len(cycles), -1), strict=True):
            for time in (cycle * period, cycle * period + period - 1):
                assert int(data[time], 2) == int.from_bytes(value.tobytes(), "little")
        if cycles[0]:
            assert set(data[0]) == {"x"}


@pytest.mark.parametrize("stalls", [Stalls(), Stalls(50, 3)])
def test_records_what_the_model_says(stalls):
    model = CycleModel(DESIGN)
    run = model.run(6, stalls=stalls, record=["p", "fifo1"], progress=False)
    chosen = choose_streams(DESIGN, ["*"])
    assert [one.name for one in chosen] == ["in0_V", "p", "fifo1", "out0_V"]
    for trace in record_traces(model, chosen, 3, stalls=stalls):
        assert trace.cycles.shape == (3, trace.stream.beats) and trace.values is None
        assert np.array_equal(trace.cycles.reshape(-1), run.cycles[trace.stream.name][: 3 * trace.stream.beats])


def test_values_are_pixels_and_codes_packed_by_hand():
    layers = (
        Conv(name="conv1", inputs=(IMAGE,), out_channels=4, kernel=3, padding=1),
        Conv(name="head", inputs=("conv1",), out_channels=2, kernel=1, norm=False, activation="linear"),
    )
    table = Architecture(name="two", layers=layers, heads=("head",))
    network = integer_network(table, (6, 5), 6)
    torch.manual_seed(1)
    pixels = images(table, (6, 5), 2)
    whole = {"producer": None, "consumer": None, "normal_shape": (1, 6, 5, 4)}
    port = Stream(
        name="in0_V", role="input", tensor="x", datatype="UINT8", folded_shape=(1, 6, 5, 1, 3), bits=24, **whole
    )
    inner = Stream(name="s", role="inner", tensor="t", datatype="UINT4", folded_shape=(1, 6, 5, 2, 2), bits=8, **whole)
    found = Values(network, {"t": "conv1"}, pixels.numpy()).of([port, inner])
    assert np.array_equal(found["in0_V"].reshape(2, 6, 5, 3), pixels.permute(0, 2, 3, 1))
    with torch.no_grad():
        codes = network.forward_all(pixels.float())["conv1"].permute(0, 2, 3, 1).long().reshape(2, 60, 2)
    assert len(codes.unique()) == 5 and codes.max() <= 15 and codes.min() >= 0
    assert np.array_equal(found["s"][:, :, 0], codes[..., 0] + 16 * codes[..., 1])
    with pytest.raises(UserError, match="3 frames need as many images, not 2"):
        record_traces(CycleModel(DESIGN), [port], 3, values=Values(network, {}, pixels.numpy()))


def test_writes_all_formats(tmp_path):
    paths = write_traces(tmp_path / "new", CycleModel(DESIGN), ["p", "out*"], 2, module.FORMATS, clock_mhz=200)
    assert [path.name for path in paths] == ["traces.npz", "traces.parquet", "traces.vcd"]
    cycles = CycleModel(DESIGN).run(4, record=["p"], progress=False).cycles
    with np.load(paths[0]) as read:
        assert sorted(read.files) == ["out0_V.cycles", "p.cycles"]
        assert np.array_equal(read["p.cycles"].reshape(-1), cycles["p"][:100])
    table = pq.read_table(paths[1]).to_pandas()
    for name in ("p", "out0_V"):
        rows = table[table["stream"] == name]
        assert np.array_equal(rows["cycle"], cycles[name][: len(rows)]) and len(rows) == 100
    changes = VCDVCD(str(paths[2]))["top.p.tvalid"].tv
    high = set()
    for (time, flag), (end, _) in itertools.pairwise(changes):
        high |= set(range(time // 5000, end // 5000)) if flag == "1" else set()
    assert high == set(cycles["p"][:100].tolist())


def test_a_request_over_the_limit_is_refused_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(CycleModel, "run", lambda *_, **__: pytest.fail("it ran"))
    with pytest.raises(
        UserError,
        match=r"3000 frames of 4 streams .* \d+ MiB of memory as vcd, and 1 MiB .*\(the largest: p, .*traces.max_mib",
    ):
        write_traces(tmp_path, CycleModel(DESIGN), ["*"], 3000, ["vcd"], limit=module.MIB)
    assert not list(tmp_path.iterdir())


@FEW
@given(traced())
def test_files_are_no_larger_than_estimated(tmp_path_factory, made):
    folder, frames = tmp_path_factory.mktemp("sizes"), max(len(trace.cycles) for trace in made)
    made = [Trace(t.stream, np.resize(t.cycles, (frames, t.stream.beats)), t.values) for t in made]
    made = [Trace(t.stream, np.sort(t.cycles.reshape(-1)).reshape(t.cycles.shape), None) for t in made]
    save_npz(folder / "npz", made)
    save_vcd(folder / "vcd", "top", made)
    for name in ("npz", "vcd"):
        _, disk = check_size([trace.stream for trace in made], frames, [name], values=False)
        assert (folder / name).stat().st_size <= disk + 2000  # the heads


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"streams": ["conv_*"]}, r"no stream 'conv_\*'; its 4 streams \(in0_V, .*\) stand in .*design.json$"),
        ({"streams": ["p", "fifo"]}, "no stream 'fifo'; did you mean fifo1[?] its 4 streams"),
        ({"formats": ["fst"]}, "no format 'fst'; there are npz, parquet, vcd"),
        ({"frames": 0}, "0 frames"),
    ],
)
def test_what_cannot_be(tmp_path, arguments, message):
    request = {"streams": ["p"], "frames": 1, "formats": ["npz"]} | arguments
    with pytest.raises(UserError, match=message):
        write_traces(tmp_path, CycleModel(DESIGN), **request)
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"parquet needs a package .*hwprune\[accel\]"):
        write_traces(tmp_path, CycleModel(DESIGN), ["p"], 1, ["parquet"])


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(np, "savez", lambda *_, **__: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_npz(Path(tmp_path) / "traces.npz", [])
    assert not list(tmp_path.iterdir())
