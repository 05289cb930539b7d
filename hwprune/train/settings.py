"""The knobs of the training loop. Imports neither torch nor Lightning, so that a recipe is read quickly."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class TrainSettings(BaseModel):
    """How long and how fast to train; the defaults suit a compact detector on a few thousand small images.

    Attributes
    ----------
    epochs
        Passes over the training set.
    batch_size
        Images per step.
    optimizer
        ``adamw``, or ``sgd`` with Nesterov momentum 0.9.
    learning_rate
        Peak of the one-cycle schedule (Smith and Topin, "Super-Convergence", 2018): up in the warm-up, then down along
        a cosine.
    weight_decay
        Of the weights of convolutions and linear layers; biases, batch norms and quantisers' scales have none.
    warmup_epochs
        Length of the warm-up in epochs, less than `epochs`.
    gradient_clip
        Greatest norm of the gradient of all parameters together; None for no limit.
    validate_every
        Epochs from one evaluation on the validation set to the next; the last epoch always has one.
    accelerator, devices
        Where to train, as Lightning names it: ``auto``, ``cpu``, ``gpu``, ``mps``, and how many of them.
    workers
        Processes that load images; 0 loads them between the steps.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    epochs: PositiveInt = 20
    batch_size: PositiveInt = 16
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: Positive = 2e-3
    weight_decay: NotNegative = 1e-2
    warmup_epochs: NotNegative = 1.0
    gradient_clip: Positive | None = 10.0
    validate_every: PositiveInt = 5
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps", "tpu"] = "auto"
    devices: PositiveInt | Literal["auto"] = 1
    workers: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _warm_up_ends(self):
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs is {self.warmup_epochs:g}, not less than epochs ({self.epochs})")
        return self
