"""Configurations: CaffeOnSpark's attributes over options of the command line."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.api import Config
from jobs.api.config import _OPTIONS
from jobs.trainer import cli
from jobs.trainer.errors import Refused


class Incomparable:
    """A value as a column of Spark or pandas, which is neither true nor false once compared."""

    def __eq__(self, _: object) -> bool:
        raise ValueError("ambiguous")

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    "args",
    [
        {"conf": "s.prototxt", "model": "m", "features": "ip1,loss", "label": "label", "devices": 1},
        {"-conf": "s.prototxt", "-model": "m", "-features": ["ip1", "loss"], "-label": "label"},
        {"--conf": "s.prototxt", "model": "m", "features": ("ip1", "loss"), "label": "label", "train": False},
        {"conf": Path("s.prototxt"), "model": "m", "features": "ip1,loss", "label": "label", "weights": ""},
        ["-conf", "s.prototxt", "-model", "m", "-features", "ip1,loss", "-label", "label"],
        "-conf s.prototxt -model 'm' -features ip1,loss -label label",
    ],
)
def test_arguments_are_options_with_or_without_a_dash_or_words(args: Any) -> None:
    config = Config(None, args)

    assert (config.protoFile, config.modelPath, config.label) == ("s.prototxt", "m", "label")
    assert config.features == ["ip1", "loss"]
    assert config.options("features").columns == ("ip1", "loss", "label")


def test_values_of_numpy_are_those_of_python() -> None:
    config = Config(
        None, {"devices": np.int64(2), "features": np.array(["ip1", "loss"]), "train": np.bool_(False)}
    )
    assert repr(config) == "Config(-devices 2 -features ip1,loss)"
    config.clusterSize, config.features, config.isTest = np.int32(3), np.array([]), np.bool_(True)
    assert repr(config) == "Config(-devices 2 -clusterSize 3 -test)"
    words: Any = np.array(["-label", "label"])
    assert Config(None, words).label == "label"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((None, [("conf", "a"), ("model", "m")]), "it is of type tuple"),
        ((None, {"conf": {"a": 1}}), "it is of type dict"),
        ((None, {"features": [None]}), "it is of type NoneType"),
        ((None, {"features": np.array([["a"], ["b"]])}), "it is of type list"),
        ((None, {"model": Incomparable()}), "it is of type Incomparable"),
        ((None, 7), "options are a dictionary, a list of words or a text"),
        ((None, "-conf 'a"), "not a valid command line (No closing quotation)"),
        (({"conf": "a"},), "its first argument is the Spark context"),
        (("-conf a",), "its first argument is the Spark context"),
    ],
)
def test_arguments_of_another_type_are_refused(arguments: Any, words: str) -> None:
    with pytest.raises(Refused, match=r"^Config: .*Give Config\(sc, ") as refused:
        Config(*arguments)
    assert words in str(refused.value)


@pytest.mark.parametrize("value", ["", None, False])
def test_an_unknown_option_is_refused_also_without_a_value(value: Any) -> None:
    with pytest.raises(Refused, match="-modle: there is no such option"):
        Config(None, {"modle": value})


@pytest.mark.parametrize("name", ["label", "snapshotStateFile", "modelPath", "features", "clusterSize"])
def test_an_empty_text_unsets_an_option(name: str) -> None:
    config = Config(None, {"conf": "s"})
    before = repr(config)
    setattr(config, name, "")
    assert repr(config) == before
    setattr(config, name, "2")
    assert repr(config) != before
    setattr(config, name, "")
    assert repr(config) == before


@pytest.mark.parametrize("made", [copy.copy, copy.deepcopy])
def test_a_copy_has_options_of_its_own(made: Any) -> None:
    config = Config(None, {"conf": "s", "model": "m"})
    other = made(config)
    assert other.same(config)
    other.modelPath = "n"
    assert (config.modelPath, other.modelPath, other.protoFile) == ("m", "n", "s")


def test_attributes_are_what_the_command_line_reads() -> None:
    config = Config(None)
    config.protoFile, config.modelPath = "s.prototxt", "hdfs:///m"
    config.devices, config.clusterSize, config.connection = 1, 2, "ethernet"
    config.snapshotStateFile, config.snapshotModelFile = "a.solverstate", "a.caffemodel"
    config.isRddPersistent, config.lmdb_partitions = True, 4

    options = config.options("train")

    assert (options.conf, options.model, options.cluster_size) == ("s.prototxt", "hdfs:///m", 2)
    assert (options.snapshot, options.weights) == ("a.solverstate", ("a.caffemodel",))
    assert len(options.notes) == 2
    config.isRddPersistent = False
    assert not config.isRddPersistent
    assert len(config.options("train").notes) == 1


def test_every_option_has_an_attribute() -> None:
    assert set(_OPTIONS.values()) == set(cli.FLAGS)


def test_the_method_decides_the_mode_and_options_of_others_have_no_effect() -> None:
    words = "-train -test -features ip1 -label label -conf s -model m -weights w -output o"
    config = Config(None, words.split())

    train, test, features = (config.options(mode) for mode in ("train", "test", "features"))

    assert (train.train, train.scores, train.weights) == (True, False, ("w",))
    assert (test.train, test.test, test.features, test.weights) == (False, True, (), ())
    assert (features.train, features.test, features.features) == (False, False, ("ip1",))
    assert {options.output for options in (train, test, features)} == {""}


@pytest.mark.parametrize(
    ("name", "near"),
    [("protofile", "protoFile"), ("model", "modelPath"), ("lmdbPartitions", "lmdb_partitions")],
)
def test_an_attribute_that_does_not_exist_names_those_of_similar_names(name: str, near: str) -> None:
    with pytest.raises(AttributeError, match=near):
        getattr(Config(None), name)
    with pytest.raises(AttributeError, match=near):
        setattr(Config(None), name, "x")


def test_an_attribute_like_no_other_names_all() -> None:
    with pytest.raises(AttributeError, match=r"attributes: .*modelPath.*protoFile"):
        Config(None).zzz = 1


def test_features_decide_whether_they_are_extracted() -> None:
    config = Config(None, {"features": "ip1"})
    config.isFeature = True  # as notebooks do
    assert config.isFeature
    with pytest.raises(AttributeError, match="read only: set features"):
        config.isFeature = False
    config.features = []
    assert not config.isFeature


def test_a_wrong_option_or_value_is_refused_in_the_words_of_the_command_line() -> None:
    with pytest.raises(Refused, match="-modle: there is no such option"):
        Config(None, {"modle": "m"})
    config = Config(None, {"conf": "s", "model": "m"})
    config.devices = "two"
    with pytest.raises(Refused, match="-devices two: it takes a whole number"):
        config.options("train")


def test_the_solver_and_its_net_can_be_read(prototxts: Path, messages: None) -> None:
    config = Config(None, {"conf": str(prototxts)})
    assert config.solverParameter.max_iter == 2000
    assert [layer.name for layer in config.netParam.layer][:3] == ["data", "data", "conv1"]
    with pytest.raises(AttributeError, match="read only"):
        config.netParam = None


def test_a_configuration_shows_its_options_and_completes_its_attributes() -> None:
    config = Config(None, {"conf": "s", "persistent": True})
    assert repr(config) == "Config(-conf s -persistent)"
    assert {"protoFile", "features"} <= set(dir(config))
