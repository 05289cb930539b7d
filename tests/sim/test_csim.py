"""Whole networks at level csim, and what goes wrong there."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from qonnx.core.modelwrapper import ModelWrapper

from hwprune.accel.accelerator import GRAPH
from hwprune.accel.compile import Goal, compile_accelerator
from hwprune.accel.design import load_design
from hwprune.errors import UserError
from hwprune.models.architecture import IMAGE, Architecture, Concat, Conv, MaxPool, Upsample
from hwprune.quant.export import export_qonnx
from hwprune.sam.settings import Sam
from hwprune.sim import csim_build
from hwprune.sim.csim import check_csim
from hwprune.sim.csim_build import Channel, Kernel, ap_types_dir, build_program
from tests.nets import architectures, images, integer_network

PART = "xc7z020clg400-1"
SIZE = (16, 24)


def all_neurons() -> Architecture:
    """A fork whose branches meet again, two heads, multiply-accumulate and every form of SAM."""
    signed, whole = Sam(form="signed", group=2, shift=1), Sam(form="maxmin", group=0)
    return Architecture(
        name="all_neurons",
        layers=(
            Conv(name="conv1", inputs=(IMAGE,), out_channels=4, kernel=3, padding=1),
            MaxPool(name="pool1", inputs=("conv1",)),
            Conv(
                name="conv2",
                inputs=("pool1",),
                out_channels=4,
                kernel=3,
                padding=1,
                sam=Sam(form="difference", group=2, shift=-1),
            ),
            MaxPool(name="pool2", inputs=("conv1",), stride=1, pad=(0, 1, 0, 1)),
            Upsample(name="upsample", inputs=("conv2",)),
            Concat(name="route", inputs=("upsample", "pool2")),
            Conv(name="conv3", inputs=("route",), out_channels=6, kernel=1, sam=signed),
            Conv(name="head1", inputs=("conv2",), out_channels=3, kernel=1, norm=False, activation="linear"),
            Conv(name="conv4", inputs=("conv3",), out_channels=4, kernel=3, stride=2, padding=1, sam=whole),
            Conv(name="head2", inputs=("conv4",), out_channels=2, kernel=1, norm=False, activation="linear"),
        ),
        heads=("head1", "head2"),
    )


def compiled(table, size, seed, folder, **goal):
    network = integer_network(table, size, seed)
    graph = export_qonnx(network, size, folder / "net.onnx")
    goal = Goal(PART, clock_mhz=100, **{"target_fps": 20_000, **goal})
    return network, compile_accelerator(graph, folder / "compile", goal)


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """Network, accelerator, and a folder in which its C++ has been compiled."""
    folder = tmp_path_factory.mktemp("all_neurons")
    network, accelerator = compiled(all_neurons(), SIZE, 3, folder)
    check_csim(accelerator, network, frames(1), folder / "csim", jobs=1)
    return network, accelerator, folder / "csim"


def frames(count: int) -> np.ndarray:
    torch.manual_seed(5)
    return images(all_neurons(), SIZE, count).numpy()


def objects(folder):
    return {path.name: path.stat().st_mtime_ns for path in (folder / "objects").iterdir()}


def test_every_stream_agrees(net):
    network, accelerator, folder = net
    before = objects(folder)
    result = check_csim(accelerator, network, frames(2), folder, jobs=1)
    design = accelerator.design
    assert result.mismatches == 0 and not result.differences
    assert result.streams == len(design.inner) + 2
    assert result.beats == 2 * sum(stream.beats for stream in (*design.inner, *design.outputs))
    assert result.as_json()["levels"] == ["network", "csim"] and result.cycles_per_frame is None
    assert {row["op"] for row in accelerator.operators} >= {"SAMVAU", "MVAU"}
    assert objects(folder) == before  # nothing is compiled twice


@pytest.mark.parametrize(
    ("layer", "tensor", "right"),
    [
        ("conv1_mvau", "conv1_weights", {"image_fifo", "conv1_pad", "conv1_window"}),
        ("conv2_samvau", "conv2_n", {"conv1_mvau", "conv1_thresholds", "pool1_pool", "pool2_pool"}),
    ],
)
def test_a_broken_weight_is_found_where_it_is(net, layer, tensor, right, tmp_path):
    network, accelerator, folder = net
    broken, csim = tmp_path / "compile", tmp_path / "csim"
    shutil.copytree(accelerator.design.folder, broken)
    shutil.copytree(folder, csim)
    model = ModelWrapper(str(broken / GRAPH))
    codes = model.get_initializer(tensor).copy()
    codes[np.unravel_index(codes.argmax(), codes.shape)] = 0
    model.set_initializer(tensor, codes)
    model.save(str(broken / GRAPH))
    before = objects(csim)
    result = check_csim(dataclasses.replace(accelerator, design=load_design(broken)), network, frames(2), csim, jobs=1)
    assert len(objects(csim).keys() - before.keys()) == 1  # one operator is compiled anew
    assert result.mismatches > 0
    found = result.differences[0]
    assert found.operator == layer and found.expected != found.found and found.cycle is None
    assert str(found).startswith(f"operator '{layer}', stream '{found.stream}', frame {found.frame}, beat ")
    assert ", csim " in str(found) and "stalls" not in str(found)
    wrong = {row.operator for row in result.rows if row.mismatches}
    assert right < {row.operator for row in result.rows} and not wrong & right


@settings(
    max_examples=1,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(net=architectures(neurons="mixed"), seed=st.integers(0, 2**16))
def test_random_networks_agree(net, seed, tmp_path_factory):
    table, size = net
    folder = tmp_path_factory.mktemp("random")
    network, accelerator = compiled(table, size, seed, folder, target_fps=5_000)
    torch.manual_seed(seed)
    result = check_csim(accelerator, network, images(table, size, 2).numpy(), folder / "csim", jobs=1)
    assert result.mismatches == 0, result.differences[0]


def test_a_damaged_graph_is_named(net, tmp_path):
    network, accelerator, folder = net
    shutil.copytree(accelerator.design.folder, tmp_path / "compile")
    for content in (b"no graph", None):
        path = tmp_path / "compile" / GRAPH
        path.unlink()
        if content:
            path.write_bytes(content)
        design = load_design(tmp_path / "compile")
        with pytest.raises(UserError, match=rf"{GRAPH}: cannot be read .*; run the stage compile again"):
            check_csim(dataclasses.replace(accelerator, design=design), network, frames(1), folder, jobs=1)


def kernel(name, body, beats=4):
    """An operator of one input and one output, both of 5 bits and ``beats`` beats."""
    text = f"#include <ap_int.h>\n#include <hls_stream.h>\nvoid {name}(hls::stream<ap_uint<5> >& in, "
    text += f"hls::stream<ap_uint<5> >& out) {{ {body} }}\n"
    ends = Channel(f"{name}_in", 5, beats), Channel(f"{name}_out", 5, beats)
    return Kernel(name, {f"top_{name}.cpp": text}, 5, *((end,) for end in ends))


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A program whose operator does as the first beat of a frame says: reads and writes beats in excess of 4."""
    body = """
    const int excess[][2] = {{0, 0}, {1, 0}, {-1, 0}, {0, -1}, {0, 1}};
    const ap_uint<5> first = in.read();
    out.write(first);
    for (int i = 1; i < 4 + excess[first][0]; ++i) in.read();
    for (int i = 1; i < 4 + excess[first][1]; ++i) out.write(20 + i);
    """
    return build_program([kernel("told", body)], tmp_path_factory.mktemp("told"), jobs=1)


