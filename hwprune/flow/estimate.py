"""How fast a network's accelerator would be, before there is one."""

from typing import Any

from hwprune.accel.budget import Budget
from hwprune.accel.predict import Predictor
from hwprune.board.parts import contents
from hwprune.errors import UserError
from hwprune.models.architecture import Architecture
from hwprune.quant.precision import Precision
from hwprune.recipe import Recipe

FILLED = {"luts": 0.7, "dsps": 1.0, "brams": 0.9}
"""How full a part gets by estimate where nothing else is said: FIFOs and width converters are not in it."""


def limits(part: str, luts: int | None, dsps: int | None, brams: int | None) -> Budget:
    """These limits, completed by what there is in the part.

    Raises
    ------
    UserError
        If one is missing and the part is not known.
    """
    given = {"luts": luts, "dsps": dsps, "brams": brams}
    if all(given.values()):
        return Budget(**given)
    there_is = contents(part)
    return Budget(**{name: limit or int(FILLED[name] * getattr(there_is, name)) for name, limit in given.items()})


def predictor(recipe: Recipe, architecture: Architecture, size: tuple[int, int]) -> Predictor:
    """Predicts accelerators of a float network's table, in the recipe's bits and with the neurons that it is to have.

    Raises
    ------
    UserError
        If something in the table has no hardware.
    """
    from hwprune.quant.hardware_form import hardware_table
    from hwprune.sam.choice import choose, fitted

    architecture = hardware_table(architecture, size)
    if not any(layer.op == "conv" and layer.sam for layer in architecture.layers):
        wanted, errors = choose(recipe.model.neurons, architecture, recipe.quantize.activation)
        if errors := [error for error in errors if error.field != "group"]:
            raise UserError("; ".join(f"model.neurons: {error.pattern}: {error}" for error in errors))
        try:
            architecture = architecture.with_neurons(fitted(wanted, architecture))
        except ValueError as error:
            raise UserError(f"model.neurons: {error}") from None
    return Predictor(architecture, size, Precision.of(recipe.quantize))


def estimate(recipe: Recipe, architecture: Architecture, size: tuple[int, int]) -> dict[str, Any]:
    """The fastest accelerator in the recipe's part, or in its budget, by `hwprune.accel.predict`.

    Returns
    -------
    dict
        ``fps_estimate`` (frames a second) and ``resources``; or ``fps_unknown``, which says why there is none.
    """
    goal = recipe.compile
    try:
        budget = limits(goal.part, goal.max_luts, goal.max_dsps, goal.max_brams)
        design = predictor(recipe, architecture, size).fastest(budget)
    except UserError as error:
        return {"fps_unknown": str(error)}
    if design is None:
        return {"fps_unknown": f"even the slowest accelerator does not fit: {budget}"}
    return {"fps_estimate": goal.clock_mhz * 1e6 / design.cycles, "resources": design.resources}
