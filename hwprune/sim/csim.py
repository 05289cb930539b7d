"""Level `csim`: the accelerator's operators in HLS C++, beside the level `network`."""

from pathlib import Path

import numpy as np

from hwprune.accel.accelerator import GRAPH, Accelerator
from hwprune.accel.design import Design
from hwprune.errors import UserError
from hwprune.quant.integer import IntegerNetwork
from hwprune.sim.csim_build import Program, build_program, read_kernels
from hwprune.sim.equivalence import Equivalence, compare_stream, expected_streams
from hwprune.sim.streams import pack


def build_csim(design: Design, folder: Path | str, *, jobs: int | None = None, progress: bool = True) -> Program:
    """Compile the HLS C++ of a compiled accelerator; what is in ``folder`` already is not compiled anew.

    Raises
    ------
    UserError
        If the hardware graph is missing or damaged, an operator has no HLS twin, g++ or the ap_types headers are
        missing, or the C++ does not compile.
    """
    from qonnx.core.modelwrapper import ModelWrapper

    path = design.folder / GRAPH
    try:
        model = ModelWrapper(str(path))
    except Exception as error:  # protobuf and onnx have no error of their own for a file that is none
        raise UserError(f"{path}: cannot be read ({error}); run the stage compile again") from error
    return build_program(read_kernels(model), folder, jobs=jobs, progress=progress)


def check_csim(
    accelerator: Accelerator,
    network: IntegerNetwork,
    images: np.ndarray,
    folder: Path | str,
    *,
    jobs: int | None = None,
    progress: bool = True,
) -> Equivalence:
    """Run the frames through the operators' HLS C++, each one on what the ones before it made, and compare every
    stream.

    Parameters
    ----------
    accelerator
        What was compiled.
    network
        Integer form, the reference.
    images
        uint8, (frames, C, H, W).
    folder
        For the C++ and the program made of it.
    jobs
        Compilers at a time; default: one for each processor.
    progress
        Show bars if it takes long.

    Returns
    -------
    Equivalence
        Of level ``csim``; without cycles.

    Raises
    ------
    UserError
        As `build_csim` does, and if the C++ reads or writes too much.
    """
    design = accelerator.design
    program = build_csim(design, folder, jobs=jobs, progress=progress)
    (source,) = design.inputs
    pixels = pack(images.transpose(0, 2, 3, 1), source.datatype, source.folded_shape)
    found = program.run({source.tensor: pixels}, len(images), progress=progress)
    streams = {stream.tensor: stream for stream in design.streams if stream.role != "input"}
    if set(streams) != set(found):
        odd = ", ".join(sorted(set(streams) ^ set(found)))
        raise UserError(f"{design.folder}: {GRAPH} and the stitched design differ in {odd}; compile anew")
    expected = expected_streams(network, images, {accelerator.origin[tensor] for tensor in streams})
    result = Equivalence(level="csim")
    for tensor, beats in found.items():  # in the order of the data flow
        compare_stream(result, streams[tensor], beats, expected[accelerator.origin[tensor]], len(images))
    return result
