"""deploy: everything that the board needs, and the means to see that it works there, in one zip."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwprune.flow.stage import Outcome, Stage, StageContext

if TYPE_CHECKING:
    from hwprune.accel.accelerator import Accelerator
    from hwprune.board.report import BuildReport
    from hwprune.quant.integer import IntegerNetwork
    from hwprune.recipe import Recipe

REGISTERS = "registers.json"
HOST = {"driver.py": "driver.py", "demo.ipynb": "demo.ipynb"}
"""What runs on the board's processor: name in the zip, and in `hwprune.board`."""


def run(context: StageContext) -> Outcome:
    """Gather, compute the test vectors, and pack."""
    from rich.console import Console

    from hwprune.accel.accelerator import Accelerator
    from hwprune.board.board import load_board
    from hwprune.board.package import write_package
    from hwprune.board.report import FILE, load_report
    from hwprune.flow.measure import versions
    from hwprune.quant.store import load_integer

    recipe = context.recipe
    folder = next((path.parent for path in sorted(context.inputs["build"].glob(f"*/{FILE}"))), context.inputs["build"])
    report = load_report(folder)
    if not report.complete:
        Console(stderr=True).print("deploy: waits for the bitstream", highlight=False)
        return Outcome((), {"waits_for": f"{folder.resolve()} has no bitstream. {report.next_step}"})
    accelerator = Accelerator.load(context.inputs["compile"])
    network, head = load_integer(context.inputs["quantize"])
    content: dict[str, Any] = {
        **_built(folder, report, recipe.name),
        **_vectors(context, network, accelerator),
        **_host(report),
        "network.json": _json(_interface(accelerator, head)),
        "board.json": _json(load_board(recipe.compile.board).model_dump(mode="json")),
        "versions.json": _json(versions() | report.tools),
        "recipe.yaml": _recipe(recipe),
    }
    content["README.md"] = _readme(recipe.name, report, sorted(content)).encode()
    path = context.folder / f"{recipe.name}.zip"
    sums = write_package(path, content)
    return Outcome((path,), {"package": path.name, "files": sums})


def _built(folder: Path, report: "BuildReport", name: str) -> dict[str, Path]:
    """Bitstream and its description under one name, as PYNQ wants them; registers and reports as they are called."""
    from hwprune.board.report import FILE

    named = [file for file in (report.bitstream, report.hardware_handoff) if file]
    told = [file for file in report.files if file.startswith("reports/") or file == REGISTERS]
    return {
        **{f"{name}.{file.rpartition('.')[2]}": folder / file for file in named},
        **{file: folder / file for file in (*told, FILE)},
    }


def _host(report: "BuildReport") -> dict[str, Path]:
    """The driver, where there are our shell's registers, and the handoff that PYNQ wants."""
    from hwprune import board

    fits = REGISTERS in report.files and report.hardware_handoff
    return {name: Path(board.__path__[0]) / file for name, file in HOST.items()} if fits else {}


def _vectors(context: StageContext, network: "IntegerNetwork", accelerator: "Accelerator") -> dict[str, bytes]:
    import numpy as np

    from hwprune.board.vectors import FOLDER, frames, masks
    from hwprune.data.dataset import open_dataset
    from hwprune.flow.bars import bar

    val = open_dataset(context.recipe.data).val
    count = min(context.recipe.build.vectors if context.recipe.build else 2, len(val))
    pixels = np.stack([val[i][0].numpy() for i in range(count)])
    made = {f"{FOLDER}/{stream}.mask": data for stream, data in masks(accelerator.design).items()}
    with bar("test vectors", count) as update:
        for number, streams in enumerate(frames(network, accelerator.design, accelerator.origin, pixels)):
            made |= {f"{FOLDER}/{number}/{stream}.bin": data for stream, data in streams.items()}
            update(number + 1)
    return made


