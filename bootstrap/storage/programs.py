"""Short Python programs that the head runs on streams of shared storage, in little memory.

Python 3.6, since an image's own Python may be that old. A stream is what `hdfs dfs -cat DOCUMENT FILE …`
prints: a JSON document, then files, without a mark between them.
"""

from __future__ import annotations

LONGEST = 4 << 20
"""Bytes of a document that is read whole."""

_DOCUMENT = f"""
import base64, hashlib, json, sys
source, BLOCK = sys.stdin.buffer, 1 << 20
def document():
    start = source.read({LONGEST})
    text = start.decode("utf-8", "surrogateescape")
    try:
        end = len(text[: json.JSONDecoder().raw_decode(text)[1]].encode("utf-8", "surrogateescape"))
        end += start[end : end + 1] == b"\\n"
    except (ValueError, RecursionError):
        end = len(start)  # not JSON: the reader reports it
    return start[:end], start[end:]
"""

SPLIT = f"""{_DOCUMENT}
first, rest = document()
digest = hashlib.sha256(rest)
for block in iter(lambda: source.read(BLOCK), b""):
    digest.update(block)
print(base64.b64encode(first).decode(), digest.hexdigest())
"""
"""Print the document (base64) and the sha256 of what follows it."""

WHOLE, ABSENT, DIFFERS = "whole", "absent", "differs"

CHECK = f"""{_DOCUMENT}
wanted, names = json.loads(sys.argv[1]), sys.argv[2:]
def end(verdict):
    print(verdict)
    sys.exit()
def differs(why):
    end("{DIFFERS} " + why)
first, rest = document()
if not first:
    end("{ABSENT}")
try:
    manifest = json.loads(first.decode())
    inputs, files = manifest["inputs"], manifest.get("files")
    sums = [] if files is None else [(n, int(files[n]["size"]), str(files[n]["sha256"])) for n in names]
except (ValueError, KeyError, TypeError, AttributeError):
    differs("its manifest is not valid")
if inputs != wanted:
    differs("it was made of other files")
if files is None:
    differs("its manifest has no sums of its files, as those of earlier versions")
for name, size, sha256 in sums:
    digest, left = hashlib.sha256(), size
    while left > 0:
        block = rest[:left] if rest else source.read(min(left, BLOCK))
        if not block:
            differs(name + " is cut off")
        rest = rest[len(block) :]
        digest.update(block)
        left -= len(block)
    if digest.hexdigest() != sha256:
        differs(name + " has another sha256 than its manifest says")
if rest or source.read(1):
    differs(names[-1] + " is longer than its manifest says")
print("{WHOLE}")
"""
"""Print whether files match the manifest before them: WHOLE, ABSENT, or DIFFERS and the reason.

Arguments: the inputs that the manifest has to name (JSON), and the names of the files in their order.
"""

DESCRIBE = """
import hashlib, json, os, sys
folder, inputs, names = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3:]
files = {}
for name in names:
    digest = hashlib.sha256()
    with open(os.path.join(folder, name), "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
        files[name] = {"size": file.tell(), "sha256": digest.hexdigest()}
print(json.dumps({"version": 2, "inputs": inputs, "files": files}, indent=1, sort_keys=True))
"""
"""Print the manifest of a folder's files, with their sizes and sums. Arguments: folder, inputs, names."""
