from __future__ import annotations

import pytest

from bootstrap.cluster import Cluster
from bootstrap.engine.plan import compile_checks, compile_role, first_pending, make_plan, order, variables_for
from bootstrap.errors import ConfigError
from tests.bootstrap.conftest import MakeRole

TOUCH = {"run": "touch /x", "creates": "/x"}


def touch(name: str, **rest: object) -> dict[str, object]:
    return {"name": name, "command": TOUCH, **rest}


def test_given_values_override_defaults_and_neither_overrides_the_cluster(
    make_role: MakeRole, cluster: Cluster
) -> None:
    role = make_role("r", [touch("a")], defaults={"heap": 256, "cores": 1, "head": "nobody"})
    seen = variables_for(role, cluster, cluster.workers[0], {"heap": 512, "is_head": True})
    assert (seen["heap"], seen["cores"], seen["head"], seen["is_head"]) == (512, 1, cluster.head, False)


def test_defaults_may_use_the_cluster_and_defaults_above_them(make_role: MakeRole, cluster: Cluster) -> None:
    defaults = {"port": 8090, "url": "http://{{ head.name }}:{{ port }}", "both": ["{{ url }}/a"]}
    role = make_role("r", [touch("a")], defaults=defaults)
    seen = variables_for(role, cluster, cluster.head, {"port": 1})
    assert seen["both"] == ["http://head:1/a"]


@pytest.mark.parametrize(
    ("given", "expected"), [({}, "debian-12"), ({"distribution": "ubuntu-22.04"}, "ubuntu-22.04")]
)
def test_the_distribution_is_known_to_roles(
    make_role: MakeRole, cluster: Cluster, given: dict[str, str], expected: str
) -> None:
    role = make_role("r", [{"name": "a", "command": {"run": "echo {{ distribution }}", "creates": "/x"}}])
    assert f"echo {expected}" in compile_role(role, cluster, cluster.head, given)[0].run


def test_each_node_gets_the_steps_meant_for_it(make_role: MakeRole, cluster: Cluster) -> None:
    role = make_role("r", [touch("both"), touch("on head", on="head"), touch("on workers", on="workers")])
    names = {node.name: [c.name for c in compile_role(role, cluster, node, {})] for node in cluster.nodes}
    assert names == {
        "head": ["both", "on head"],
        "w1": ["both", "on workers"],
        "w2": ["both", "on workers"],
    }


def test_templates_and_names_are_filled(make_role: MakeRole, cluster: Cluster) -> None:
    role = make_role(
        "r",
        [{"name": "write for {{ node.name }}", "file": {"path": "/etc/{{ app }}.conf", "template": "t.j2"}}],
        defaults={"app": "demo"},
        templates={"t.j2": "{% for w in workers %}\n{{ w.name }}={{ w.address }}\n{% endfor %}\n"},
    )
    command = compile_role(role, cluster, cluster.head, {})[0]
    assert command.name == "write for head"
    assert "w1=10.9.8.11\nw2=10.9.8.12\n" in command.run
    assert "/etc/demo.conf" in command.guard


def test_the_secret_is_masked_wherever_a_command_is_shown(make_role: MakeRole, cluster: Cluster) -> None:
    role = make_role("r", [{"name": "a", "file": {"path": "/s", "content": "key={{ spark_secret }} ü"}}])
    command = compile_role(role, cluster, cluster.head, {})[0]
    assert "not-to-be-seen" in command.run
    assert "not-to-be-seen" not in command.masked(command.run)


def test_an_undefined_variable_names_role_step_and_variable(make_role: MakeRole, cluster: Cluster) -> None:
    role = make_role("r", [{"name": "a", "command": {"run": "echo {{ nowhere }}", "creates": "/x"}}])
    with pytest.raises(
        ConfigError, match="role 'r', step 'a': variable 'nowhere' is not defined; there are:"
    ):
        compile_role(role, cluster, cluster.head, {})


def test_an_undefined_variable_in_a_template_names_the_template(
    make_role: MakeRole, cluster: Cluster
) -> None:
    role = make_role(
        "r", [{"name": "a", "file": {"path": "/x", "template": "t.j2"}}], templates={"t.j2": "{{ nowhere }}"}
    )
    with pytest.raises(ConfigError, match=r"step 'a', template 't\.j2': variable 'nowhere'"):
        compile_role(role, cluster, cluster.head, {})


def test_a_missing_template_is_named(make_role: MakeRole, cluster: Cluster) -> None:
    role = make_role("r", [{"name": "a", "file": {"path": "/x", "template": "gone.j2"}}])
    with pytest.raises(ConfigError, match=r"step 'a': there is no template 'gone\.j2'"):
        compile_role(role, cluster, cluster.head, {})


def test_a_default_that_cannot_be_filled_is_named(make_role: MakeRole, cluster: Cluster) -> None:
    role = make_role("r", [touch("a")], defaults={"url": "{{ nowhere }}"})
    with pytest.raises(ConfigError, match="role 'r', default 'url'"):
        compile_role(role, cluster, cluster.head, {})