def say(*firsts):
    beats = np.zeros((4 * len(firsts), 1), np.uint8)
    beats[::4, 0] = firsts
    return {"told_in": beats}


def test_an_operator_that_reads_too_much_or_too_little_is_named(told):
    with pytest.raises(UserError, match=r"csim: the HLS C\+\+ broke off .*told_in.*is read while empty"):
        told.run(say(0, 1), 2)
    with pytest.raises(UserError, match=r"broke off \(exit status 2\): harness: told leaves 1 beats of a frame unread"):
        told.run(say(0, 2), 2)


def test_missing_and_surplus_beats_come_back_as_they_are(told):
    whole = [0, 21, 22, 23]
    for first, frame in ((0, whole), (3, [3, 21, 22]), (4, [4, 21, 22, 23, 24])):
        assert told.run(say(0, first, 0), 3)["told_out"].ravel().tolist() == whole + frame + (
            whole if not first else []
        )


def test_beats_that_do_not_fit_are_refused(told):
    beats = say(0, 0)["told_in"]
    for wrong, found in ((beats[:7], r"uint8 \(7, 1\)"), (beats.astype(int), r"int64 \(8, 1\)")):
        with pytest.raises(UserError, match=rf"beats for 'told_in': {found}, must be uint8 \(8, 1\)"):
            told.run({"told_in": wrong}, 2)
    with pytest.raises(UserError, match="beats for 'told_in': none"):
        told.run({}, 2)


def test_wrong_code_is_named_and_leaves_nothing_behind(tmp_path):
    with pytest.raises(UserError, match=r"top_wrong.cpp: the HLS C\+\+ does not compile:\n.*nonsense"):
        build_program([kernel("wrong", "nonsense")], tmp_path, jobs=1)
    assert not (tmp_path / csim_build.EXECUTABLE).exists()
    assert not list(tmp_path.glob(".*"))
    with pytest.raises(UserError, match="wait for each other: a, b"):
        a, b = kernel("a", ""), kernel("b", "")
        csim_build._ordered([dataclasses.replace(a, inputs=b.outputs), dataclasses.replace(b, inputs=a.outputs)])


def test_missing_tools_are_named(tmp_path, monkeypatch):
    assert (ap_types_dir() / "ap_int.h").is_file()
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        with pytest.raises(UserError, match=r"needs g\+\+; install it with: sudo apt install g\+\+"):
            build_program([kernel("any", "")], tmp_path / "no_compiler", jobs=1)
    with monkeypatch.context() as patch:
        patch.setattr(csim_build, "AP_TYPES_PACKAGE", "no_such_package")
        with pytest.raises(UserError, match=r"no_such_package, .* is not installed; .* pip install 'hwprune\[accel\]'"):
            ap_types_dir()
        patch.setattr(csim_build, "AP_TYPES_PACKAGE", "numpy")
        with pytest.raises(UserError, match=r"numpy/templates/vivado/ap_types/ap_int.h: the header is not there"):
            ap_types_dir()
