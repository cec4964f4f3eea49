"""Which flags a host needs: each refusal met by its remedy, on hosts that are played here."""

from __future__ import annotations

import resource
from collections.abc import Callable, Sequence

import pytest

from infra.local.engine import Engine, EngineError
from infra.local.probe import Findings, find, search
from tests.infra.conftest import FakeEngine

NOFILE = "Error: crun: setrlimit `RLIMIT_NOFILE`: Operation not permitted: OCI permission denied"
NPROC = "Error: crun: setrlimit `RLIMIT_NPROC`: Operation not permitted: OCI permission denied"
HYBRID = "Error: OCI runtime error: crun: cgroups in hybrid mode not supported, drop all controllers"
LIMITS = {resource.RLIMIT_NOFILE: 20000, resource.RLIMIT_NPROC: 96000}


def host(
    *rules: tuple[Callable[[Sequence[str]], bool], str],
) -> Callable[[Sequence[str]], str | None]:
    """A host that refuses with the first text whose rule holds for the flags."""

    def attempt(flags: Sequence[str]) -> str | None:
        return next((text for rule, text in rules if rule(flags)), None)

    return attempt


def lacks(start: str) -> Callable[[Sequence[str]], bool]:
    return lambda flags: not any(flag.startswith(start) for flag in flags)


def has(start: str) -> Callable[[Sequence[str]], bool]:
    return lambda flags: any(flag.startswith(start) for flag in flags)


def searched(attempt: Callable[[Sequence[str]], str | None], runc: str | None = "/usr/sbin/runc") -> Findings:
    return search(attempt, LIMITS.__getitem__, runc)


def test_an_ordinary_host_needs_nothing() -> None:
    found = searched(host())
    assert found == Findings()
    assert str(found) == "no special flags needed here"


def test_a_sandbox_needs_three_flags_and_each_is_explained() -> None:
    found = searched(
        host(
            (lacks("--ulimit=nofile"), NOFILE), (lacks("--ulimit=nproc"), NPROC), (lacks("--runtime"), HYBRID)
        )
    )
    assert found.arguments == (
        "--ulimit=nofile=20000:20000",
        "--ulimit=nproc=96000:96000",
        "--runtime=/usr/sbin/runc",
    )
    assert found.limits
    assert len(found.reasons) == 3
    assert "\n" not in str(found)
    assert "hybrid" in str(found)


def test_runc_gives_its_limits_by_number() -> None:
    refusal = "runc create failed: error setting rlimit type 7: operation not permitted"
    assert searched(host((lacks("--ulimit=nofile"), refusal))).arguments == ("--ulimit=nofile=20000:20000",)


def test_an_engine_with_a_lower_limit_of_its_own_is_asked_for_half() -> None:
    def attempt(flags: Sequence[str]) -> str | None:
        given = [int(flag.rpartition(":")[2]) for flag in flags if flag.startswith("--ulimit=nproc")]
        return None if given and given[0] <= 32768 else NPROC

    assert searched(attempt).arguments == ("--ulimit=nproc=24000:24000",)


def test_a_host_that_refuses_limits_runs_nodes_without() -> None:
    found = searched(host((has("--memory"), "Error: memory controller not available")))
    assert (found.arguments, found.limits) == ((), False)
    assert "no CPU and memory limits" in str(found)


def test_hybrid_control_groups_without_runc_name_the_package() -> None:
    with pytest.raises(EngineError, match="apt-get install -y runc"):
        searched(host((lambda _: True, HYBRID)), runc=None)


@pytest.mark.parametrize("refusal", ["Error: exec format error", NPROC, ""])
def test_what_has_no_remedy_ends(refusal: str) -> None:
    with pytest.raises(EngineError):
        searched(host((lambda _: True, refusal)))


def test_the_flags_are_looked_for_once_per_boot(engine: FakeEngine) -> None:
    first = find(Engine("podman"), "image")
    again = find(Engine("podman"), "image")
    assert first == again
    assert sum(call.startswith("run ") for call in engine.calls) == 1
