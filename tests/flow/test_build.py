"""The stages build and deploy, behind a small network that is really compiled."""

import ast
import hashlib
import importlib
import io
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from rich.console import Console

from hwprune.accel.accelerator import Accelerator
from hwprune.board import driver
from hwprune.board.package import write_package
from hwprune.errors import UserError
from hwprune.flow.run_folder import RunFolder
from hwprune.flow.runner import Runner
from hwprune.flow.stage import Outcome, Stage, StageContext
from hwprune.flow.stages import build, compile, deploy
from hwprune.flow.stages.export import GRAPH
from hwprune.models.architecture import IMAGE, Architecture, Conv
from hwprune.quant.export import export_qonnx
from hwprune.quant.store import load_integer, save_integer
from hwprune.recipe import Recipe, with_build
from hwprune.sim.streams import unpack
from tests.board.test_vivado import needs_tcl, samples, stand_in_for_vivado
from tests.nets import integer_network

SIZE = (64, 64)


def recipe(**sections) -> Recipe:
    data = {"source": "digits", "image_size": list(SIZE), "train": 4, "val": 3}
    sections.setdefault("compile", {"board": "pynq-z2", "target_fps": 100, "fifo_depth": 32})
    sections.setdefault("build", {})
    return Recipe.model_validate({"name": "small", "data": data, **sections})


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Folders of the stages that build and deploy read."""
    root = tmp_path_factory.mktemp("compiled")
    layers = (
        Conv(name="conv1", inputs=(IMAGE,), out_channels=4, kernel=3, stride=2, padding=1),
        Conv(name="head", inputs=("conv1",), out_channels=2, kernel=1, norm=False, activation="linear"),
    )
    network = integer_network(Architecture(name="two", layers=layers, heads=("head",)), SIZE, 1)
    for name in ("quantize", "export", "compile"):
        (root / name).mkdir()
    save_integer(root / "quantize", network)
    export_qonnx(network, SIZE, root / "export" / GRAPH)
    compile.run(StageContext(recipe(), root / "compile", {"export": root / "export"}))
    return root


@pytest.fixture(autouse=True)
def tools(tmp_path, monkeypatch):
    """The only folder on PATH: no Vivado, unless a test puts one there."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def passed_on(name: str, compiled) -> Stage:
    """A stage that hands on what the fixture made."""

    def run(context: StageContext) -> Outcome:
        made = []
        for path in sorted((compiled / name).rglob("*")) if (compiled / name).is_dir() else []:
            if path.is_file():
                target = context.folder / path.relative_to(compiled / name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
                made.append(target)
        return Outcome(tuple(made), {"clock_mhz": 100.0})

    return Stage(name, name, "", (), ("data",), run)


def run(compiled, root, last=None, **sections) -> str:
    said = io.StringIO()
    stages = (*(passed_on(name, compiled) for name in ("quantize", "compile", "simulate")), build.STAGE, deploy.STAGE)
    Runner(recipe(**sections), RunFolder(root), stages, Console(file=said, width=300)).run(last)
    return said.getvalue()


def summary(root) -> dict:
    return json.loads((root / "summary.json").read_text())["build"]


@needs_tcl
def test_built_elsewhere_and_picked_up(compiled, tmp_path, tools):
    root = tmp_path / "run"
    run(compiled, root)
    found = summary(root)
    assert (found["backend"], found["board"], found["complete"]) == ("vivado", "pynq-z2", False)
    assert found["package"] is None and not list((root / "deploy").glob("*.zip"))
    with pytest.raises(
        UserError, match=r"stage deploy has nothing to do yet: .*build/vivado has no bitstream. Vivado is"
    ):
        run(compiled, root, "deploy")

    # Its user touches the script up, and runs it on another machine.
    folder = root / "build" / "vivado"
    with (folder / "build.tcl").open("a") as script:
        script.write('puts "hwprune: touched up"\n')
    stand_in_for_vivado(tools)
    command = [str(tools / "vivado"), "-mode", "batch", "-nojournal", "-log", "vivado.log", "-source", "build.tcl"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (tools / "vivado").unlink()

    said = run(compiled, root)
    assert "build     goes on where it was interrupted" in said and "deploy    packs" not in said.partition("build ")[0]
    found = summary(root)
    assert found["complete"] and found["fmax_mhz"] > 100 and found["package"] == "small.zip"
    assert found["utilisation"]["lut"] == {"used": 25358, "available": 53200}
    assert "CRITICAL WARNING" in found["warnings"][0] and found["tools"] == {"vivado": "2022.2"}
    assert run(compiled, root).count("kept, unchanged") == 5


@needs_tcl
def test_the_package(compiled, tmp_path, tools):
    stand_in_for_vivado(tools)
    root = tmp_path / "run"
    run(compiled, root)
    path = root / "deploy" / "small.zip"
    with zipfile.ZipFile(path) as package:
        assert package.testzip() is None
        names = package.namelist()
        content = {name: package.read(name) for name in names}
        assert {entry.date_time for entry in package.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert names[:-1] == sorted(names[:-1])
    assert json.loads(content["versions.json"])["vivado"] == "2022.2"
    assert Recipe.model_validate(yaml.safe_load(content["recipe.yaml"])) == recipe()
    assert {
        "small.bit",
        "small.hwh",
        "demo.ipynb",
        "registers.json",
        "network.json",
        "README.md",
        "recipe.yaml",
        "versions.json",
    } <= set(names)
    assert content["driver.py"] == Path(driver.__file__).read_bytes()
    assert {"vectors/0/in0_V.bin", "vectors/1/out0_V.bin", "reports/timing.rpt", "build.json"} <= set(names)
    sums = dict(reversed(line.split("  ")) for line in content.pop("SHA256SUMS").decode().splitlines())
    assert sums == {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
    for name in content:
        assert (
            f"`{name}`" in content["README.md"].decode()
            or name.startswith(("vectors/", "reports/"))
            or name == "README.md"
        )

    # The vectors: pixels as the registers say that they lie, and what PyTorch alone makes of them.
    import torch

    from hwprune.data.dataset import open_dataset

    registers = json.loads(content["registers.json"])
    network, _ = load_integer(compiled / "quantize")
    affine = Accelerator.load(compiled / "compile").affine[0]
    val = open_dataset(recipe().data).val
    for number in range(2):
        image = val[number][0]
        pixels, sums = content[f"vectors/{number}/in0_V.bin"], content[f"vectors/{number}/out0_V.bin"]
        assert len(pixels) == registers["input"]["bytes"] and len(sums) == registers["outputs"][0]["bytes"]
        beats = np.frombuffer(pixels, np.uint8).reshape(-1, registers["input"]["beat_bytes"])
        laid_out = unpack(beats, "UINT8", registers["input"]["folded_shape"]).reshape(*SIZE, 3)
        assert np.array_equal(laid_out, image.permute(1, 2, 0).numpy())
        stream = registers["outputs"][0]
        mask = np.frombuffer(content["vectors/out0_V.mask"], np.uint8)
        bits = int(stream["datatype"].removeprefix("INT"))
        assert int(np.unpackbits(mask).sum()) == bits * int(np.prod(stream["normal_shape"])) and len(mask) == len(sums)
        assert not (np.frombuffer(sums, np.uint8) & ~mask).any()
        beats = np.frombuffer(sums, np.uint8).reshape(-1, stream["beat_bytes"])
        integers = unpack(beats, stream["datatype"], stream["folded_shape"]).reshape(stream["normal_shape"])
        with torch.no_grad():
            wanted = network(image[None].float())[0][0].permute(1, 2, 0).numpy()
        assert np.allclose(integers[0] * affine.scale + affine.bias, wanted, atol=1e-6)
    assert "vectors/2/in0_V.bin" not in names


@needs_tcl
def test_the_notebook(compiled, tmp_path, tools, monkeypatch, capsys):
    """Its cells, with an accelerator that answers with what the registers say is in its memory."""
    import matplotlib
    import torch

    from hwprune.data.dataset import open_dataset

    stand_in_for_vivado(tools)
    run(compiled, tmp_path / "run")
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(tmp_path / "run" / "deploy" / "small.zip") as package:
        package.extractall(folder)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    matplotlib.use("Agg")
    packaged = importlib.import_module("driver")
    monkeypatch.setattr(packaged.Accelerator, "load", classmethod(lambda cls, folder: Answers(Path(folder))))
    notebook = json.loads(Path("demo.ipynb").read_text())
    names = {}
    try:
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                assert not cell["outputs"] and cell["execution_count"] is None
                source = "".join(cell["source"])
                ast.parse(source, feature_version=(3, 8))
                exec(source, names)
    finally:
        sys.modules.pop("driver")
    image = open_dataset(recipe().data).val[0][0]
    network, _ = load_integer(compiled / "quantize")
    with torch.no_grad():
        wanted = network(image[None].float())[0][0].permute(1, 2, 0).numpy()
    shown = [axis.get_images()[0].get_array() for axis in names["axes"]]
    assert np.array_equal(shown[0], image.permute(1, 2, 0).numpy())
    assert np.allclose(shown[1], wanted.max(axis=-1), atol=1e-6)
    said = capsys.readouterr().out
    assert "2 frames are as they should be" in said
    assert "40000 cycles a frame at 100 MHz: 2500.0 frames a second" in said


class Answers:
    """An accelerator that knows the packaged vectors by heart."""

    def __init__(self, folder):
        described = json.loads((folder / "registers.json").read_text())
        self.input, self.outputs = described["input"], described["outputs"]
        self.known = {
            (path / f"{self.input['name']}.bin").read_bytes(): path for path in (folder / "vectors").glob("[0-9]*")
        }

    def run(self, frames, timeout_s=10.0):
        places = [self.known[frame.tobytes()] for frame in frames]
        return [
            np.stack([np.fromfile(place / f"{stream['name']}.bin", np.uint8) for place in places])
            for stream in self.outputs
        ]

    def read(self, name):
        return {"frame_cycles": 40000}[name]


@needs_tcl
def test_the_same_inputs_give_the_same_bytes(compiled, tmp_path, tools):
    stand_in_for_vivado(tools)
    made = []
    for name in ("one", "two"):
        root = tmp_path / name
        run(compiled, root)
        made.append((root / "deploy" / "small.zip").read_bytes())
        time.sleep(2.1 if name == "one" else 0)  # a zip tells time in steps of two seconds
    assert made[0] == made[1]


def test_a_package_does_not_depend_on_its_files_dates_modes_and_order(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"a" * 1000)
    first = write_package(tmp_path / "1.zip", {"x/a": file, "b": b"b"})
    os.utime(file, (1e9, 1e9))
    file.chmod(0o600)
    assert write_package(tmp_path / "2.zip", {"b": b"b", "x/a": file}) == first
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()
    with pytest.raises(UserError, match="gone: cannot be read"):
        write_package(tmp_path / "3.zip", {"c": tmp_path / "gone"})
    assert not (tmp_path / "3.zip").exists()


@needs_tcl
@pytest.mark.parametrize(
    ("reports", "complaint"),
    [
        (
            {"timing": samples.timing(setup="-1.340")},
            "clock: 100 MHz asked for, 88.1 MHz reached; set compile.clock_mhz",
        ),
        ({"utilization": samples.utilization(dsps=230)}, "DSP slices: 230 of the 220"),
    ],
)
def test_what_is_too_slow_or_too_large_stops_the_run(compiled, tmp_path, tools, reports, complaint):
    stand_in_for_vivado(tools, reports=reports)
    with pytest.raises(UserError, match=complaint):
        run(compiled, tmp_path / "run")
    assert RunFolder(tmp_path / "run").record("build") is None
    assert not (tmp_path / "run" / "deploy").exists()


def test_a_board_is_needed():
    with pytest.raises(UserError, match=r"compile.board: .* compile: \{board: pynq-z2\}"):
        with_build(recipe(compile={}, build=None))
    assert with_build(recipe(build=None)).build.backend is None


def test_finn_without_its_tools(compiled, tmp_path, tools, monkeypatch):
    with pytest.raises(UserError, match=r"backend finn: vivado, vitis_hls not on PATH.*build: \{backend: vivado\}"):
        run(compiled, tmp_path / "run", build={"backend": "finn"})
    for name in ("vivado", "vitis-run"):
        (tools / name).touch(0o755)
    monkeypatch.delenv("XILINX_VIVADO", raising=False)
    with pytest.raises(UserError, match="XILINX_VIVADO is not set"):
        run(compiled, tmp_path / "run", build={"backend": "finn"})


FINN_REPORT = """<RptDoc><section><table>
<tablerow><tableheader contents="Instance"/><tableheader contents="Module"/><tableheader contents="Total LUTs"/>
<tableheader contents="FFs"/><tableheader contents="RAMB36"/><tableheader contents="RAMB18"/>
<tableheader contents="DSP Blocks"/></tablerow>
<tablerow><tablecell contents="top_wrapper"/><tablecell contents="(top)"/><tablecell contents=" 4711"/>
<tablecell contents=" 8000"/><tablecell contents=" 20"/><tablecell contents="  3"/><tablecell contents=" 12"/>
</tablerow>
<tablerow><tablecell contents=" top_i"/><tablecell contents="top"/><tablecell contents=" 4700"/>
<tablecell contents=" 8000"/><tablecell contents=" 20"/><tablecell contents="  3"/><tablecell contents=" 12"/>
</tablerow>
</table></section></RptDoc>"""
STANDS_IN_FOR_HLS = f"""#!{sys.executable}
import sys
from pathlib import Path
project = Path("project_" + Path(sys.argv[1]).stem.removeprefix("hls_syn_"))
for name in ("ip", "verilog"):
    (project / "sol1" / "impl" / name).mkdir(parents=True)
"""
STANDS_IN_FOR_VIVADO = f"""#!{sys.executable}
import re, sys
from pathlib import Path
name = re.search(r'create_bd_design "(\\w+)"', Path(sys.argv[-1]).read_text())[1]
project = Path("finn_zynq_link" if name == "top" else "finn_vivado_stitch_proj")
made = {{project.with_name(project.name + ".gen") / "sources_1/bd" / name / "hdl" / f"{{name}}_wrapper.v": ""}}
if name == "top":
    made[project.with_name(project.name + ".gen") / "sources_1/bd/top/hw_handoff/top.hwh"] = "handoff"
    runs = project.with_name(project.name + ".runs") / "impl_1"
    made[runs / "top_wrapper.bit"] = "bits"
    made[runs / "top_wrapper_timing_summary_routed.rpt"] = {samples.timing()!r}
    made[Path("synth_report.xml")] = {FINN_REPORT!r}
made[Path("all_verilog_srcs.txt")] = ""
for path, text in made.items():
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
"""


def test_finn_takes_the_graph_through_its_own_flow(compiled, tmp_path, tools, monkeypatch):
    """All of FINN's ZynqBuild runs; of its two tools, programs stand in that leave the files it looks for."""
    for name, text in (("vitis_hls", STANDS_IN_FOR_HLS), ("vivado", STANDS_IN_FOR_VIVADO)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")  # FINN calls them through bash
    monkeypatch.setenv("XILINX_VIVADO", "/somewhere/Vivado/2022.2")
    monkeypatch.setenv("NUM_DEFAULT_WORKERS", "1")
    run(compiled, tmp_path / "run", build={"backend": "finn"})
    found = summary(tmp_path / "run")
    assert found["complete"] and found["backend"] == "finn" and found["fmax_mhz"] == pytest.approx(107.8, abs=0.1)
    used = {kind: use["used"] for kind, use in found["utilisation"].items()}
    assert used == {"lut": 4711, "ff": 8000, "dsp": 12, "bram18": 43}
    config = next((tmp_path / "run" / "build" / "finn" / "build").glob("vivado_zynq_proj_*/ip_config.tcl")).read_text()
    assert "StreamingDataflowPartition_1/s_axis_0" in config and "odma0/s_axis_0" in config
    with zipfile.ZipFile(tmp_path / "run" / "deploy" / "small.zip") as package:
        assert package.read("small.bit") == b"bits" and not {"registers.json", "driver.py"} & set(package.namelist())
