"""Labels that a net takes."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import text_format

from jobs.trainer.caffe.labels import Labels, labels_of

DATA = 'layer { type: "Input" top: "data" top: "label" }'
SHAPES = {"ip": (64, 10), "maps": (8, 21, 5, 5), "top": (64, 5)}


@pytest.mark.parametrize(
    ("layers", "labels"),
    [
        ("", Labels()),
        ('layer { type: "EuclideanLoss" bottom: "ip" bottom: "label" }', Labels()),
        ('layer { type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" }', Labels(10)),
        ('layer { type: "SoftmaxWithLoss" bottom: "ip" bottom: "other" }', Labels()),
        (
            'layer { type: "SoftmaxWithLoss" bottom: "maps" bottom: "label" softmax_param { axis: -3 } }',
            Labels(21),
        ),
        (
            'layer { type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" }'
            'layer { type: "Accuracy" bottom: "top" bottom: "label" }',
            Labels(5),
        ),
        (
            'layer { type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" loss_param { ignore_label: 255 } }'
            'layer { type: "Accuracy" bottom: "ip" bottom: "label" accuracy_param { ignore_label: 255 } }',
            Labels(10, (255,)),
        ),
        (
            'layer { type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" loss_param { ignore_label: 255 } }'
            'layer { type: "Accuracy" bottom: "ip" bottom: "label" }',
            Labels(10),
        ),
        ('layer { type: "HingeLoss" bottom: "ip" bottom: "label" }', Labels(10)),
        # These index by every label, whatever they are told to ignore.
        *(
            (
                f'layer {{ type: "{kind}" bottom: "ip" bottom: "label" loss_param {{ ignore_label: 255 }} }}',
                Labels(10),
            )
            for kind in ("HingeLoss", "MultinomialLogisticLoss")
        ),
        *(
            (
                f'layer {{ type: "{kind}" bottom: "label" top: "more" top: "again" }}'
                'layer { type: "SoftmaxWithLoss" bottom: "ip" bottom: "again" }',
                Labels(10),
            )
            for kind in ("Split", "Reshape", "Flatten")
        ),
        ('layer { type: "Embed" bottom: "label" top: "word" embed_param { input_dim: 7 } }', Labels(7)),
    ],
)
def test_they_are_the_classes_of_the_layers_that_read_them(pb: Any, layers: str, labels: Labels) -> None:
    net = text_format.Parse(DATA + layers, pb.NetParameter())

    assert labels_of(net, SHAPES, "label") == labels
