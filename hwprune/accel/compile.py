"""QONNX -> one stitched RTL design, with FINN's operators and generators and no vendor tool."""

import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwprune.accel import operators
from hwprune.accel.accelerator import GRAPH, Accelerator, HostAffine
from hwprune.accel.design import Design
from hwprune.accel.fifo_storage import FifoSize
from hwprune.accel.fifos import keep_to_block_ram, resize, set_fifo_depths
from hwprune.accel.finn_env import BUILD_FOLDER, prepare_finn
from hwprune.accel.folding import Budget, fold_to_budget, fold_to_cycles, node_cycles, node_resources, resources
from hwprune.accel.joint import JointFold
from hwprune.accel.lower import lower
from hwprune.accel.names import carried, transform_named
from hwprune.accel.outline import outline
from hwprune.accel.stitch import stitch
from hwprune.errors import UserError
from hwprune.files import atomic_write


@dataclass(frozen=True)
class Goal:
    """What a design is made for: a speed, or a budget that the fastest design keeps to; or, ``jointly``, a speed within
    a budget or the fastest within it, with all choices made together (`hwprune.accel.joint`)."""

    part: str
    clock_mhz: float
    target_fps: float | None = None
    budget: Budget = field(default_factory=Budget)
    fifo_depth: int | None = None
    """Beats, of every FIFO; None for depths that are generous and free of deadlock."""
    jointly: bool = False
    """Whether the budget is for all that the design takes, FIFOs and width converters too."""

    @property
    def target_cycles(self) -> int | None:
        """Cycles a frame at ``target_fps``."""
        return None if self.target_fps is None else int(self.clock_mhz * 1e6 / self.target_fps)


def compile_accelerator(
    qonnx: ModelWrapper,
    folder: Path,
    goal: Goal,
    progress: Callable[[str], None] = lambda step: None,
    size: Callable[[Design], Mapping[str, FifoSize]] | None = None,
    interval: Callable[[Design], int] | None = None,
) -> Accelerator:
    """Compile an integer QONNX graph into RTL in ``folder``.

    Parameters
    ----------
    qonnx
        What `hwprune.quant.export.export_qonnx` makes.
    folder
        Where FINN writes; what an earlier compilation left there is removed.
    goal
        Part, clock, and a speed or a budget.
    progress
        Called with the name of each step as it begins.
    size
        Says how large each FIFO of the outlined design shall be, where the goal names no depth; without it they are
        generous.
    interval
        Tells the cycles between frames of an outlined design whose FIFOs are never full: with it a joint goal's speed
        is not by estimate.

    Raises
    ------
    UserError
        If an operator has no hardware, or the goal cannot be met.
    """
    model, affine = hardware_graph(qonnx, folder, goal.part, progress)
    if goal.jointly:
        model, rows = _joint(model, goal, progress, size, interval)
    else:
        progress("fold")
        if goal.target_cycles is None:
            fold_to_budget(model, goal.budget, goal.part)
        else:
            fold_to_cycles(model, goal.target_cycles)
        rows = operator_rows(model, goal.part)
        model = with_streams(model, goal, progress, size)
    return assemble(model, affine, rows, folder, goal, progress)


def hardware_graph(
    qonnx: ModelWrapper, folder: Path, part: str, progress: Callable[[str], None] = lambda step: None
) -> tuple[ModelWrapper, list[HostAffine]]:
    """The hardware operators of an integer QONNX graph, not folded yet, and what its outputs mean.

    Arguments and errors are those of `compile_accelerator`.
    """
    folder = folder.resolve()  # FINN writes the names of memory files as it is given them, for whoever runs elsewhere
    shutil.rmtree(folder / BUILD_FOLDER, ignore_errors=True)
    prepare_finn(folder)
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers

    from hwprune.accel.operators.mvau import choose_cores

    _quieten()
    operators.register()
    progress("lower to hardware operators")
    model, affine = lower(qonnx)
    model = transform_named(model, SpecializeLayers(part))
    _require_rtl(model)
    for kind in ("SAMVAU_rtl", "Thresholding_rtl"):
        for node in model.get_nodes_by_op_type(kind):
            getCustomOp(node).minimize_weight_bit_width(model)
    choose_cores(model, part)
    return model, affine