def test_a_value_that_turns_out_wrong_when_filled_is_refused(make_role: MakeRole, cluster: Cluster) -> None:
    step = {"name": "a", "archive": {"fetch": "true", "sha256": "{{ sum }}", "dest": "/x"}}
    role = make_role("r", [step], defaults={"sum": "abc"})
    with pytest.raises(ConfigError, match="sha256 'abc' of /x"):
        compile_role(role, cluster, cluster.head, {})


def test_two_steps_of_one_name_are_refused(make_role: MakeRole, cluster: Cluster) -> None:
    role = make_role("r", [touch("a"), touch("a")])
    with pytest.raises(ConfigError, match="another step has that name"):
        compile_role(role, cluster, cluster.head, {})


def test_a_package_item_may_hold_several_names(make_role: MakeRole, cluster: Cluster) -> None:
    role = make_role(
        "r", [{"name": "a", "packages": ["{{ names | join(' ') }}"]}], defaults={"names": ["x", "y"]}
    )
    assert compile_role(role, cluster, cluster.head, {})[0].run.startswith("# apt-get install x y\n")


def test_roles_come_after_those_they_require(make_role: MakeRole) -> None:
    spark = make_role("spark", [touch("a")], requires=["hadoop"])
    hadoop = make_role("hadoop", [touch("a")], requires=["common"])
    common = make_role("common", [touch("a")])
    assert [role.name for role in order([spark, hadoop, common])] == ["common", "hadoop", "spark"]
    assert [role.name for role in order([spark])] == ["spark"], "required ones may have been applied before"


def test_roles_that_require_each_other_are_refused(make_role: MakeRole) -> None:
    one = make_role("one", [touch("a")], requires=["two"])
    two = make_role("two", [touch("a")], requires=["one"])
    with pytest.raises(ConfigError, match="one → two → one"):
        order([one, two])


def test_only_other_nodes_wait_for_the_head(make_role: MakeRole, cluster: Cluster) -> None:
    role = make_role("r", [touch("pack", on="head"), touch("fetch", after={"step": "pack"})])
    plan = make_plan([role], cluster, {})
    assert plan["head"][1].needs is None
    assert plan["w1"][0].needs == ("r", "pack")


@pytest.mark.parametrize(
    "after", [{"step": "gone"}, {"step": "on workers"}, {"step": "pack", "role": "other"}]
)
def test_waiting_for_a_step_that_the_head_lacks_is_refused_beforehand(
    make_role: MakeRole, cluster: Cluster, after: dict[str, str]
) -> None:
    role = make_role("r", [touch("on workers", on="workers"), touch("fetch", after=after)])
    with pytest.raises(ConfigError, match="which the head does not run here"):
        make_plan([role], cluster, {})


def test_checks_are_filled_and_meant_for_a_node(make_role: MakeRole, cluster: Cluster) -> None:
    check = {
        "name": "{{ node.name }} answers",
        "run": "ping {{ head.address }}",
        "fix": "Run x.",
        "on": "workers",
    }
    role = make_role("r", [touch("a")], check=[check])
    assert compile_checks(role, cluster, cluster.head, {}) == []
    found = compile_checks(role, cluster, cluster.workers[0], {})[0]
    assert (found.role, found.name, found.run, found.fix) == ("r", "w1 answers", "ping 10.9.8.10", "Run x.")


@pytest.mark.parametrize(
    ("held", "doubts", "first"),
    [
        ([True, True, True], [], 3),
        ([True, False, True], [], 1),
        ([True, True, True], [False, False, True], 2),
        ([False, True, True], [False, True, False], 0),
    ],
)
def test_a_run_begins_with_the_first_step_in_doubt(
    make_role: MakeRole, cluster: Cluster, held: list[bool], doubts: list[bool], first: int
) -> None:
    commands = compile_role(make_role("r", [touch(n) for n in "abc"]), cluster, cluster.head, {})
    assert first_pending(commands, held, doubts) == first


def test_each_worker_has_its_own_name_in_what_uses_it_and_the_rest_in_common(
    make_role: MakeRole, cluster: Cluster
) -> None:
    own = {"name": "own", "command": {"run": "echo {{ name }}", "unless": "false"}}
    nested = {"name": "nested", "file": {"path": "/x", "template": "own.j2"}}
    common = {"name": "common", "command": {"run": "echo {{ workers | length }}", "unless": "false"}}
    roles = [
        make_role("a", [own], defaults={"name": "{{ node.name }}"}),
        make_role("b", [common]),
        make_role("c", [nested], templates={"own.j2": "{{ node.address }}"}),
    ]
    plan = make_plan(roles, cluster, {})
    for name, address in (("head", "10.9.8.10"), ("w1", "10.9.8.11"), ("w2", "10.9.8.12")):
        assert f"echo {name}" in plan[name][0].run
        assert "echo 2" in plan[name][1].run
        assert address in plan[name][2].run
    assert plan["w1"][1] == plan["w2"][1]
