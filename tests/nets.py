"""Random small networks for the tests: their layer tables, weights and images."""

import torch
from hypothesis import assume
from hypothesis import strategies as st

from hwprune.models.architecture import IMAGE, Architecture, Concat, Conv, MaxPool, Upsample
from hwprune.models.network import Network
from hwprune.quant.hardware_form import hardware_form
from hwprune.quant.hardware_table import hardware_table
from hwprune.quant.integer import IntegerNetwork, freeze
from hwprune.quant.network import QuantNetwork
from hwprune.quant.precision import Precision
from hwprune.sam.settings import FORMS, Sam


@st.composite
def sam_neurons(draw, in_channels: int, kernel: int, floors: bool) -> Sam | None:
    """A neuron that fits a layer, with a floor only where ``floors``; as often MAC as SAM."""
    form, shift = draw(st.sampled_from(FORMS)), draw(st.integers(-1, 1))
    floor = floors and form != "maxmin" and draw(st.booleans())
    divisors = [g for g in range(1, in_channels + 1) if in_channels % g == 0]
    every = (Sam(form=form, group=g, shift=shift, floor=floor) for g in [0, *divisors])
    fits = [sam for sam in every if sam.allows(sam.group or in_channels * kernel**2)]
    return draw(st.none() | st.sampled_from(fits)) if fits else None


@st.composite
def architectures(draw, neurons: str = "mac") -> tuple[Architecture, tuple[int, int]]:
    """A detector-like table (backbone, fork, upsampled branch, one or two heads) and an image size, not always
    square; with ``neurons`` "mixed" some layers are SAM."""
    activation = draw(st.sampled_from(["leaky", "relu"]))
    widths = st.integers(1, 6)
    in_channels = draw(st.sampled_from([1, 3]))
    layers, source, scale = [], IMAGE, 1

    def conv(kernel=None, stride=1):
        nonlocal source
        kernel = kernel or draw(st.sampled_from([1, 3]))
        name = f"conv{sum(layer.op == 'conv' for layer in layers) + 1}"
        padding = draw(st.sampled_from([0, kernel // 2])) if stride == 1 and scale == 1 else kernel // 2
        layers.append(Conv(name=name, inputs=(source,), out_channels=draw(widths), kernel=kernel, stride=stride,
                           padding=padding, activation=activation))  # fmt: skip
        if neurons == "mixed":
            into = Architecture(name="so far", in_channels=in_channels, layers=layers, heads=(name,)).channels()
            layers[-1] = layers[-1].model_copy(
                update={"sam": draw(sam_neurons(into[source], kernel, activation == "relu"))}
            )
        source = name

    def pool(stride):
        nonlocal source
        name = f"pool{sum(layer.op == 'maxpool' for layer in layers) + 1}"
        layers.append(
            MaxPool(name=name, inputs=(source,), stride=stride, pad=(0, 1, 0, 1) if stride == 1 else (0,) * 4)
        )
        source = name

    for _ in range(draw(st.integers(1, 2))):
        conv()
        match draw(st.sampled_from(["pool", "stride", "none"])):
            case "pool":
                pool(2)
            case "stride":
                conv(kernel=3, stride=2)
    heads = []
    if draw(st.booleans()):  # a fork whose branches meet again
        scale = 2
        route = f"{source}"
        if route == IMAGE or source.startswith("pool"):
            conv()
            route = source
        pool(2)
        conv()
        pool(1)
        conv()
        trunk = source
        if draw(st.booleans()):
            layers.append(Conv(name="head1", inputs=(trunk,), out_channels=draw(widths), kernel=1, norm=False,
                               activation="linear"))  # fmt: skip
            heads.append("head1")
            conv()
        layers.append(Upsample(name="upsample", inputs=(source,)))
        layers.append(Concat(name="route", inputs=("upsample", route)))
        source = "route"
        conv()
    layers.append(Conv(name="head2", inputs=(source,), out_channels=draw(widths), kernel=1, norm=False,
                       activation="linear"))  # fmt: skip
    heads.append("head2")
    table = Architecture(name="random", in_channels=in_channels, layers=tuple(layers), heads=tuple(heads))
    sizes = [(h, w) for h in range(16, 25) for w in range(16, 29, 3) if _fits(table, h, w)]
    assume(sizes)
    return table, draw(st.sampled_from(sizes))


def _fits(table: Architecture, height: int, width: int) -> bool:
    """Whether the branches meet at one size: upsampling doubles what pooling may have rounded down."""
    try:
        table.shapes(height, width)
    except ValueError:
        return False
    return True


def integer_network(table: Architecture, size: tuple[int, int], seed: int, precision: Precision | None = None):
    """An integer network with random, not degenerate, weights and statistics; all seeds give different ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(table)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(module.weight, -1.0, 1.5)
                torch.nn.init.uniform_(module.bias, -0.5, 0.5)
        if hardware_table(table, size) is not table:
            network = hardware_form(network, [(image, {}) for image in images(table, size, 4)])
        quantized = QuantNetwork(network.architecture, precision or Precision()).start_from(network)
        quantized.train()
        with torch.no_grad():
            for _ in range(3):
                quantized(images(table, size, 4).float() / 255)
        integer: IntegerNetwork = freeze(quantized)
    return integer


def images(table: Architecture, size: tuple[int, int], count: int) -> torch.Tensor:
    """Random pixels, uint8 (N, C, H, W), from the global random state."""
    return torch.randint(0, 256, (count, table.in_channels, *size), dtype=torch.uint8)
