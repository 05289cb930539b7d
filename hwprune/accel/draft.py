"""The hardware graph while it is being made."""

from dataclasses import dataclass, field

import numpy as np
from onnx import NodeProto, TensorProto, helper
from qonnx.core.datatype import BaseDataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.basic import qonnx_make_model

from hwprune.accel.accelerator import HostAffine

_DOMAIN = "finn.custom_op.fpgadataflow"


@dataclass
class Draft:
    """Hardware operators, tensors and constants while `hwprune.accel.lower` makes them."""

    source: ModelWrapper
    nodes: list[NodeProto] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)  # channels last
    types: dict[str, BaseDataType] = field(default_factory=dict)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    branches: dict[str, list[str]] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)  # names of source nodes that another node's rule took along
    affine: list[HostAffine] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    def emit(self, op: str, name: str, inputs: list[str], outputs: list[str], **attributes) -> None:
        """Append a hardware operator."""
        self.nodes.append(
            helper.make_node(op, inputs, outputs, name=name, domain=_DOMAIN, backend="fpgadataflow", **attributes)
        )

    def tensor(self, name: str, shape: tuple[int, ...], datatype: BaseDataType) -> str:
        """Announce a tensor."""
        self.shapes[name], self.types[name] = tuple(int(d) for d in shape), datatype
        return name

    def constant(self, name: str, value: np.ndarray, datatype: BaseDataType) -> str:
        """Announce a constant."""
        self.constants[name] = value.astype(np.float32)
        return self.tensor(name, value.shape, datatype)

    def made(self, name: str, shape: tuple[int, ...], datatype: BaseDataType) -> None:
        """Announce a layer's output; where several nodes read it, each gets a branch of its own."""
        self.tensor(name, shape, datatype)
        readers = sum(name in node.input for node in self.source.graph.node)
        if readers < 2:
            self.branches[name] = [name]
            return
        copies = [self.tensor(f"{name}_copy{i}", shape, datatype) for i in range(readers)]
        self.emit(
            "DuplicateStreams",
            f"{name}_fork",
            [name],
            copies,
            NumChannels=shape[-1],
            PE=1,
            NumOutputStreams=readers,
            inputDataType=datatype.name,
            numInputVectors=list(shape[:-1]),
            outFIFODepths=[2] * readers,
        )
        self.branches[name] = copies

    def read(self, name: str) -> str:
        """The next unread branch of a layer's output."""
        return self.branches[name].pop(0)

    def assemble(self, image: str) -> tuple[ModelWrapper, list[HostAffine]]:
        """One ONNX graph of what was emitted; heads in the order of the source graph."""
        by_head = {affine.head: (affine, tensor) for affine, tensor in zip(self.affine, self.outputs, strict=True)}
        ordered = [by_head[output.name] for output in self.source.graph.output]
        ends = [image, *(tensor for _, tensor in ordered)]
        info = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, self.shapes[name]) for name in self.shapes}
        graph = helper.make_graph(
            self.nodes,
            "accelerator",
            inputs=[info[image]],
            outputs=[info[name] for name in ends[1:]],
            value_info=[value for name, value in info.items() if name not in ends],
        )
        model = ModelWrapper(qonnx_make_model(graph, producer_name="hwprune"))
        for name, value in self.constants.items():
            model.set_initializer(name, value)
        for name, datatype in self.types.items():
            model.set_tensor_datatype(name, datatype)
        return model, [affine for affine, _ in ordered]
