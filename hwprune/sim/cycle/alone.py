"""An operator by itself: inputs always offered, outputs always taken."""

from hwprune.accel.design import Design, Operator
from hwprune.sim.cycle.model import CycleModel


def alone(design: Design, operator: Operator) -> CycleModel:
    """The model of a design cut down to one operator; its streams keep their names."""
    streams = [stream for stream in design.streams if stream.name in (*operator.inputs, *operator.outputs)]
    return CycleModel(
        Design(
            folder=design.folder,
            top=operator.name,
            files=(),
            streams=tuple(
                stream.model_copy(update={"role": "input", "producer": None})
                if stream.name in operator.inputs
                else stream.model_copy(update={"role": "output", "consumer": None})
                for stream in streams
            ),
            fifos=(),
            operators=(operator,),
        )
    )
