"""Methods of CaffeOnSpark over a stand-in for the trainer."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from jobs.api import CaffeOnSpark, Config, DataSource, Refused
from jobs.trainer.contract import Validation
from tests.jobs.api.conftest import Executors, Session, Trainer


@pytest.fixture
def config(prototxts: Path) -> Config:
    args = {"conf": str(prototxts), "model": "hdfs:///m", "clusterSize": 2, "connection": "ethernet"}
    return Config(None, {**args, "features": "ip1", "label": "label"})


def source(config: Config, training: bool) -> Any:
    return DataSource(None).getSource(config, training)


def test_train_trains_without_validation(trainer: type[Trainer], config: Config) -> None:
    CaffeOnSpark(Session()).train(source(config, True))

    made = trainer.made[0]
    assert made.did == ["prepare", "train"]
    assert (made.options.train, made.options.scores) == (True, False)
    assert made.job.test_interval == 0
    assert {test.test_iter for test in made.job.tests} == {0}


def test_train_with_validation_returns_a_row_per_round(trainer: type[Trainer], config: Config) -> None:
    trainer.rounds = [Validation(100, 200, {"accuracy": [0.5], "loss": [1.5]})]

    frame = CaffeOnSpark(Session()).trainWithValidation(source(config, True), source(config, False))

    assert frame == ([(100, [0.5], [1.5])], ["iteration", "accuracy", "loss"])
    assert trainer.made[0].job.test_interval == 100


def test_training_without_validations_is_refused_where_they_are_returned(
    trainer: type[Trainer], config: Config, prototxts: Path
) -> None:
    prototxts.write_text(prototxts.read_text().replace("test_interval: 100", "test_interval: 0"))
    with pytest.raises(Refused, match=r"test_interval or test_iter is 0"):
        CaffeOnSpark(Session()).trainWithValidation(source(config, True), source(config, False))
    assert trainer.made == []


def test_sources_of_two_configurations_are_refused(trainer: type[Trainer], config: Config) -> None:
    other = Config(None, {"conf": config.protoFile, "model": "hdfs:///other"})
    with pytest.raises(Refused, match="configurations of different options"):
        CaffeOnSpark(Session()).trainWithValidation(source(config, True), source(other, False))


def test_test_returns_the_mean_of_each_output(trainer: type[Trainer], config: Config) -> None:
    means = CaffeOnSpark(Session()).test(source(config, False))

    assert means == {"accuracy": [0.5], "loss": [0.5]}
    assert (trainer.made[0].options.test, trainer.made[0].options.features) == (True, ())


def test_features_are_a_frame_of_ids_blobs_and_label(trainer: type[Trainer], config: Config) -> None:
    frame = CaffeOnSpark(Session()).features(source(config, False))

    assert frame.columns == ("SampleID", "`ip1`", "`label`")
    assert frame.did == ["prepare", "scored"]


def test_features_without_names_are_refused(trainer: type[Trainer], config: Config) -> None:
    config.features = []
    with pytest.raises(Refused, match=r"Set cfg\.features"):
        CaffeOnSpark(Session()).features(source(config, False))


@pytest.mark.parametrize(("method", "training"), [("train", False), ("test", True), ("features", True)])
def test_a_source_of_the_other_phase_is_refused(
    trainer: type[Trainer], config: Config, method: str, training: bool
) -> None:
    with pytest.raises(Refused, match=rf"{method}: its source .*getSource\(cfg, {not training}\)"):
        getattr(CaffeOnSpark(Session()), method)(source(config, training))


@pytest.mark.parametrize(
    ("setting", "value"),
    [("task_maxFailures", "4"), ("stage_maxConsecutiveAttempts", "4"), ("speculation", "true")],
)
def test_a_context_that_would_train_again_is_refused_by_the_setting(
    trainer: type[Trainer], config: Config, setting: str, value: str
) -> None:
    cos = CaffeOnSpark(Session(**{setting: value}))
    with pytest.raises(Refused, match=rf"spark.{setting.replace('_', '.')}.*Start the Spark context with"):
        cos.train(source(config, True))
    cos.test(source(config, False))


def test_executors_of_several_tasks_are_refused_where_several_train(
    trainer: type[Trainer], config: Config
) -> None:
    Executors.slot = 4
    with pytest.raises(Refused, match=r"has 4 task slots.*spark\.task\.cpus"):
        CaffeOnSpark(Session()).train(source(config, True))
    config.clusterSize = 1
    CaffeOnSpark(Session()).train(source(config, True))


def test_channels_of_features_are_closed_by_the_next_run(trainer: type[Trainer], config: Config) -> None:
    session, before = Session(), threading.active_count()
    for _ in range(5):
        CaffeOnSpark(session).features(source(config, False))
    assert threading.active_count() <= before + 1
    CaffeOnSpark(session).test(source(config, False))
    assert threading.active_count() == before

    CaffeOnSpark(session).features(source(config, False))
    session.sparkContext._jsc = None
    CaffeOnSpark(Session())
    assert threading.active_count() == before


@pytest.mark.parametrize("path", ["", "/opt/spark/python", "/opt/caffe/python3"])
def test_a_context_whose_executors_do_not_find_caffe_is_refused(trainer: type[Trainer], path: str) -> None:
    with pytest.raises(Refused, match=r"executorEnv.PYTHONPATH '.*would not import.*=/opt/caffe/python\.$"):
        CaffeOnSpark(Session(executorEnv_PYTHONPATH=path))
    CaffeOnSpark(Session(executorEnv_PYTHONPATH=path, master="local[1]"))
    CaffeOnSpark(Session(executorEnv_PYTHONPATH="/x:/opt/caffe/python/"))


def test_runs_on_one_context_share_what_they_distribute(trainer: type[Trainer], config: Config) -> None:
    session = Session()
    CaffeOnSpark(session).train(source(config, True))
    CaffeOnSpark(session).test(source(config, False))
    CaffeOnSpark(Session()).test(source(config, False))

    first, second, other = (made.shared["nodes"] for made in trainer.made)
    assert first is second
    assert other is not first


def test_a_change_of_the_configuration_counts_for_sources_made_before(
    trainer: type[Trainer], config: Config
) -> None:
    train = source(config, True)
    config.modelPath = "hdfs:///later"
    CaffeOnSpark(Session()).train(train)
    assert trainer.made[0].options.model == "hdfs:///later"


def test_a_source_says_what_it_reads(messages: None, config: Config) -> None:
    words = repr(source(config, False))
    assert words.startswith("TEST records of ")
    assert "data layer data, batch 100" in words


def test_a_solver_that_cannot_run_is_refused_when_its_source_is_made(messages: None) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        source(Config(None, {"conf": "missing.prototxt", "model": "m"}), True)
