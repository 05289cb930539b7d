"""From a node with an RTL backend to the operator that is its twin in HLS."""

from onnx import NodeProto

from hwprune.accel.operators import finn_hls, streams_hls
from hwprune.accel.operators.backend_hls import StreamHLS
from hwprune.accel.operators.samvau_hls import SAMVAU_hls
from hwprune.errors import UserError

TWINS: dict[str, type[StreamHLS]] = {
    twin.__name__.removesuffix("_hls"): twin
    for twin in (
        SAMVAU_hls,
        streams_hls.MaxPool2d_hls,
        streams_hls.UpsampleNearestNeighbour_hls,
        streams_hls.StreamingConcat_hls,
        streams_hls.DuplicateStreams_hls,
        finn_hls.MVAU_hls,
        finn_hls.Thresholding_hls,
        finn_hls.FMPadding_hls,
        finn_hls.ConvolutionInputGenerator_hls,
        finn_hls.StreamingDataWidthConverter_hls,
        finn_hls.StreamingFIFO_hls,
    )
}
"""Operators by name without suffix. Not looked up in FINN's dictionaries, where some of the names are FINN's own; only
hwprune's own operators are registered there."""


def hls_twin(node: NodeProto) -> StreamHLS:
    """The node's operator in HLS; the node itself stays as it is.

    Raises
    ------
    UserError
        If there is none.
    """
    kind = node.op_type.removesuffix("_rtl").removesuffix("_hls")
    if kind not in TWINS:
        raise UserError(
            f"node {node.name!r} ({node.op_type}): no HLS twin; operators that have one: {', '.join(TWINS)}"
        )
    twin = NodeProto()
    twin.CopyFrom(node)
    twin.op_type, twin.domain = f"{kind}_hls", "finn.custom_op.fpgadataflow.hls"
    return TWINS[kind](twin)
