"""The knobs of the training loop. Imports neither torch nor Lightning, so that a recipe is read quickly."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator


class SamTraining(BaseModel):
    """What training does for SAM layers; a network without any is trained as if this were not here."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    learning_rate_factor: PositiveFloat = 10.0
    """Learning rate of the SAM weights and signs, in that of all other parameters. They have no weight decay."""
    temperature: Annotated[float, Field(ge=0)] = 0.0
    """Of soft maxima and minima (log-sum-exp) at the start, in the unit of the activations; it falls linearly to 0. 0
    trains with true ones from the start."""
    hard_after: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Fraction of the training after which maxima and minima are true ones."""
    distillation: Annotated[float, Field(ge=0)] = 1.0
    """Weight of a further loss: how far the outputs are from a teacher's. `finetune` has the network before pruning for
    a teacher, `quantize` the float one, `train` that of trained darknet weights; others have none. A
    teacher must be better than what it teaches: with 1, the detector of recipe `sam` gained 0.02 to 0.03 of mAP50 by
    the float one, while a small classifier with a weak teacher lost (docs/sam-accuracy.md). 0 does without."""
    conversion: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Where a stage turns convolutions into SAM layers: fraction of the training in which they turn, one after the
    other in the order of the data flow, each as a blend that shifts from the one to the other. 0 turns all at once,
    which was as good on a small detector, since the SAM layers start close to what the convolutions gave."""


class TrainSettings(BaseModel):
    """How long and how fast to train; the defaults suit a compact detector on a few thousand small images."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    epochs: PositiveInt = 20
    """Passes over the training set."""
    batch_size: PositiveInt = 16
    """Images per step."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """``sgd`` has Nesterov momentum 0.9."""
    learning_rate: PositiveFloat = 1e-2
    """Peak of the one-cycle schedule (Smith and Topin, "Super-Convergence", 2018): up to it in the warm-up, then down
    along a cosine."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    """Of the weights of convolutions and linear layers; biases, batch norms and quantisers' scales have none."""
    warmup_epochs: Annotated[float, Field(ge=0)] = 1.0
    """Length of the warm-up in epochs, less than ``epochs``."""
    gradient_clip: PositiveFloat | None = 10.0
    """Greatest norm of the gradient of all parameters together; none for no limit."""
    validate_every: PositiveInt = 5
    """Epochs from one evaluation on the validation set to the next; the last epoch always has one."""
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = "auto"
    """Where to train, as Lightning names it."""
    devices: PositiveInt | Literal["auto"] = 1
    """How many of them; runs repeat bit for bit on one."""
    workers: Annotated[int, Field(ge=0)] = 0
    """Processes that load images; 0 loads them between the steps."""
    distillation: Annotated[float, Field(ge=0)] = 0.0
    """As `SamTraining.distillation`, from the same teachers, for networks without SAM layers."""
    sam: SamTraining = SamTraining()
    """For networks with SAM layers."""

    @model_validator(mode="after")
    def _warm_up_ends(self):
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs is {self.warmup_epochs:g}, not less than epochs ({self.epochs})")
        return self
