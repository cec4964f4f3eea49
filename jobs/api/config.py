"""Configuration of a notebook or pipeline: options of the command line as attributes."""

from __future__ import annotations

import shlex
from dataclasses import replace
from difflib import get_close_matches
from pathlib import PurePath
from typing import Any, List, Mapping, Sequence, Tuple, Union

import numpy as np

from jobs.trainer import cli
from jobs.trainer.caffe import text
from jobs.trainer.environment import solver_file
from jobs.trainer.errors import Refused

_SWITCHES = {"isTraining": "train", "isTest": "test", "isRddPersistent": "persistent", "resize": "resize"}
_TEXTS = {
    "protoFile": "conf",
    "label": "label",
    "modelPath": "model",
    "outputPath": "output",
    "outputFormat": "outputFormat",
    "connection": "connection",
    "snapshotStateFile": "snapshot",
    "snapshotModelFile": "weights",
}
_COUNTS = {"devices": "devices", "clusterSize": "clusterSize", "lmdb_partitions": "lmdb_partitions"}
_LISTS = {"features": "features"}
_CONVERTERS = {name: name for name in cli.CONVERTERS}
_OPTIONS = {**_SWITCHES, **_TEXTS, **_COUNTS, **_LISTS, **_CONVERTERS}
"""Options by attribute."""
_READ_ONLY = ("isFeature", "netParam", "solverParameter", "transform_thread_per_device")
ATTRIBUTES: Tuple[str, ...] = tuple(sorted((*_OPTIONS, *_READ_ONLY)))
_DEFAULTS: Mapping[str, str] = {**cli.TEXTS, **{name: str(count) for name, count in cli.COUNTS.items()}}
_OF_TRAINING = ("weights", "snapshot")
_OF_SCORING = ("features", "label")
_MODES = ("train", "test")

Arguments = Union[Mapping[str, Any], Sequence[str], str, None]


class Config:
    """Options by CaffeOnSpark's attributes; one that does not exist is an AttributeError.

    Args:
        sc: the Spark context or session, which only CaffeOnSpark needs.
        args: options with their values, with or without a dash; or a command line, as its words or as a text.

    Raises:
        Refused: an unknown option, a value that is missing, or arguments of another type.
    """

    def __init__(self, sc: Any = None, args: Arguments = None) -> None:  # noqa: ANN401
        if isinstance(sc, (str, Mapping, list, tuple)):
            raise _invalid(sc, "its first argument is the Spark context, or None")
        values, notes = cli.split(_words(args))
        self.__dict__.update(_values=values, _notes=tuple(notes))

    def __copy__(self) -> Config:
        made = Config()
        made.__dict__.update(_values=dict(self._values), _notes=self._notes)
        return made

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as the option
        if name.startswith("_"):
            raise AttributeError(name)
        if name in {"netParam", "solverParameter"}:
            return self._message(name)
        if name == "isFeature":
            return bool(self.features)
        if name == "transform_thread_per_device":
            return 1
        option = _option(name)
        if name in _SWITCHES:
            return option in self._values
        value = self._values.get(option, _DEFAULTS.get(option, ""))
        if name in _LISTS:
            return [part for part in value.split(",") if part]
        return int(value) if name in _COUNTS and value.isdecimal() else value

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401 - as the option
        if name in _READ_ONLY:
            # Notebooks set isFeature beside `features`, which decides.
            if name in _SAID and value == getattr(self, name):
                return
            raise AttributeError("{} is read only{}".format(name, _SAID.get(name, "")))
        option, value = _option(name), _plain(value)
        if value is None or value is False or (name not in _SWITCHES and _empty(value)):
            self._values.pop(option, None)
        else:
            words = _words({option: value})
            self._values.update({option: cli.split(words)[0][option]})

    def same(self, other: Config) -> bool:
        """Return whether another configuration has the same options."""
        return self._values == other._values  # type: ignore[no-any-return]

    def __dir__(self) -> List[str]:
        return [*ATTRIBUTES, "options", "same"]

    def __repr__(self) -> str:
        return "Config({})".format(
            " ".join("-{} {}".format(name, value).strip() for name, value in self._values.items())
        )

    def options(self, mode: str) -> cli.Options:
        """Return the options of a run: `train`, `test` or `features`.

        The method that runs decides the mode, and options of other modes have no effect.

        Raises:
            Refused: they cannot run.
        """
        absent = {*_MODES, *(_OF_SCORING if mode == "train" else _OF_TRAINING)}
        if mode == "test":
            absent.update(_OF_SCORING)
        words = ["-" + mode] if mode in _MODES else []
        for name, value in self._values.items():
            if name not in absent:
                words += ["-" + name, value] if value else ["-" + name]
        parsed = cli.parse(words)
        # Results are returned, and not written to -output.
        return replace(parsed, output="", notes=(*self._notes, *parsed.notes))

    def _message(self, name: str) -> Any:  # noqa: ANN401 - a message of Caffe's
        from jobs.trainer.caffe import native
        from jobs.trainer.caffe.nets import declared_net

        pb, path = native.protos(), solver_file(self.protoFile)
        solver = text.read(path, pb.SolverParameter())
        return solver if name == "solverParameter" else declared_net(solver, path, pb)


