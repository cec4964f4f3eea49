"""Axes of a net's blobs that are the batch's, of a net that counts as pycaffe's does."""

from __future__ import annotations

from jobs.trainer.caffe.axes import NO_AXIS, axes_of, kept


class Blob:
    def __init__(self, *shape: int) -> None:
        self.shape = shape

    def reshape(self, *shape: int) -> None:
        self.shape = shape


class Net:
    """A net of sequences of five words."""

    def __init__(self, batch: int) -> None:
        self.blobs = {"data": Blob(batch, 3), "mean": Blob(4)}
        self.reshape()

    def reshape(self) -> None:
        batch = self.blobs["data"].shape[0]
        made = {
            "words": (5, batch),
            "merged": (5 * batch, 2),
            "pairs": (batch, batch),
            "padded": (batch + 1,),
        }
        self.blobs.update({name: Blob(*shape) for name, shape in made.items()})


def test_the_axis_of_a_batch_is_the_one_that_grows_with_it() -> None:
    # A batch of five is as large as other axes are.
    axes = axes_of(Net(5), 5, {"data": [6, 3]})

    assert axes == {"data": 0, "words": 1, "merged": NO_AXIS, "pairs": NO_AXIS, "padded": NO_AXIS}


def test_the_net_keeps_the_larger_batch() -> None:
    net = Net(5)

    axes_of(net, 5, {"data": [6, 3]})

    assert net.blobs["words"].shape == (5, 6)


class Literal(Net):
    """A net with a batch of six as a literal."""

    def reshape(self) -> None:
        super().reshape()
        batch = self.blobs["data"].shape[0]
        made = {"literal": (6, batch // 2), "later": (2, 6, batch), "table": (6, 7), "sum": ()}
        self.blobs.update({name: Blob(*shape) for name, shape in made.items()})


def test_a_blob_that_keeps_its_rows_in_a_smaller_batch_is_told_with_its_shape() -> None:
    assert kept(Literal(6), 6, {"data": [4, 3]}) == {"literal": [6, 2]}
    assert kept(Net(6), 6, {"data": [4, 3]}) == {}