def with_streams(
    model: ModelWrapper,
    goal: Goal,
    progress: Callable[[str], None] = lambda step: None,
    size: Callable[[Design], Mapping[str, FifoSize]] | None = None,
) -> ModelWrapper:
    """A folded graph with width converters and FIFOs; arguments as those of `compile_accelerator`."""
    progress("insert width converters and FIFOs")
    model = _with_streams(model, goal)
    _size(model, goal, progress, size)
    return model


def assemble(
    model: ModelWrapper,
    affine: list[HostAffine],
    rows: list[dict],
    folder: Path,
    goal: Goal,
    progress: Callable[[str], None] = lambda step: None,
) -> Accelerator:
    """RTL of a whole graph in ``folder``; ``rows`` tell of its operators."""
    folder = folder.resolve()
    origin = _origins(model)
    with atomic_write(folder / GRAPH) as temporary:
        model.save(str(temporary))
    progress("generate RTL")
    _generate(model, folder, goal)
    progress("stitch")
    design = stitch(model, folder)
    accelerator = Accelerator(design, affine, origin, rows, resources(model, goal.part), goal.clock_mhz)
    accelerator.save(folder)
    return accelerator


def _with_streams(model: ModelWrapper, goal: Goal) -> ModelWrapper:
    """With width converters and FIFOs."""
    from finn.transformation.fpgadataflow.insert_dwc import InsertDWC
    from finn.transformation.fpgadataflow.insert_fifo import InsertFIFO
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers

    set_fifo_depths(model, goal.fifo_depth)
    shallow = goal.fifo_depth == 2  # which FINN would leave out, as its operators hold that much
    for transformation in (InsertDWC(), InsertFIFO(create_shallow_fifos=shallow), SpecializeLayers(goal.part)):
        model = transform_named(model, transformation)
    keep_to_block_ram(model, goal.part)
    return model


def _size(whole: ModelWrapper, goal: Goal, progress, size) -> None:
    if size is not None and goal.fifo_depth is None:
        progress("size FIFOs")
        resize(whole, size(outline(whole, part=goal.part)))


def _joint(model, goal, progress, size, interval) -> tuple[ModelWrapper, list[dict]]:
    """The graph with its streams, all chosen together, and a row for each operator that is no stream's."""
    rows: list[dict] = []

    def complete(folded: ModelWrapper) -> ModelWrapper:
        rows[:] = operator_rows(folded, goal.part)
        return _with_streams(folded, goal)

    def pace(whole: ModelWrapper) -> int | None:
        if interval is None:
            return None
        progress("interval")
        return interval(outline(whole, part=goal.part))

    fold = JointFold(model, goal.part, goal.budget, goal.target_cycles, progress)
    return fold.solve(complete, pace, lambda whole: _size(whole, goal, progress, size)), rows


def _generate(model: ModelWrapper, folder: Path, goal: Goal) -> None:
    """FINN's PrepareIP, with folders named after the nodes."""
    for node in model.graph.node:
        operator = getCustomOp(node)
        target = folder / BUILD_FOLDER / node.name
        target.mkdir(parents=True)
        operator.set_nodeattr("code_gen_dir_ipgen", str(target))
        operator.code_generation_ipgen(model, goal.part, 1e3 / goal.clock_mhz)


def _require_rtl(model: ModelWrapper) -> None:
    for node in model.graph.node:
        if not node.op_type.endswith("_rtl"):
            raise UserError(
                f"operator {node.name!r} ({node.op_type}) has no RTL for this part and these bits; use 2 to 8 bits for "
                "weights and activations"
            )


def _origins(model: ModelWrapper) -> dict[str, str]:
    tensors = [value.name for value in model.graph.input] + [name for node in model.graph.node for name in node.output]
    return {tensor: carried(model, tensor) for tensor in tensors}


def operator_rows(model: ModelWrapper, part: str) -> list[dict]:
    """Name, cycles, fold and estimated resources of each operator."""
    return [_row(node, part) for node in model.graph.node]


def _row(node, part: str) -> dict:
    operator = getCustomOp(node)
    known = operator.get_nodeattr_types()
    folds = {key.lower(): int(operator.get_nodeattr(key)) if key in known else None for key in ("PE", "SIMD")}
    return {
        "name": node.name,
        "op": node.op_type.removesuffix("_rtl"),
        "cycles": node_cycles(node),
        **folds,
        **node_resources(node, part),
    }


def _quieten() -> None:
    """FINN logs each of its inner decisions as a warning; what concerns a user of hwprune is raised here."""
    from finn.util.logging import log

    log.setLevel(logging.ERROR)