_SAID = {
    "isFeature": ": set features to the names of blobs, or to an empty list",
    "transform_thread_per_device": ": one thread of Caffe's feed transforms records",
}
"""Attributes that may be set to the value that they have."""


def _option(name: str) -> str:
    """Return the option of an attribute.

    Raises:
        AttributeError: there is no such attribute; with those of similar names.
    """
    if name in _OPTIONS:
        return _OPTIONS[name]
    lower = {known.lower(): known for known in ATTRIBUTES}
    lower.update({option.lower(): known for known, option in _OPTIONS.items()})
    near = dict.fromkeys(lower[match] for match in get_close_matches(name.lower(), lower, n=3))
    words = "did you mean {}?".format(", ".join(near)) if near else "attributes: " + ", ".join(ATTRIBUTES)
    raise AttributeError("Config has no attribute {!r}: {}".format(name, words))


def _words(args: Any) -> List[str]:  # noqa: ANN401 - what a user gives
    """Return arguments as words of a command line.

    Raises:
        Refused: they are of another type than `Arguments`.
    """
    args = _plain(args)
    if args is None:
        return []
    if isinstance(args, str):
        try:
            return shlex.split(args)
        except ValueError as error:
            raise _invalid(args, "it is not a valid command line ({})".format(error)) from error
    if isinstance(args, (list, tuple)):
        return [_text(word) for word in args]
    if not isinstance(args, Mapping):
        raise _invalid(args, "options are a dictionary, a list of words or a text")
    words: List[str] = []
    for name, each in args.items():
        value = _plain(each)
        option = _text(name) if str(name).startswith("-") else "-" + _text(name)
        known = option.lstrip("-")
        if known in cli.FLAGS and (value is None or value is False):
            continue
        if known in cli.FLAGS and known not in _SWITCHES.values() and _empty(value):
            continue
        words.append(option)
        if isinstance(value, (list, tuple)):
            words.append(",".join(map(_text, value)))
        elif not (value is None or isinstance(value, bool) or _empty(value)):
            words.append(_text(value))
    return words


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Return numbers, texts and arrays of numpy as those of Python."""
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else value


def _empty(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, (str, list, tuple)) and not value


def _text(value: Any) -> str:  # noqa: ANN401
    """Return a word or value as text.

    Raises:
        Refused: it is neither a text nor a number nor a path.
    """
    value = _plain(value)
    if isinstance(value, bool) or not isinstance(value, (str, int, float, PurePath)):
        reason = "it is of type {}, and words and values are texts or numbers"
        raise _invalid(value, reason.format(type(value).__name__))
    return str(value)


def _invalid(value: Any, reason: str) -> Refused:  # noqa: ANN401
    return Refused("config-invalid", value=repr(value)[:80], reason=reason)
