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


def test_what_is_in_a_cloud_is_found_by_project_and_stack() -> None:
    assert tags.cloud_tags("aws-eu-west-1") == {
        "Project": "caffe-spark",
        "Stack": "aws-eu-west-1",
        "ManagedBy": "pulumi",
    }


def test_on_azure_the_operators_tags_do_not_hide_the_stacks() -> None:
    found = tags.azure_tags("az", {"CostCentre": "42", "Stack": "other"})
    assert found == {**tags.cloud_tags("az"), "CostCentre": "42"}


def test_azure_answers_with_our_names_in_whatever_letters() -> None:
    found = tags.of_azure({"project": "caffe-spark", "STACK": "az", "Owner": "them"})
    assert found == {"Project": "caffe-spark", "Stack": "az", "Owner": "them"}
    assert tags.of_azure(None) == {}


def test_a_thing_is_the_projects_by_its_tag_and_a_stacks_by_another() -> None:
    found = tags.cloud_tags("az")
    assert tags.is_projects(found, None)
    assert tags.is_projects(found, "az")
    assert not tags.is_projects(found, "other")
    assert not tags.is_projects({**found, "Project": "another"}, None)
