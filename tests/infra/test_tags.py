"""Names and labels."""

from __future__ import annotations

from infra import tags


def test_everything_of_a_stack_begins_with_project_and_stack() -> None:
    assert tags.full_name("dev") == "caffe-spark-dev"
    assert tags.full_name("dev", "w1") == "caffe-spark-dev-w1"


def test_a_worker_keeps_its_name_when_others_come() -> None:
    assert tags.worker_names(2) == tags.worker_names(3)[:2] == ["w1", "w2"]


def test_two_clones_of_the_project_do_not_own_each_others_things() -> None:
    ours, theirs = tags.labels("dev", "/home/a/caffe-spark"), tags.labels("dev", "/home/b/caffe-spark")
    assert tags.is_ours({**ours, "more": "labels"}, ours)
    assert not tags.is_ours(theirs, ours)
    assert tags.owner(theirs) == "stack 'dev' of /home/b/caffe-spark"
    assert tags.owner({}) == "something else"


def test_what_is_on_aws_is_found_by_project_and_stack() -> None:
    assert tags.aws_tags("aws-eu-west-1") == {
        "Project": "caffe-spark",
        "Stack": "aws-eu-west-1",
        "ManagedBy": "pulumi",
    }


def test_on_azure_the_operators_tags_do_not_hide_the_stacks() -> None:
    found = tags.azure_tags("az", {"CostCentre": "42", "Stack": "other"})
    assert found == {**tags.aws_tags("az"), "CostCentre": "42"}
