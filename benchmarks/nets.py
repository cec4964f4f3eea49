"""Nets of benchmarks, as texts of their layers: from the blob `data` to `out`, and the loss."""

from __future__ import annotations

LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "out" bottom: "label" top: "loss" }'
WEIGHTS = 'weight_filler { type: "gaussian" std: 0.01 }'


def layer(kind: str, bottom: str, top: str, more: str = "") -> str:
    return f'layer {{ name: "{top}{kind}" type: "{kind}" bottom: "{bottom}" top: "{top}" {more} }}'


def conv(bottom: str, top: str, outputs: int, kernel: int, more: str = "") -> str:
    given = f"num_output: {outputs} kernel_size: {kernel} {more} {WEIGHTS}"
    return layer("Convolution", bottom, top, f"convolution_param {{ {given} }}")


def pool(bottom: str, top: str, kernel: int = 3, how: str = "MAX") -> str:
    given = f"pool: {how} kernel_size: {kernel} stride: 2"
    return layer("Pooling", bottom, top, f"pooling_param {{ {given} }}")


def inner(bottom: str, top: str, outputs: int) -> str:
    return layer("InnerProduct", bottom, top, f"inner_product_param {{ num_output: {outputs} {WEIGHTS} }}")


def relu(blob: str) -> str:
    return layer("ReLU", blob, blob)


def lrn(bottom: str, top: str) -> str:
    return layer("LRN", bottom, top, "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }")


LENET = [
    *(conv("data", "c1", 20, 5), pool("c1", "p1", 2), conv("p1", "c2", 50, 5), pool("c2", "p2", 2)),
    *(inner("p2", "i1", 500), relu("i1"), inner("i1", "out", 10)),
]
QUICK = [
    *(conv("data", "c1", 32, 5, "pad: 2"), pool("c1", "p1"), relu("p1")),
    *(conv("p1", "c2", 32, 5, "pad: 2"), relu("c2"), pool("c2", "p2", 3, "AVE")),
    *(conv("p2", "c3", 64, 5, "pad: 2"), relu("c3"), pool("c3", "p3", 3, "AVE")),
    *(inner("p3", "i1", 64), inner("i1", "out", 10)),
]
CAFFENET = [
    *(conv("data", "c1", 96, 11, "stride: 4"), relu("c1"), pool("c1", "p1"), lrn("p1", "n1")),
    *(conv("n1", "c2", 256, 5, "pad: 2 group: 2"), relu("c2"), pool("c2", "p2"), lrn("p2", "n2")),
    *(
        conv("n2", "c3", 384, 3, "pad: 1"),
        relu("c3"),
        conv("c3", "c4", 384, 3, "pad: 1 group: 2"),
        relu("c4"),
    ),
    *(conv("c4", "c5", 256, 3, "pad: 1 group: 2"), relu("c5"), pool("c5", "p5"), inner("p5", "i6", 4096)),
    *(relu("i6"), inner("i6", "i7", 4096), relu("i7"), inner("i7", "out", 1000)),
]
