import pytest
import torch

from hwprune.models.network import Network
from hwprune.quant.integer import freeze
from hwprune.quant.network import QuantNetwork
from hwprune.quant.precision import Precision
from hwprune.sam.blend import Blend, blend, unblend
from hwprune.sam.settings import Sam
from tests.sam.test_convert import TABLE, batches, trained

NEURONS = {"conv4": Sam(form="difference", group=4), "conv13": Sam(form="signed", group=2)}


def pair(quantised: bool):
    mac, sam = trained(), Network(TABLE.with_neurons(NEURONS))
    if quantised:
        mac, sam = (QuantNetwork(n.architecture, Precision()).start_from(n) for n in (mac, sam))
        with torch.no_grad():
            for _ in range(31):
                mac(batches()[0]), sam(batches()[0])
        # One set of activation scales, or the two could not be compared.
        for name, block in mac.layers.items():
            if getattr(block, "quantizer", None) is not None:
                block.quantizer = sam.layers[name].quantizer
    sam.layers.load_state_dict(
        {k: v for k, v in mac.layers.state_dict().items() if k.split(".")[0] not in NEURONS}, strict=False
    )
    return mac.eval(), sam.eval()


@pytest.mark.parametrize("quantised", [False, True])
@torch.no_grad()
def test_from_the_one_to_the_other(quantised):
    mac, sam = pair(quantised)
    pixels, state = batches()[0], sam.state_dict()
    before, after = mac.forward_all(pixels), sam.forward_all(pixels)
    assert blend(sam, mac) == list(NEURONS)
    blends = [module for module in sam.modules() if isinstance(module, Blend)]
    assert all(torch.equal(a, b) for a, b in zip(sam(pixels), (before["conv10"], before["conv13"]), strict=True))
    for module in blends:
        module.share = 1.0
    assert all(torch.equal(a, b) for a, b in zip(sam(pixels), (after["conv10"], after["conv13"]), strict=True))
    blends[1].share = 0.25
    x = sam.forward_all(pixels)["conv12"]
    expected = 0.75 * blends[1].mac(x) + 0.25 * blends[1].sam(x)
    assert torch.allclose(sam(pixels)[1], expected, atol=1e-5)
    unblend(sam)
    assert sam.state_dict().keys() == state.keys()
    assert torch.equal(sam(pixels)[1], after["conv13"])
    if quantised:
        freeze(sam)
