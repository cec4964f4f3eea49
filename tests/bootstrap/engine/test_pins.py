from __future__ import annotations

import pytest

from bootstrap.cluster import Cluster
from bootstrap.engine.plan import compile_role, variables_for
from bootstrap.errors import ConfigError
from tests.bootstrap.conftest import MakeRole

SUM = "0123456789abcdef" * 4


def archive(file: str) -> dict[str, object]:
    return {
        "name": "unpack",
        "archive": {"fetch": "true", "sha256": "{{ sha256[file] }}", "dest": f"/opt/{file}"},
    }


def test_a_step_has_the_sum_that_the_role_pins(make_role: MakeRole, cluster: Cluster) -> None:
    role = make_role("r", [archive("a")], defaults={"file": "a-1.tar", "sha256": {"a-1.tar": SUM}})
    (command,) = compile_role(role, cluster, cluster.head, {})
    assert SUM in command.guard


def test_a_file_without_a_pinned_sum_is_refused_by_name(make_role: MakeRole, cluster: Cluster) -> None:
    role = make_role("r", [archive("a")], defaults={"file": "a-1.tar", "sha256": {"a-1.tar": SUM}})
    with pytest.raises(
        ConfigError, match=r"role 'r', a-2\.tar: its sum is not pinned; pinned are a-1\.tar\. Add the sha256"
    ):
        compile_role(role, cluster, cluster.head, {"file": "a-2.tar"})


@pytest.mark.parametrize("wrong", [SUM[1:], "$(cat /srv/a.tar.sha256)", SUM.upper(), SUM + "\n"])
def test_a_sum_that_is_none_is_refused_before_anything_is_compiled(
    make_role: MakeRole, cluster: Cluster, wrong: str
) -> None:
    role = make_role("r", [archive("a")], defaults={"sha256": {"a-1.tar": wrong}})
    with pytest.raises(ConfigError, match=r"role 'r', default 'sha256', a-1\.tar.*not 64 hexadecimal digits"):
        variables_for(role, cluster, cluster.head, {})


def test_sums_are_listed_by_file(make_role: MakeRole, cluster: Cluster) -> None:
    role = make_role("r", [archive("a")], defaults={"sha256": SUM})
    with pytest.raises(ConfigError, match="not a mapping of files to sums"):
        variables_for(role, cluster, cluster.head, {})


@pytest.mark.parametrize("sha256", ["$(cat /srv/a.sha256)", "$(echo " + SUM + ")", f"{SUM} a.tar", ""])
def test_an_archive_takes_no_sum_that_only_the_node_would_know(
    make_role: MakeRole, cluster: Cluster, sha256: str
) -> None:
    step = {"name": "a", "archive": {"fetch": "true", "sha256": sha256, "dest": "/x"}}
    with pytest.raises(ConfigError, match="of /x: it is not 64 hexadecimal digits"):
        compile_role(make_role("r", [step]), cluster, cluster.head, {})
