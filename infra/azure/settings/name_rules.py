"""Rules of Azure and HDInsight for names, passwords and tags. Pure.

Each rule returns the value or raises a `Refusal`. Sources: Microsoft's documentation of HDInsight (names,
passwords) and of Azure Resource Manager (tags), as of 2026-11-21.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from infra.settings.commands import rm_command, set_command
from infra.settings.refusal import Refusal

MAX_CLUSTER_NAME: Final = 45
MIN_PASSWORD: Final = 10
MAX_PASSWORD: Final = 72
PASSWORD_SPECIALS: Final = "!%*-_=+"  # noqa: S105 - which characters may be in one
"""Special characters of generated passwords: they need no quoting in a shell, a URL or JSON."""
PASSWORD_FORBIDDEN: Final = "'\"`\\#]."  # noqa: S105 - which characters may not be in one
USER_RUN: Final = 3
"""Characters in a row that a password may not share with a user's name. That, and the bracket and the full
stop above, are of the parameter's description in Microsoft's template `hdinsight-spark-linux`
(Azure/azure-quickstart-templates, read 2026-11-30)."""
HIDDEN: Final = "***"
ARTIFACTS: Final = "artifacts"
"""Container of scripts, beside that of the file system."""
MAX_TAGS: Final = 47
"""Azure's limit is 50 tags; three are the stack's own."""
MAX_TAG_NAME: Final = 128
MAX_TAG_VALUE: Final = 256
OWN_TAGS: Final = ("project", "stack", "managedby")
"""In lower case: Azure compares tag names without regard to case."""

_RESERVED: Final = """
    admin administrator root user user1 test guest owner console azureuser sys sync daemon bin mail nobody
    sshd syslog ubuntu ambari ambari-qa hdfs yarn mapred hive hcat spark livy zookeeper tez oozie sqoop storm
    hbase kafka zeppelin ams infra-solr hdinsight hdiuser omsagent caffe-spark
"""
RESERVED_USERS: Final = frozenset(_RESERVED.split())
"""Accounts that the system, Azure's agents or Hadoop's services have on the image, or that Azure refuses.

