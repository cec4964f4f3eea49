"""Fabric tasks of data sets: own data, and converters.

Modules are imported by the tasks that use them, as in `bootstrap.tasks`.
"""

from __future__ import annotations

from fabric import task
from invoke.context import Context

from bootstrap.arguments import help_if_asked
from bootstrap.console import STACK_HELP, console, expected_errors_in_one_line, print_whole
from bootstrap.errors import ConfigError
from bootstrap.tasks import cluster_of, reading_of
from jobs.converters.flags import TOOLS
from jobs.tasks.common import RESULTS

_ACTIONS = {"put": ("PATH", "NAME"), "list": (), "show": ("NAME",)}
"""Actions of `fab data`, with the words that each takes."""


@task(
    positional=["action", "what", "name"],
    optional=["what", "name"],
    help={
        "action": "put PATH NAME: own data into shared storage; list: what is there; show NAME: its content",
        "what": "put: file or folder of this machine; show: name of the data",
        "name": "put: name by which specifications name it",
        "labels": "put: file of lines FILE LABEL, for images that are not in folders by class",
        "force": "put: replace other content of that name",
        "stack": STACK_HELP,
    },
)
@expected_errors_in_one_line
def data(  # noqa: PLR0917 - flags, which Fabric passes by name
    _: Context,
    action: str,
    what: str | None = None,
    name: str | None = None,
    labels: str | None = None,
    force: bool = False,
    stack: str | None = None,
) -> None:
    """Put own data into shared storage, list it, show what it holds."""
    help_if_asked("data", action)
    words = [word for word in (what, name) if word]
    _check_data(action, words, labels=labels, force=force)
    from jobs.datasets import own

    if action == "put":
        own.require_own(words[1])
    reading = reading_of(stack)
    from jobs.datasets import put as put_data
    from jobs.datasets import show as show_data

    cluster = cluster_of(reading, wait=False)
    if action == "put":
        put_data.put(cluster, words[0], words[1], console, labels=labels, force=force)
    elif action == "list":
        print_whole(show_data.table(cluster))
    else:
        show_data.show(cluster, words[0], console, RESULTS)


def _check_data(action: str, words: list[str], *, labels: str | None, force: bool) -> None:
    """Refuse a wrong action, wrong words after it, and flags that it does not take."""
    typed = " ".join(["fab data", action, *words])
    forms = ", ".join(f"`{' '.join(['fab data', name, *takes])}`" for name, takes in _ACTIONS.items())
    if action not in _ACTIONS:
        raise ConfigError(typed, f"{action!r} is not a valid action", f"Type one of {forms}.")
    takes = _ACTIONS[action]
    form = f"Type `{' '.join(['fab data', action, *takes])}`."
    if len(words) != len(takes):
        raise ConfigError(typed, f"{action} takes {' and '.join(takes) or 'no further words'}", form)
    if action != "put" and (labels or force):
        raise ConfigError(typed, f"{'--labels' if labels else '--force'} is for put alone", form)


@task(
    positional=["tool"],
    help={
        "tool": f"one of {', '.join(TOOLS)}",
        "image_root": "folder of the images, or the LMDB or frame to convert, in shared storage",
        "label_file": "file of lines FILE LABEL, for Binary2DataFrame FILE LABEL ID",
        "output": "what to write; it must not exist",
        "output_format": "of frames: json (default) or parquet",
        "lmdb_partitions": "parts in which an LMDB is read; default: by its size",
        "caption_file": "captions in COCO's format",
        "caption_length": "most words of a caption; default: 20",
        "vocab_size": "most words of the vocabulary; default: -1, all",
        "vocab_dir": "name of the vocabulary below the output; an existing one is used",
        "image_caption_df_dir": "name of the frame of images and captions below the output",
        "embedding_df_dir": "name of the frame of images and word ids below the output",
        "executors": "executors of Spark; default: one for each worker",
        "stack": STACK_HELP,
    },
)
@expected_errors_in_one_line
def convert(  # noqa: PLR0917 - flags, which Fabric passes by name
    _: Context,
    tool: str,
    image_root: str | None = None,
    label_file: str | None = None,
    output: str | None = None,
    output_format: str | None = None,
    lmdb_partitions: int | None = None,
    caption_file: str | None = None,
    caption_length: int | None = None,
    vocab_size: str | None = None,
    vocab_dir: str | None = None,
    image_caption_df_dir: str | None = None,
    embedding_df_dir: str | None = None,
    executors: int | None = None,
    stack: str | None = None,
) -> None:
    """Convert images, databases and captions in shared storage with one of CaffeOnSpark's tools."""
    help_if_asked("convert", tool)
    # Invoke gives texts.
    if executors is not None and not (str(executors).isdecimal() and int(executors) >= 1):
        raise ConfigError(f"--executors {executors}", "it is not a valid number", "Give at least 1.")
    flags = {
        "imageRoot": image_root,
        "labelFile": label_file,
        "output": output,
        "outputFormat": output_format,
        "lmdb_partitions": lmdb_partitions,
        "captionFile": caption_file,
        "captionLength": caption_length,
        "vocabSize": vocab_size,
        "vocabDir": vocab_dir,
        "imageCaptionDFDir": image_caption_df_dir,
        "embeddingDFDir": embedding_df_dir,
    }
    from jobs.run import convert as converting

    argv = converting.arguments(tool, flags)
    number = None if executors is None else int(executors)
    converting.convert(cluster_of(stack, wait=False), argv, console, executors=number)
