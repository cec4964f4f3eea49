"""Max pooling and convolution compute their definitions, forward and backward.

Values are small whole numbers, so that sums in float32 are exact, and equal in any order.
"""

import itertools
import tempfile
from pathlib import Path

import caffe
import numpy as np

HEADER = """
force_backward: true
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: %d dim: %d dim: %d dim: %d } } }
"""
POOLING = """
layer { name: "out" type: "Pooling" bottom: "data" top: "out" TOP
  pooling_param { pool: MAX kernel_h: %d kernel_w: %d stride_h: %d stride_w: %d pad_h: %d pad_w: %d } }
"""
CONVOLUTION = """
layer { name: "out" type: "Convolution" bottom: "data" top: "out" convolution_param { num_output: 3
  kernel_h: %d kernel_w: %d stride_h: %d stride_w: %d pad_h: %d pad_w: %d dilation: %d } }
"""
SHAPE = (2, 3, 9, 11)
RANDOM = np.random.RandomState(0)


def net_of(text):
    """Return the net of these layers over an input of SHAPE."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "net.prototxt")
        file.write_text(HEADER % SHAPE + text)
        return caffe.Net(str(file), caffe.TEST)


def whole(shape):
    """Return random whole numbers of -4 to 4."""
    return RANDOM.randint(-4, 5, shape).astype(np.float32)


def spans(length, kernel, stride, pad, count):
    """Return where each of `count` windows begins and ends in an image of that length."""
    starts = [at * stride - pad for at in range(count)]
    return [(max(start, 0), min(start + kernel, length)) for start in starts]


def check_pooling(kernel, stride, pad, mask):
    """Compare outputs, positions and gradients of max pooling with their definition."""
    text = POOLING % (*kernel, *stride, *pad)
    net = net_of(text.replace("TOP", 'top: "mask"' if mask else ""))
    data = whole(SHAPE)
    # Of equal values the first counts; one that is no number is never the largest.
    data[0, 0, 2, 3] = data[1, 2, 0, 0] = np.nan
    net.blobs["data"].data[...] = data
    net.forward()
    out = net.blobs["out"].data
    back = whole(out.shape)
    expected, places, gradient = np.empty_like(out), np.empty_like(out), np.zeros_like(data)
    rows = spans(SHAPE[2], kernel[0], stride[0], pad[0], out.shape[2])
    columns = spans(SHAPE[3], kernel[1], stride[1], pad[1], out.shape[3])
    for image, channel in itertools.product(*map(range, SHAPE[:2])):
        for (row, (top, bottom)), (column, (left, right)) in itertools.product(
            enumerate(rows), enumerate(columns)
        ):
            window = np.nan_to_num(data[image, channel, top:bottom, left:right], nan=-np.inf)
            y, x = np.unravel_index(np.argmax(window), window.shape)
            expected[image, channel, row, column] = window[y, x]
            places[image, channel, row, column] = (top + y) * SHAPE[3] + left + x
            gradient[image, channel, top + y, left + x] += back[image, channel, row, column]
    assert np.array_equal(out, expected), (kernel, stride, pad)
    if mask:
        assert np.array_equal(net.blobs["mask"].data, places), (kernel, stride, pad)
    net.blobs["out"].diff[...] = back
    net.backward()
    assert np.array_equal(net.blobs["data"].diff, gradient), (kernel, stride, pad)


def check_convolution(kernel, stride, pad, dilation):
    """Compare outputs and gradients of a convolution with their definition."""
    net = net_of(CONVOLUTION % (*kernel, *stride, *pad, dilation))
    data, weights = whole(SHAPE), whole(net.params["out"][0].data.shape)
    net.blobs["data"].data[...] = data
    net.params["out"][0].data[...] = weights
    net.params["out"][1].data[...] = 0
    net.forward()
    out = net.blobs["out"].data
    back = whole(out.shape)
    padded = np.pad(data, ((0, 0), (0, 0), (pad[0], pad[0]), (pad[1], pad[1])))
    gradient, of_weights, expected = np.zeros_like(padded), np.zeros_like(weights), np.zeros_like(out)
    for row, column in itertools.product(range(kernel[0]), range(kernel[1])):
        top, left = row * dilation, column * dilation
        # The values that this place of the kernel meets, one for each place of the output.
        met = (
            slice(None),
            slice(None),
            slice(top, top + out.shape[2] * stride[0], stride[0]),
            slice(left, left + out.shape[3] * stride[1], stride[1]),
        )
        place = weights[:, :, row, column]
        expected += np.einsum("oc,nchw->nohw", place, padded[met])
        of_weights[:, :, row, column] = np.einsum("nohw,nchw->oc", back, padded[met])
        gradient[met] += np.einsum("oc,nohw->nchw", place, back)
    inside = gradient[:, :, pad[0] : pad[0] + SHAPE[2], pad[1] : pad[1] + SHAPE[3]]
    assert np.array_equal(out, expected), (kernel, stride, pad, dilation)
    net.blobs["out"].diff[...] = back
    net.backward()
    assert np.array_equal(net.blobs["data"].diff, inside), (kernel, stride, pad, dilation)
    assert np.array_equal(net.params["out"][0].diff, of_weights), (kernel, stride, pad, dilation)


caffe.set_mode_cpu()
for sizes in [
    ((2, 2), (2, 2), (0, 0)),
    ((3, 2), (2, 1), (1, 0)),
    ((3, 3), (1, 2), (1, 2)),
    ((5, 4), (3, 3), (2, 1)),
]:
    for with_mask in (False, True):
        check_pooling(*sizes, mask=with_mask)
for sizes in [
    ((5, 5), (1, 1), (0, 0), 1),
    ((3, 3), (1, 1), (1, 1), 1),
    ((5, 3), (1, 1), (4, 6), 1),
    ((3, 2), (2, 3), (1, 2), 1),
    ((3, 3), (1, 1), (3, 2), 2),
    ((2, 3), (3, 2), (2, 5), 3),
    ((1, 1), (2, 2), (0, 0), 1),
]:
    check_convolution(*sizes)
print("layers: ok")
