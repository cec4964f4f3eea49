from __future__ import annotations

import pytest

from bootstrap.errors import ConfigError
from bootstrap.script_actions import ScriptAction
from bootstrap.script_actions.action import Execution, HostOutcome

SCRIPT = "#!/bin/sh\ntrue\n"


def test_another_text_has_another_name_and_the_same_text_the_same() -> None:
    one = ScriptAction("caffe", SCRIPT)
    assert one.path == ScriptAction("caffe", SCRIPT, roles=("headnode",)).path
    assert one.path != ScriptAction("caffe", SCRIPT + "true\n").path
    assert one.path.startswith("script-actions/caffe-")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": "two words"}, ("'two words'", "letters, digits and hyphens")),
        ({"name": "x" * 51}, ("50 at most",)),
        ({"name": ""}, ("letters, digits and hyphens",)),
        ({"roles": ()}, ("roles: none", "headnode, workernode, zookeepernode")),
        ({"roles": ("edgenode",)}, ("roles: edgenode", "valid: headnode")),
        ({"script": "#!/bin/sh\necho é\n"}, ("not plain ASCII",)),
        ({"script": "#!/bin/sh\r\ntrue\r\n"}, ("not plain ASCII with LF",)),
        ({"parameters": "it's"}, ('"it\'s"', "not the words of one command line")),
        ({"parameters": "a\nCAFFE_SPARK_ACTION\nid"}, ("not the words of one command line",)),
        ({"script": "true\n"}, ("does not begin with #!",)),
    ],
)
def test_what_hdinsight_would_refuse_is_refused_before_it_is_uploaded(
    given: dict[str, object], words: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError) as refused:
        ScriptAction(**{"name": "caffe", "script": SCRIPT, **given})  # type: ignore[arg-type]
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize(
    ("codes", "missing", "ok"),
    [((0, 0), 0, True), ((0, 7), 0, False), ((0, None), 0, False), ((0,), 1, False)],
)
def test_a_run_is_good_when_every_node_is(codes: tuple[int | None, ...], missing: int, ok: bool) -> None:
    hosts = tuple(HostOutcome(f"w{number}", code) for number, code in enumerate(codes))
    assert Execution("1", "caffe", "wasb://…", hosts, missing).ok is ok
