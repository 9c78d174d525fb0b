"""What may put hits into another order: the graph around them, and a model that was handed in."""

from __future__ import annotations

from slipstream.app.composition.factories import onnx_reranker
from slipstream.app.composition.options import Options
from slipstream.app.config import Config
from slipstream.ports.graph import GraphReader
from slipstream.search.cross_encoding import CrossEncoding
from slipstream.search.graph_arm import GraphArm
from slipstream.search.reordering import Reorderings


def reorderings_of(config: Config, options: Options, graph: GraphReader) -> Reorderings:
    """Return what searches of this process can be reordered by; a model that was handed in goes before the file's."""
    reranker = options.reranker
    if reranker is None and config.search.reranker is not None:
        reranker = onnx_reranker(config.search.reranker)
    return Reorderings(
        graph_arm=GraphArm(graph),
        uses_graph_arm=config.search.graph_arm,
        reranker=None if reranker is None else CrossEncoding(reranker),
    )
