"""Tables of images and drawings of nets as HTML, for notebooks."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from pathlib import Path
from typing import Any, Dict, List, Mapping, Tuple

import numpy as np

from jobs.api.png import png
from jobs.trainer.caffe import native, text
from jobs.trainer.caffe.upgrade import upgraded
from jobs.trainer.environment import solver_file

_KINDS = ((b"\x89PNG", "png"), (b"\xff\xd8", "jpeg"), (b"GIF8", "gif"), (b"BM", "bmp"))
"""First bytes of image files."""
_BOX, _GAP = (190, 44), (24, 28)
"""Width and height of a layer's box, and the space between two, in pixels."""
RANKDIRS = ("TB", "LR")


class Html:
    """HTML that a notebook shows."""

    def __init__(self, text: str) -> None:
        self.text = text

    def _repr_html_(self) -> str:
        return self.text

    def __str__(self) -> str:
        return self.text


def show_df(df: Any, nrows: int = 10) -> Html:  # noqa: ANN401 - pyspark has no types here
    """Return the first images of a frame as a table with their ids and labels.

    The frame has the columns of ImageDataFrame: `data`, `label`, and optional `id`, `height`, `width`,
    `channels` and `encoded`. Pixels that are not encoded lie by row, column and channel, blue first.

    Raises:
        ValueError: a row is not an image.
    """
    cells = ["<tr><th>Index</th><th>Label</th><th>Image</th></tr>"]
    for index, taken in enumerate(df.take(nrows)):
        row = taken.asDict()
        source = "data:image/{};base64,{}".format(*_image(row, index))
        values = (escape(str(row.get("id", index))), escape(str(row.get("label", ""))))
        cells.append('<tr><td>{}</td><td>{}</td><td><img src="{}"/></td></tr>'.format(*values, source))
    return Html("<table>{}</table>".format("".join(cells)))


def show_network(input_net_proto_file: str, rankdir: str = "TB") -> Html:
    """Return a drawing of a net's layers, from top to bottom (TB) or from left to right (LR).

    Raises:
        ValueError: there is no such direction.
        Refused: the file cannot be read, or is not a net.
    """
    if rankdir not in RANKDIRS:
        raise ValueError("rankdir {!r}: it is TB (top to bottom) or LR (left to right)".format(rankdir))
    path, pb = solver_file(input_net_proto_file), native.protos()
    net = upgraded(text.read(Path(path), pb.NetParameter()), path.name, pb)
    return Html(drawing(list(net.layer), pb, rankdir))


def drawing(layers: List[Any], pb: Any, rankdir: str = "TB") -> str:  # noqa: ANN401 - messages of Caffe's
    """Return layers as SVG: a box each, below those whose blobs it takes."""
    edges = _edges(layers)
    depth = [0] * len(layers)
    for first, second in edges:  # in the order of the layers
        depth[second] = max(depth[second], depth[first] + 1)
    taken: Dict[int, int] = {}
    places: List[Tuple[int, int]] = []
    for own in depth:
        across = taken.get(own, 0)
        taken[own] = across + 1
        cell = (across, own) if rankdir == "TB" else (own, across)
        places.append((cell[0] * (_BOX[0] + _GAP[0]), cell[1] * (_BOX[1] + _GAP[1])))
    parts = [_line(places[first], places[second], rankdir) for first, second in edges]
    parts += [_box(place, *_lines(layer, pb)) for place, layer in zip(places, layers)]
    width, height = (max((place[axis] for place in places), default=0) + _BOX[axis] + 2 for axis in (0, 1))
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="{}" height="{}" font-family="sans-serif">{}</svg>'
    return svg.format(width, height, "".join(parts))


def _edges(layers: List[Any]) -> List[Tuple[int, int]]:
    """Return pairs of layers of which the first makes a blob that the second takes."""
    makers: Dict[str, List[int]] = {}
    found = []
    for index, layer in enumerate(layers):
        for blob in dict.fromkeys(layer.bottom):
            found += [(maker, index) for maker in makers.get(blob, [])]
        for blob in layer.top:
            # Layers of two phases may make one blob; in place, a layer replaces its maker.
            before = makers.get(blob, []) if blob not in layer.bottom and layer.include else []
            makers[blob] = [*before, index]
    return sorted(dict.fromkeys(found), key=lambda edge: (edge[1], edge[0]))


def _lines(layer: Any, pb: Any) -> Tuple[str, str]:  # noqa: ANN401
    """Return a layer's name, and its type with its phase and main figures."""
    phases = [
        "TRAIN" if rule.phase == pb.TRAIN else "TEST" for rule in layer.include if rule.HasField("phase")
    ]
    figures = []
    for field, value in layer.ListFields():
        if not field.name.endswith("_param") or not hasattr(value, "ListFields"):
            continue
        for name in ("num_output", "kernel_size", "stride", "pad", "batch_size"):
            if name in value.DESCRIPTOR.fields_by_name:
                given = getattr(value, name)
                shown = given if isinstance(given, int) else ",".join(map(str, given))
                figures += ["{} {}".format(name.replace("_", " "), shown)] * bool(shown)
    return str(layer.name), "{} {}".format(" ".join([layer.type, *phases]), " ".join(figures)).strip()


def _box(place: Tuple[int, int], name: str, what: str) -> str:
    x, y = place
    return (
        '<g><title>{what}</title><rect x="{x}" y="{y}" width="{w}" height="{h}" rx="6" fill="#eef3fb" '
        'stroke="#5b7db1"/><text x="{a}" y="{b}" font-size="13">{name}</text>'
        '<text x="{a}" y="{c}" font-size="10" fill="#555">{cut}</text></g>'
    ).format(
        **{"x": x + 1, "y": y + 1, "w": _BOX[0], "h": _BOX[1], "a": x + 8, "b": y + 18, "c": y + 34},
        name=escape(name),
        what=escape("{}: {}".format(name, what)),
        cut=escape(what if len(what) <= 34 else what[:33] + "…"),  # noqa: PLR2004 - what fits
    )


def _line(first: Tuple[int, int], second: Tuple[int, int], rankdir: str) -> str:
    width, height = _BOX
    ends = (
        (first[0] + width // 2, first[1] + height, second[0] + width // 2, second[1])
        if rankdir == "TB"
        else (first[0] + width, first[1] + height // 2, second[0], second[1] + height // 2)
    )
    return '<line x1="{}" y1="{}" x2="{}" y2="{}" stroke="#999"/>'.format(*ends)


def _image(row: Mapping[str, Any], index: int) -> Tuple[str, str]:
    """Return the type of an image file and its bytes in base64."""
    data = row.get("data")
    if not isinstance(data, (bytes, bytearray)):
        raise ValueError("row {}: its column data is not bytes".format(index))
    data = bytes(data)
    kind = next((kind for first, kind in _KINDS if data.startswith(first)), "")
    height, width = int(row.get("height") or 0), int(row.get("width") or 0)
    encoded = row.get("encoded")
    if encoded or (encoded is None and kind and not height):
        return kind or "png", b64encode(data).decode()
    if not height or not width:
        raise ValueError("row {}: its pixels have no height and width".format(index))
    channels = int(row.get("channels") or len(data) // (height * width))
    if channels not in {1, 3} or len(data) != channels * height * width:
        words = "row {}: {} bytes are not {} channels of {}x{}"
        raise ValueError(words.format(index, len(data), channels, height, width))
    pixels = np.frombuffer(data, np.uint8).reshape(height, width, channels)
    return "png", b64encode(png(pixels[:, :, 0] if channels == 1 else pixels[:, :, ::-1])).decode()
