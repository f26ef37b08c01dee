"""One ONNX graph of the whole ensemble, for any number of samples.

It maps `images`, uint8 (sample, row, column, channel), or `tokens`, int32 (sample, position), to
`probabilities` (sample, class) and `disagreement` (sample,), and needs an ONNX runtime alone.
"""

import io
import warnings

import torch
from torch import Tensor

from ..card import Blueprint
from ..graph import Runner, WeightedEnsemble
from ._base import Content, Format

OUTPUTS = ("probabilities", "disagreement")


def write(ensemble: WeightedEnsemble) -> Content:
    import onnx

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns of what it calls itself
        program = torch.onnx.export(
            ensemble.program,
            input_names=[ensemble.blueprint.inputs.name],
            output_names=OUTPUTS,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for node in model.graph.node:
        del node.metadata_props[:]  # where in the source each node came from
    buffer.write(model.SerializeToString())
    sizes = [onnx.numpy_helper.to_array(one).nbytes for one in model.graph.initializer]
    return Content(buffer.getvalue(), sum(sizes))


def read(content: bytes, blueprint: Blueprint) -> Runner:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common class
        raise ValueError(f"onnxruntime cannot read it: {error}") from None

    def run(samples: Tensor) -> tuple[Tensor, Tensor]:
        given = {blueprint.inputs.name: samples.numpy()}
        probabilities, disagreement = session.run(list(OUTPUTS), given)
        return torch.from_numpy(probabilities), torch.from_numpy(disagreement)

    return run


format = Format(
    "ensemble.onnx",
    write,
    read,
    "onnxruntime, or any other that reads ONNX",
    writes_with=("onnx", "onnxscript"),
    reads_with=("onnxruntime",),
)
