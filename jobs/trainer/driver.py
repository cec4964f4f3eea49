"""Driver of a job on a running Spark context: what runs, and in which order."""

from __future__ import annotations

from typing import Any

from jobs.trainer import preparation, restart, scoring, training
from jobs.trainer.caffe.probe import Nets, Probe
from jobs.trainer.events.channel import Address, Channel
from jobs.trainer.ranks.score import Sums
from jobs.trainer.running import RunningJob


class Driver(RunningJob):
    """A job with the steps that the main program takes at once, and a notebook one by one."""

    def run(self, probe: Probe, channel: Channel) -> None:
        """Run the job. Nothing is written until all checks have passed.

        Raises:
            TrainerError: the job failed.
        """
        restart.begin(self)
        nets = self.prepare(probe)
        if self.records:
            self.records.keep(self.earlier or restart.Record())
        if self.options.train:
            self.train(channel)
        if self.options.scores:
            scoring.score(self, nets, channel.address)
        if self.records:
            # Not after a failure: a node that goes down ends all programs, and some fail for that.
            self.records.remove()

    def prepare(self, probe: Probe) -> Nets:
        """Prepare the job, as `preparation.prepare`."""
        return preparation.prepare(self, probe)

    def train(self, channel: Channel) -> None:
        """Train, as `training.train`."""
        training.train(self, channel)

    def scored(self, nets: Nets, channel: Address) -> Any:  # noqa: ANN401
        """Return a frame of rows, as `scoring.scored`."""
        return scoring.scored(self, nets, channel)

    def sums(self, nets: Nets, channel: Address) -> Sums:
        """Return the sums of the outputs, as `scoring.sums`."""
        return scoring.sums(self, nets, channel)
