"""Findings and their output."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from bootstrap.clouds import aws, azure
from bootstrap.errors import ServiceDown
from infra.preflight.finding import CloudCheck, Finding, failure, guarded, show


def shown(*findings: Finding) -> str:
    console = Console(file=io.StringIO(), width=40)
    show(findings, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_each_check_is_a_line_however_long_with_what_to_type_under_it() -> None:
    assert shown(
        Finding("identity", "passed", "account 1"),
        Finding("images", "failed", "ami-1 is not in eu-west-1, and that is a long line", "Run `this`."),
        Finding("group", "skipped", "no credentials"),
        Finding("plugin", "note", "not here yet", "Run `that`."),
    ).splitlines() == [
        "✓ identity  account 1",
        "✗ images    ami-1 is not in eu-west-1, and that is a long line",
        "  → Run `this`.",
        "– group     skipped: no credentials",
        "! plugin    not here yet",
        "  → Run `that`.",
        "1 passed, 1 failed, 1 skipped.",
    ]


def test_brackets_in_awss_words_are_not_taken_for_markup() -> None:
    assert "[bold] is not a zone" in shown(Finding("zones", "failed", "[bold] is not a zone"))


def test_only_what_stops_a_stack_counts_as_failed() -> None:
    assert Finding("a", "failed").failed
    assert not any(Finding("a", verdict).failed for verdict in ("passed", "skipped", "note"))


Denied = aws.Denied | azure.Denied


def denied(kind: type[Denied], operation: str) -> Denied:
    error = kind("a cloud", f"these credentials lack the permission {operation}", "Ask.")
    error.operation = operation
    return error


@pytest.mark.parametrize(
    ("kind", "operation"),
    [
        (aws.Denied, "DescribeSpotPriceHistory"),
        (azure.Denied, "Microsoft.HDInsight/locations/usages/read"),
        (azure.Denied, "microsoft.hdinsight/locations/validatecreaterequest/action"),
        (azure.Denied, "Microsoft.Storage/checknameavailability/read"),
        (azure.Denied, "Microsoft.Authorization/permissions/read"),
    ],
)
def test_a_right_that_only_a_preflight_wants_leaves_its_check_open(
    kind: type[Denied], operation: str
) -> None:
    assert failure("prices", denied(kind, operation)).verdict == "skipped"


@pytest.mark.parametrize(
    ("kind", "operation"),
    [
        (aws.Denied, "DescribeImages"),
        (aws.Denied, ""),
        (azure.Denied, "Microsoft.HDInsight/clusters/read"),
        (azure.Denied, "Microsoft.Storage/storageAccounts/read"),
        (azure.Denied, ""),
    ],
)
def test_a_right_that_the_stack_needs_too_fails(kind: type[Denied], operation: str) -> None:
    assert failure("images", denied(kind, operation)).verdict == "failed"


def test_an_expected_failure_is_a_finding_and_a_bug_is_not() -> None:
    def down() -> list[Finding]:
        raise ServiceDown("AWS", "it is down", "Wait.")

    def bug() -> list[Finding]:
        raise KeyError("Quota")

    assert guarded("q", down) == [Finding("q", "failed", "it is down", "Wait.")]
    with pytest.raises(KeyError):
        guarded("q", bug)


def test_what_is_known_without_asking_is_said_where_nobody_can_be_asked() -> None:
    def bug(_: object) -> list[Finding]:
        raise AssertionError("AWS was asked")

    known = Finding("zones", "passed", "by the table")
    assert CloudCheck("zones", bug, lambda: known).without("no network") == [known]
    assert CloudCheck("images", bug).without("no network") == [Finding("images", "skipped", "no network")]
