"""Sources of a net's records, by phase."""

from __future__ import annotations

from typing import Any

from jobs.api.config import Config
from jobs.trainer.caffe.datalayer import DataLayer
from jobs.trainer.caffe.prototxt import TrainingJob
from jobs.trainer.environment import training_job

TRAIN, TEST = "TRAIN", "TEST"


class Source:
    """Records of a phase's data layer; changes of the configuration count until it is used."""

    def __init__(self, config: Config, *, training: bool) -> None:
        self.config, self.training = config, training
        self.phase = TRAIN if training else TEST
        self.job()

    def job(self) -> TrainingJob:
        """Read the solver and its nets.

        Raises:
            Refused: they cannot run.
        """
        from jobs.trainer.caffe import native

        return training_job(self.config.protoFile, native.protos(), resize=bool(self.config.resize))

    @property
    def layer(self) -> DataLayer:
        """The data layer; of several TEST nets the first one's."""
        job = self.job()
        return job.train if self.training else job.tests[0].data

    def __repr__(self) -> str:
        layer = self.layer
        words = "{} records of {} ({}), data layer {}, batch {}"
        return words.format(self.phase, layer.uri, layer.source_class, layer.layer, layer.batch)


class DataSource:
    """Maker of sources; `sc` is for CaffeOnSpark's signature."""

    def __init__(self, sc: Any = None) -> None:  # noqa: ANN401
        self._context = sc

    def getSource(self, conf: Config, isTraining: bool) -> Source:
        """Return the source of the TRAIN net's data layer, or of the TEST net's.

        Raises:
            Refused: the solver or a net of it cannot run.
        """
        return Source(conf, training=isTraining)
