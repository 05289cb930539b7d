"""Layers on their way from multiply-accumulate to SAM."""

from torch import Tensor, nn

from hwprune.models.network import Network


class Blend(nn.Module):
    """A convolution and a SAM layer side by side, each with its batch norm.

    Attributes
    ----------
    sam, sam_norm, mac, mac_norm
        The two; of one input and output shape.
    share
        SAM's share b of the output: (1 - b) * MAC + b * SAM. At 0 and at 1 the other one is not even computed.
    """

    def __init__(self, sam: nn.Module, sam_norm: nn.Module, mac: nn.Module, mac_norm: nn.Module):
        super().__init__()
        self.sam, self.sam_norm, self.mac, self.mac_norm = sam, sam_norm, mac, mac_norm
        self.share = 0.0

    def forward(self, x: Tensor) -> Tensor:
        if self.share >= 1:
            return self.sam_norm(self.sam(x))
        mac = self.mac_norm(self.mac(x))
        return mac if self.share <= 0 else mac.lerp(self.sam_norm(self.sam(x)), self.share)


def blend(sam: Network, mac: Network) -> list[str]:
    """Turn every SAM layer of a network into a `Blend` with the same layer of its MAC twin, whose modules it takes.

    Parameters
    ----------
    sam
        Float or quantised; in place. A block's batch norm becomes part of its ``conv``.
    mac
        The same table with convolutions where ``sam`` has SAM. Not to be used afterwards.

    Returns
    -------
    list of str
        The blended layers, in the order of the data flow.
    """
    blended = [layer.name for layer in sam.architecture.layers if layer.op == "conv" and layer.sam]
    for name in blended:
        block, other = sam.layers[name], mac.layers[name]
        block.conv, block.norm = Blend(block.conv, block.norm, other.conv, other.norm), nn.Identity()
    return blended


def unblend(network: Network) -> None:
    """Leave of every `Blend` the SAM layer alone, in place."""
    for block in network.layers.values():
        if isinstance(getattr(block, "conv", None), Blend):
            block.conv, block.norm = block.conv.sam, block.conv.sam_norm