def _interface(accelerator: "Accelerator", head: "dict[str, Any] | None") -> dict[str, Any]:
    """What the host does with the outputs' integers, and what they mean then."""
    streams = [*accelerator.design.inputs, *accelerator.design.outputs]
    affine = {
        sink.name: {"head": a.head, "scale": a.scale.tolist(), "bias": a.bias.tolist()}
        for sink, a in zip(accelerator.design.outputs, accelerator.affine, strict=True)
    }
    kept = {"name", "role", "datatype", "normal_shape", "folded_shape", "bits"}
    return {
        "streams": [stream.model_dump(mode="json", include=kept) | {"beats": stream.beats} for stream in streams],
        "affine": affine,
        "head": head,
    }


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def _recipe(recipe: "Recipe") -> bytes:
    import yaml

    return yaml.safe_dump(recipe.model_dump(mode="json", exclude_none=True), sort_keys=False).encode()


WHAT = {
    ".bit": "configures the part",
    ".hwh": "describes its blocks to PYNQ, which wants it beside the bitstream under the same name",
    "driver.py": "needs numpy and pynq only: loads the bitstream, computes frames, compares the vectors",
    "demo.ipynb": "a notebook: the vectors, what goes in and comes out as pictures, frames a second",
    "registers.json": "the accelerator's registers, and how frames lie in memory",
    "network.json": "its streams; per channel, what the host multiplies and adds; the meaning of the outputs",
    "board.json": "the board: memory map, ports, clock",
    "build.json": "what the tools reported: resources, clock, warnings",
    "versions.json": "with what all this was made",
    "recipe.yaml": "the recipe with all its defaults: `hwprune run recipe.yaml` makes it again",
}


WITH_DRIVER = (
    "To see that the board computes what the network computes, unpack all this on the board, and there, as root in "
    "PYNQ's environment: `python3 driver.py`. It loads the bitstream, gives it the vectors, and compares every bit "
    "that counts. `demo.ipynb`, in PYNQ's Jupyter, shows the same as pictures.",
    "",
    "`driver.Accelerator.load(folder).run(frames)` computes frames of your own: bytes in, bytes out, as "
    "`registers.json` lays them out. It neither resizes images nor decodes boxes yet.",
)
SERIAL = (
    "To see that the board computes what the network computes, unpack all this on a computer with hwprune and the "
    "board on its USB; load the bitstream (`openFPGALoader -b ulx3s *.bit`, say), and compute the vectors over the "
    "serial line; every bit that counts is compared:",
    "",
    "```python",
    "from hwprune.accel.design import load_design",
    "from hwprune.board.serial_host import SerialBoard, check_vectors, open_line",
    "",
    'board = SerialBoard(open_line("/dev/ttyUSB0"), load_design("RUN/compile"))  # of the run that this is from',
    'print(check_vectors(board, "."), "frames are right")',
    "```",
)
WITHOUT_DRIVER = (
    "To see that the board computes what the network computes: load the bitstream, give it `vectors/0/in*.bin` "
    "and compare what it leaves in memory with `vectors/0/out*.bin`, where the bits of the mask are 1. The driver "
    "works with the bitstreams of backend vivado only, so there is none here.",
)


def _readme(name: str, report: "BuildReport", files: list[str]) -> str:
    told = [f"| `{file}` | {what} |" for file in files for end, what in WHAT.items() if file.endswith(end)]
    fmax = f", {report.fmax_mhz:.1f} MHz at most by timing analysis" if report.fmax_mhz else ""
    return "\n".join(
        [
            f"# {name} for {report.board}",
            "",
            f"Made by hwprune for {report.part} with the backend {report.backend}, at {report.clock_mhz:g} MHz{fmax}.",
            "",
            "| file | what |",
            "|---|---|",
            *told,
            "| `vectors/N/STREAM.bin` | bytes of a validation image as they go into memory (`in...`), and of what must "
            "come out (`out...`) |",
            "| `vectors/STREAM.mask` | the bits of an output that count are 1; others only fill up bytes |",
            "| `SHA256SUMS` | `sha256sum -c SHA256SUMS` tells whether all came through whole |",
            "",
            *(WITH_DRIVER if "driver.py" in files else SERIAL if report.backend == "ecp5" else WITHOUT_DRIVER),
            "",
        ]
    )


STAGE = Stage(
    name="deploy",
    about="packs what is copied onto the board: bitstream, registers, test vectors with the right answers, checksums",
    makes="NAME.zip (the same inputs give the same bytes)",
    reads=("quantize", "compile", "build"),
    sections=("name", "data", "compile", "build"),
    run=run,
)
