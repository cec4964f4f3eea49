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
        # Classes are on the second axis where nothing says so.
        *(
            (f'layer {{ type: "{kind}" bottom: "maps" bottom: "label" }}', Labels(21))
            for kind in ("HingeLoss", "MultinomialLogisticLoss", "SoftmaxWithLoss", "Accuracy")
        ),
        ('layer { type: "InfogainLoss" bottom: "ip" bottom: "label" bottom: "H" }', Labels(10)),
        ('layer { type: "SoftmaxWithLoss" bottom: "ip" }', Labels()),
        (
            'layer { type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" loss_param { ignore_label: 1 } }'
            'layer { type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" loss_param { ignore_label: 2 } }',
            Labels(10),
        ),
        # An embedding looks up every word, also those that the loss ignores.
        (
            'layer { type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" loss_param { ignore_label: 255 } }'
            'layer { type: "Embed" bottom: "label" top: "word" embed_param { input_dim: 7 } }',
            Labels(7),
        ),
        ('layer { type: "Embed" bottom: "other" top: "word" embed_param { input_dim: 7 } }', Labels()),
        (
            'layer { type: "Split" bottom: "other" top: "more" }'
            'layer { type: "SoftmaxWithLoss" bottom: "ip" bottom: "more" }',
            Labels(),
        ),
    ],
)
def test_they_are_the_classes_of_the_layers_that_read_them(pb: Any, layers: str, labels: Labels) -> None:
    net = text_format.Parse(DATA + layers, pb.NetParameter())

    assert labels_of(net, SHAPES, "label") == labels
