"""The command's own words: what it lists, and what it says of masking."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.support.bundle import Bundle
from bootstrap.support.collect import SECRETS
from bootstrap.support.masking import Masking
from jobs.tasks import support


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (True, "The stack's secrets are masked"),
        (False, "The stack's secrets could not be read: only what looks"),
    ],
)
def test_files_missing_parts_and_how_far_it_is_masked_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], known: bool, words: str
) -> None:
    bundle = Bundle(Masking())
    bundle.add("versions.txt", "Python 3\n")
    bundle.lack("nodes/w2", "SSH does not answer")
    if not known:
        bundle.lack(SECRETS, "the passphrase is wrong")
    bundle.write(tmp_path / "b.tar.gz")
    support.show(bundle, tmp_path / "b.tar.gz")
    said = capsys.readouterr().out
    assert "        9  versions.txt\n" in said
    assert "missing    nodes/w2: SSH does not answer\n" in said
    assert words in said
    assert "look before you send it" in said


def test_a_cluster_whose_nodes_are_not_known_gives_a_jobs_results_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: object
) -> None:
    monkeypatch.setattr(support, "RESULTS", tmp_path)
    (tmp_path / "mnist-1").mkdir()
    (tmp_path / "mnist-1" / "job.log").write_text("words\n")
    bundle = Bundle(Masking())
    support.add_jobs(bundle, cluster, None, None)  # type: ignore[arg-type]
    assert [entry.name for entry in bundle.entries] == ["job/mnist-1/results/job.log"]
    assert bundle.missing[0].startswith("jobs: stack 'dev': its nodes are not known.")