There is no authoritative list: refusing these here is better than after twenty minutes.
"""

_CLUSTER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]")
_SSH_USER: Final = re.compile(r"[a-z][a-z0-9-]{1,19}")
_GATEWAY_USER: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{1,19}")
_CONTAINER: Final = re.compile(r"(?=.{3,63}\Z)[a-z0-9]+(-[a-z0-9]+)*")
_TAG_FORBIDDEN: Final = re.compile(r"[<>%&\\?/]")
_TAG_RESERVED: Final = ("microsoft", "azure", "windows")


def cluster_name(name: str) -> str:
    """Validate a cluster's name: a label of a host name, globally unique.

    Raises:
        Refusal: it is too short or too long, or has other characters.
    """
    fix = set_command("clusterName", "caffe-spark-0815")
    if not 3 <= len(name) <= MAX_CLUSTER_NAME:  # noqa: PLR2004 - said in the line below
        why = f"it has {len(name)} characters; valid: 3 to {MAX_CLUSTER_NAME} letters, digits and hyphens"
        raise Refusal("clusterName", name, why, fix)
    if not _CLUSTER.fullmatch(name):
        why = "a cluster's name is part of a host name; valid: letters, digits and hyphens between them"
        raise Refusal("clusterName", name, why, fix)
    return name


def ssh_user(name: str) -> str:
    """Validate the name of the SSH account.

    Raises:
        Refusal: it has other characters, or is reserved.
    """
    if name in RESERVED_USERS:
        why = "the image has or reserves that account; valid: another name, e.g. sshuser"
        raise Refusal("sshUser", name, why, set_command("sshUser", "sshuser"))
    if not _SSH_USER.fullmatch(name):
        why = "valid: 2 to 20 lower-case letters, digits and hyphens, a letter first"
        raise Refusal("sshUser", name, why, set_command("sshUser", "sshuser"))
    return name


def gateway_user(name: str) -> str:
    """Validate the user of the cluster's gateway (Ambari, Livy, YARN's pages).

    Raises:
        Refusal: it has other characters, or too many.
    """
    if not _GATEWAY_USER.fullmatch(name):
        why = "valid: 2 to 20 letters and digits, a letter first"
        raise Refusal("gatewayUser", name, why, set_command("gatewayUser", "admin"))
    return name


def gateway_password(password: object) -> str:
    """Validate the gateway user's password, as far as no user's name matters; the error never contains it.

    Raises:
        Refusal: HDInsight would refuse it.
    """
    faults = password_faults(password) if isinstance(password, str) else ["it is not text"]
    if faults:
        raise _password_refused(faults)
    return str(password)


def password_beside(password: str, users: Iterable[str]) -> None:
    """Validate a password against the users' names.

    Raises:
        Refusal: HDInsight would refuse it.
    """
    faults = user_faults(password, users)
    if faults:
        raise _password_refused(faults)


def _password_refused(faults: Iterable[str]) -> Refusal:
    why = (
        f"{', '.join(faults)}; valid: {MIN_PASSWORD} to {MAX_PASSWORD} characters, with a digit, "
        f"a lower-case and an upper-case letter and a special character ({PASSWORD_SPECIALS} are safe); "
        "or none: the stack then generates one"
    )
    return Refusal("gatewayPassword", HIDDEN, why, "pulumi config set --secret gatewayPassword")


def user_faults(password: str, users: Iterable[str]) -> list[str]:
    """Return in words whose names the password shares characters with, whatever their case."""
    lower = password.lower()
    return [
        f"it has {USER_RUN} characters in a row of the user {name}"
        for name in dict.fromkeys(users)
        if any(name[place : place + USER_RUN].lower() in lower for place in range(len(name) - USER_RUN + 1))
    ]


def password_faults(password: str) -> list[str]:
    """Return the password's faults in words; empty if it is valid beside any user."""
    wanted = {
        "a digit": str.isdigit,
        "a lower-case letter": str.islower,
        "an upper-case letter": str.isupper,
    }
    lacks = [what for what, test in wanted.items() if not any(map(test, password))]
    if all(char.isalnum() for char in password):
        lacks.append("a special character")
    found = []
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        found.append(f"it has {len(password)} characters")
    if lacks:
        found.append(f"it lacks {' and '.join(lacks)}")
    if any(char in PASSWORD_FORBIDDEN for char in password):
        found.append("it has a quotation mark, a backslash, a hash (#), a bracket (]) or a full stop")
    if not password.isascii() or any(char.isspace() or not char.isprintable() for char in password):
        found.append("it has blanks or letters that are not ASCII")
    return found


def container(name: str) -> str:
    """Validate the name of a blob container.

    Raises:
        Refusal: Azure would refuse the name, or the stack itself uses it.
    """
    if name == ARTIFACTS:
        why = "it is the container of scripts; valid: another one, e.g. cluster"
        raise Refusal("container", name, why, set_command("container", "cluster"))
    if not _CONTAINER.fullmatch(name):
        why = "valid: 3 to 63 lower-case letters and digits, single hyphens between them"
        raise Refusal("container", name, why, set_command("container", "cluster"))
    return name


def tags(given: Mapping[str, str]) -> Mapping[str, str]:
    """Validate the operator's tags.

    Raises:
        Refusal: a tag is the stack's own, or Azure would refuse it.
    """
    if len(given) > MAX_TAGS:
        why = f"Azure allows 50 tags, and three are the stack's own; valid: {MAX_TAGS} at most"
        raise Refusal("tags", f"{len(given)} tags", why, _without(list(given)[-1]))
    for name, value in given.items():
        fix = _without(name)
        if name.lower() in OWN_TAGS:
            why = "the stack sets that tag itself; valid: any other name"
        elif not name or len(name) > MAX_TAG_NAME or _TAG_FORBIDDEN.search(name):
            why = f"Azure refuses that name; valid: 1 to {MAX_TAG_NAME} characters, none of <>%&\\?/"
        elif name.lower().startswith(_TAG_RESERVED):
            why = f"Azure reserves names that begin with {', '.join(_TAG_RESERVED)}; valid: another name"
        elif len(value) > MAX_TAG_VALUE:
            why = f"it has {len(value)} characters; valid: {MAX_TAG_VALUE} at most"
            value = f"{value[:20]}…"  # noqa: PLW2901 - for the line only
        else:
            continue
        raise Refusal(f"tags.{name}", value, why, fix)
    return given


def _without(tag: str) -> str:
    return rm_command(f'tags["{tag}"]')
