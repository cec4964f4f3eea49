from __future__ import annotations

from pathlib import Path

from bootstrap.cluster import Cluster
from bootstrap.support import nodes
from bootstrap.support.bundle import Bundle
from bootstrap.support.masking import Masking
from bootstrap.support.nodes import add_findings, add_nodes, parts_of
from tests.bootstrap.sandbox import Sandboxes

FAKES = {
    "systemctl": 'case "$*" in *list-units*--failed*) ;; *list-units*) '
    "echo 'spark-worker.service loaded active running Spark'; echo 'caffe-spark-leftovers.service loaded';; "
    "*status*) echo active; echo CGroup: worker --password hunter2;; esac\n",
    "journalctl": 'case "$*" in *spark-worker*) echo "fs.s3a.secret.key=abcdefgh"; echo "registered";; '
    '*-k*) echo "Out of memory: Killed process 12";; *) echo "-- No entries --";; esac\n',
}


def texts(bundle: Bundle) -> dict[str, str]:
    return {name: data.decode() for name, data in bundle._files.items()}


def test_each_node_gives_its_machine_its_kernel_and_the_journals_of_our_units(
    tmp_path: Path, cluster: Cluster
) -> None:
    boxes = Sandboxes(tmp_path, cluster, FAKES)
    bundle = Bundle(Masking())
    add_nodes(bundle, cluster, connect=boxes.connect)
    found = texts(bundle)
    assert bundle.missing == ()
    for node in ("head", "w1", "w2"):
        assert f"nodes/{node}/machine.txt" in found
        assert "Out of memory" in found[f"nodes/{node}/kernel.txt"]
        assert "No entries" in found[f"nodes/{node}/unit-caffe-spark-leftovers.service.txt"]
        unit = found[f"nodes/{node}/unit-spark-worker.service.txt"]
        assert unit == "active\nfs.s3a.secret.key=***\nregistered\n"
    assert all(box.trips == 1 for box in boxes.nodes.values())


def test_nodes_that_do_not_answer_are_named_and_the_others_tell(tmp_path: Path, cluster: Cluster) -> None:
    boxes = Sandboxes(tmp_path, cluster, FAKES)
    boxes.dead |= {"w2"}
    bundle = Bundle(Masking())
    add_nodes(bundle, cluster, connect=boxes.connect)
    assert bundle.missing == ("nodes/w2: w2 (10.9.8.12): SSH does not answer. Run `pulumi up`.",)
    assert {name.split("/")[1] for name in texts(bundle)} == {"head", "w1"}


def test_the_findings_of_the_doctor_are_there_also_when_no_node_answers(
    tmp_path: Path, cluster: Cluster
) -> None:
    boxes = Sandboxes(tmp_path, cluster)
    boxes.dead |= {"head", "w1", "w2"}
    bundle = Bundle(Masking())
    add_findings(bundle, cluster, connect=boxes.connect)
    assert (
        "head, w1, w2: SSH: SSH does not answer. Run `pulumi up --stack dev`." in texts(bundle)["doctor.txt"]
    )


def test_a_log_cannot_pass_for_a_part() -> None:
    output = "@part-1 machine\nup 3 days\n@part-2 kernel\n@part-1 unit-x\nline\n"
    assert parts_of(output, "@part-1") == {"machine": "up 3 days\n@part-2 kernel\n", "unit-x": "line\n"}


def test_the_script_names_no_processs_command_line() -> None:
    assert " cmd" not in nodes.script("@m")
    assert "CGroup" in nodes.script("@m"), "the lines of a status that hold them are left out"
