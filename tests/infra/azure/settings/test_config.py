"""Configuration of a stack on Azure: each mistake is an error before the first resource."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from typing import Any

import pytest

from bootstrap.errors import ConfigError
from infra.azure.settings import given
from infra.azure.settings.config import AzureConfig
from infra.config import load
from infra.settings.section import ENCRYPTED

ADMIN = ["203.0.113.7/32"]
SUB = "/subscriptions/00000000-1111-2222-3333-444444444444/resourceGroups/company/providers"
SUBNET = f"{SUB}/Microsoft.Network/virtualNetworks/corp/subnets/hdinsight"
ACCOUNT = f"{SUB}/Microsoft.Storage/storageAccounts/corpdata"
SCRIPTS = f"{SUB}/Microsoft.Storage/storageAccounts/corpscripts"
IDENTITY = f"{SUB}/Microsoft.ManagedIdentity/userAssignedIdentities/hdi-storage"
ELSEWHERE = SUBNET.replace("00000000-1111", "99999999-1111")
GOOD = "Tr0ub4dor+and-3"
SLOT = {"days": ["Monday", "Tuesday"], "time": "08:00", "min": 6, "max": 6}
NIGHT = {**SLOT, "time": "20:00", "min": 3, "max": 3}
PRIVATE = {"privateLink": True, "resourceProviderConnection": "outbound"}


def loaded(**values: Any) -> AzureConfig:
    """From values as YAML has them, which the engine hands over as text; None leaves one out."""
    given = {"provider": "azure", "region": "westeurope", "workers": 3, "adminCidrs": ADMIN, **values}
    texts = {
        f"caffe-spark:{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in given.items()
        if value is not None
    }
    config = load(texts, "az")
    assert isinstance(config, AzureConfig)
    return config


def test_a_region_and_an_operator_are_enough() -> None:
    config = loaded(workers=None)
    assert (config.workers, config.part, config.storage_mode) == (2, "cluster", "wasbs-key")
    assert (config.head_size, config.worker_size, config.zookeeper_size) == (
        "Standard_E8_V3",
        "Standard_E8_V3",
        "Standard_A2_v2",
    )
    assert (config.ssh_user, config.gateway_user, config.container) == ("sshuser", "admin", "cluster")
    assert (config.cluster_name, config.gateway_password, config.autoscale) == (None, None, None)
    assert not (config.private_link or config.encryption_at_host or config.log_analytics)


def test_everything_else_may_be_said_too() -> None:
    config = loaded(
        subscription="00000000-1111-2222-3333-444444444444",
        clusterName="my-cluster-7",
        cidr="172.20.0.0/22",
        adminCidrs=["203.0.113.7", "198.51.100.0/24"],
        **PRIVATE,
        workers=4,
        headSize="Standard_E4_V3",
        workerSize="Standard_E16_V3",
        zookeeperSize="Standard_A4_v2",
        autoscale={"min": 3, "max": 8},
        encryptionAtHost=True,
        storageMode="abfss-msi",
        container="data-lake",
        forceDestroy=True,
        sshUser="operator",
        publicKeyFile="~/.ssh/id_rsa.pub",
        privateKeyFile="~/.ssh/id_rsa",
        gatewayUser="gate",
        gatewayPassword=GOOD,
        logAnalytics=True,
        tags={"CostCentre": "42"},
    )
    assert config.admin_cidrs == (IPv4Network("203.0.113.7/32"), IPv4Network("198.51.100.0/24"))
    assert config.autoscale is not None
    assert config.autoscale.bounds == (3, 8)
    assert [(one.role, one.size, one.min_count, one.max_count) for one in config.machines] == [
        ("head", "Standard_E4_V3", 2, 2),
        ("worker", "Standard_E16_V3", 3, 8),
        ("zookeeper", "Standard_A4_v2", 3, 3),
    ]
    assert config.gateway_password is not None
    assert config.gateway_password.get_secret_value() == GOOD
    assert dict(config.tags) == {"CostCentre": "42"}


@pytest.mark.parametrize(
    "key", "subscription clusterName autoscale storageStack publicKeyFile gatewayPassword".split()
)
def test_a_key_without_a_value_is_as_if_it_were_not_there(key: str) -> None:
    assert loaded(**{key: ""}) == loaded()


def test_a_tag_that_pulumi_wrote_as_a_number_is_its_text() -> None:
    """`pulumi config set --path tags.CostCentre 42`, the guide's own example, writes one."""
    assert dict(loaded(tags={"CostCentre": 42, "Share": 0.5}).tags) == {"CostCentre": "42", "Share": "0.5"}


def test_with_private_link_nobody_need_come_from_outside() -> None:
    assert loaded(adminCidrs=[], **PRIVATE).admin_cidrs == ()


def test_a_schedule_is_read_as_it_is_meant() -> None:
    scale = loaded(autoscale={"timeZone": "W. Europe Standard Time", "schedule": [SLOT, NIGHT]}).autoscale
    assert scale is not None
    assert (scale.bounds, scale.by_load, scale.time_zone) == ((3, 6), False, "W. Europe Standard Time")


def test_a_storage_needs_no_operators_range() -> None:
    assert loaded(part="storage", adminCidrs=None).part == "storage"


def test_a_password_that_only_the_engine_can_read_is_left_alone() -> None:
    assert loaded(gatewayPassword=ENCRYPTED).gateway_password is not None


def test_a_password_is_never_shown() -> None:
    assert GOOD not in repr(loaded(gatewayPassword=GOOD))


MISTAKES: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    # where
    ("no region", {"region": None}, ("region: it is required", "westeurope", "set region westeurope")),
    ("region", {"region": "westerneurope"}, ("region = 'westerneurope'", "not in the table", "westeurope")),
    ("region as people say it", {"region": "West Europe"}, ("'West Europe'", "westeurope")),
    ("region of a sovereign cloud", {"region": "chinanorth2"}, ("'chinanorth2'", "not in the table")),
    ("subscription", {"subscription": "mine"}, ("subscription = 'mine'", "az account show")),
    ("part", {"part": "both"}, ("part = 'both'", "valid: cluster, storage", "set part cluster")),
    ("name too long", {"clusterName": "c" * 46}, ("it has 46 characters", "3 to 45", "set clusterName")),
    ("name too short", {"clusterName": "ab"}, ("clusterName = ab", "it has 2 characters", "3 to 45")),
    ("name with a dot", {"clusterName": "my.cluster"}, ("clusterName = my.cluster", "host name", "hyphens")),
    (
        "name that ends in a hyphen",
        {"clusterName": "cluster-"},
        ("clusterName = cluster-", "hyphens between"),
    ),
    ("name in other letters", {"clusterName": "häuschen"}, ("clusterName = häuschen", "letters, digits")),
    # network
    ("cidr too small", {"cidr": "10.50.0.0/26"}, ("cidr = '10.50.0.0/26'", "too small", "/16 to /25")),
    ("cidr too large", {"cidr": "10.0.0.0/8"}, ("cidr = '10.0.0.0/8'", "too large", "set cidr 10.50.0.0/16")),
    ("public cidr", {"cidr": "8.8.0.0/16"}, ("cidr = '8.8.0.0/16'", "not a private range", "192.168.0.0/16")),
    (
        "cidr without room",
        {"cidr": "10.50.0.0/25", "workers": 50},
        ("cidr = 10.50.0.0/25", "room for 43 workers, not for 50", "up to /16"),
    ),
    (
        "cidr without room for autoscale",
        {"cidr": "10.50.0.0/25", "autoscale": {"min": 3, "max": 60}},
        ("room for 43 workers, not for 60",),
    ),
    ("nobody", {"adminCidrs": []}, ("adminCidrs = []", "nobody could reach SSH", "privateLink", "checkip")),
    ("nobody at all", {"adminCidrs": None}, ("adminCidrs = []", "/32", "--path 'adminCidrs[0]'")),
    (
        "everybody",
        {"adminCidrs": ["0.0.0.0/0"]},
        ("adminCidrs[0] = 0.0.0.0/0", "whole internet", "/8 to /32"),
    ),
    ("everybody, IPv6", {"adminCidrs": ["::/0"]}, ("adminCidrs[0] = '::/0'", "whole internet")),
    ("half the internet", {"adminCidrs": ["128.0.0.0/1"]}, ("128.0.0.0/1", "too wide", "/8 to /32")),
    ("IPv6", {"adminCidrs": ["2001:db8::/64"]}, ("adminCidrs[0] = '2001:db8::/64'", "IPv4 only")),
    ("private source", {"adminCidrs": ["192.168.1.20"]}, ("192.168.1.20/32", "private range", "checkip")),
    ("own range", {"adminCidrs": ["10.50.0.0/17"]}, ("overlaps 10.50.0.0/16, the network's own", "cidr")),
    (
        "sources that overlap",
        {"adminCidrs": ["203.0.113.0/24", "203.0.113.7/32"]},
        ("adminCidrs[1] = 203.0.113.7/32", "overlaps 203.0.113.0/24", "rm --path 'adminCidrs[1]'"),
    ),
    ("source in words", {"adminCidrs": ["home"]}, ("adminCidrs[0] = 'home'", "valid: a list of public IPv4")),
    ("source without list", {"adminCidrs": "203.0.113.7"}, ("it must be a list", "--path 'adminCidrs[0]'")),
    (
        "more sources than a firewall takes",
        {"adminCidrs": [f"203.0.113.{number}" for number in range(51)]},
        ("adminCidrs = 51 ranges", "50 ranges at most"),
    ),
    (
        "everybody into a storage",
        {"part": "storage", "adminCidrs": ["0.0.0.0/0"]},
        ("adminCidrs[0] = 0.0.0.0/0", "whole internet"),
    ),
    (
        "connection",
        {"resourceProviderConnection": "both"},
        ("resourceProviderConnection = 'both'", "valid: inbound, outbound"),
    ),
    (
        "private link with inbound",
        {"privateLink": True},
        ("resourceProviderConnection = inbound", "Private Link", "set resourceProviderConnection outbound"),
    ),
    # what is given
    (
        "subnet by name",
        {"subnetId": "hdinsight"},
        ("subnetId = 'hdinsight'", "not the id of a subnet", "az network"),
    ),
    (
        "network instead of a subnet",
        {"subnetId": SUBNET.partition("/subnets")[0]},
        ("it is not the id of a subnet",),
    ),
    (
        "subnet with a blank",
        {"subnetId": f"{SUBNET} "},
        ("it is not the id of a subnet",),
    ),
    (
        "subnet in a subscription that is none",
        {"subnetId": SUBNET.replace("00000000-1111", "mine")},
        ("it is not the id of a subnet",),
    ),
    (
        "account by name",
        {"storageAccountId": "corpdata"},
        ("storageAccountId = 'corpdata'", "id of a storage"),
    ),
    (
        "account with capitals",
        {"storageAccountId": ACCOUNT.replace("corpdata", "CorpData")},
        ("it is not the id of a storage account",),
    ),
    (
        "container instead of an account",
        {"storageAccountId": f"{ACCOUNT}/blobServices/default/containers/x"},
        ("it is not the id of a storage account",),
    ),
    (
        "identity by its client id",
        {"identityId": "00000000-1111-2222-3333-444444444444", "storageMode": "wasbs-msi"},
        ("identityId = '00000000", "id of a user-assigned identity"),
    ),
    (
        "subnet and a range",
        {"subnetId": SUBNET, "cidr": "10.60.0.0/16"},
        ("cidr = 10.60.0.0/16", "subnetId names the subnet", "config rm cidr"),
    ),
    (
        "nobody in for the stack's own storage",
        {"subnetId": SUBNET, "adminCidrs": None},
        ("adminCidrs = []", "the firewall of the stack's own storage account", "none with storageAccountId"),
    ),
    (
        "subnet of a storage",
        {"part": "storage", "subnetId": SUBNET},
        ("subnetId = /subscriptions/", "storage alone (part)", "config rm subnetId"),
    ),
    (
        "account of a storage",
        {"part": "storage", "storageAccountId": ACCOUNT},
        ("storageAccountId = ", "storage alone (part)"),
    ),
    (
        "account and another stack's storage",
        {"storageAccountId": ACCOUNT, "storageStack": "keep"},
        ("storageStack = keep", "storageAccountId names the storage", "config rm storageStack"),
    ),
    (
        "force for somebody's account",
        {"storageAccountId": ACCOUNT, "forceDestroy": True},
        ("forceDestroy = true", "not deleted with the stack", "config rm forceDestroy"),
    ),
    (
        "data lake without scripts",
        {"storageAccountId": ACCOUNT, "storageMode": "abfss-msi", "identityId": IDENTITY},
        ("storageAccountId = ", "scriptsAccountId is missing", "config set scriptsAccountId /subscriptions"),
    ),
    (
        "scripts without files",
        {"scriptsAccountId": SCRIPTS},
        ("scriptsAccountId = ", "it goes with storageAccountId", "config rm scriptsAccountId"),
    ),
    (
        "scripts of their own without a data lake",
        {"storageAccountId": ACCOUNT, "scriptsAccountId": SCRIPTS},
        ("wasbs-key has scripts in the account of its files", "valid: with abfss-msi"),
    ),
    (
        "scripts in the data lake itself",
        {
            "storageAccountId": ACCOUNT,
            "scriptsAccountId": ACCOUNT,
            "storageMode": "abfss-msi",
            "identityId": IDENTITY,
        },
        ("scriptsAccountId = ", "it is the account of the files"),
    ),
    (
        "identity where a key is used",
        {"identityId": IDENTITY},
        ("identityId = ", "wasbs-key reaches the storage by its key", "set storageMode wasbs-msi"),
    ),
    (
        "new identity on somebody's account",
        {"storageAccountId": ACCOUNT, "storageMode": "wasbs-msi"},
        ("storageAccountId = ", "new identity would have no role", "config set assignRole true"),
    ),
    (
        "role by a key",
        {"assignRole": True},
        ("assignRole = true", "wasbs-key reaches the storage by its key", "config rm assignRole"),
    ),
    (
        "role where a key is used",
        {"storageAccountId": ACCOUNT, "assignRole": True},
        ("assignRole = true", "wasbs-key reaches the storage by its key"),
    ),
    (
        "nobody's role on the stack's own account",
        {"storageMode": "wasbs-msi", "identityId": IDENTITY, "assignRole": False},
        ("assignRole = false", "the stack's own account, which is new", "config rm assignRole"),
    ),
    (
        "nobody's role of a new identity",
        {"storageMode": "wasbs-msi", "storageStack": "keep", "assignRole": False},
        ("assignRole = false", "new identity would have no role", "config set assignRole true"),
    ),
    (
        "subnet of another subscription",
        {"subscription": "00000000-1111-2222-3333-444444444444", "subnetId": ELSEWHERE},
        ("subnetId = ", "99999999-1111", "the stack in 00000000-1111", "all in one subscription"),
    ),
    (
        "subnet and account of two subscriptions",
        {"storageAccountId": ACCOUNT, "subnetId": ELSEWHERE},
        ("storageAccountId = ", "what else it is given in 99999999-1111"),
    ),
    # machines
    ("no workers", {"workers": 0}, ("workers = '0'", "valid: 1 to 200", "set workers 3")),
    ("too many workers", {"workers": 201}, ("workers = '201'", "valid: 1 to 200")),
    ("workers in words", {"workers": "three"}, ("workers = 'three'", "integer")),
    (
        "size without an entry",
        {"workerSize": "Standard_F8s_v2"},
        (
            "workerSize = Standard_F8s_v2",
            "not in our table of sizes of 2026-11-30",
            "write a line in infra/azure/settings/sizes.yaml",
            "Standard_E16_V3",
            "set workerSize",
        ),
    ),
    (
        "retired worker",
        {"workerSize": "Standard_D13_v2"},
        (
            "workerSize = Standard_D13_v2",
            "no clusters of Dv2 sizes since 2026-03-31",
            "set workerSize Standard_E",
        ),
    ),
    (
        "retired head in other letters",
        {"headSize": "STANDARD_D12_V2"},
        ("headSize = STANDARD_D12_V2", "Dv2 sizes since 2026-03-31", "set headSize Standard_E4_V3"),
    ),
    (
        "retired promotion",
        {"workerSize": "Standard_D14_v2_Promo"},
        ("workerSize = Standard_D14_v2_Promo", "Dv2 sizes since 2026-03-31"),
    ),
    ("size with a GPU", {"workerSize": "Standard_NC6"}, ("workerSize = Standard_NC6", "no sizes with GPUs")),
    (
        "size spelt otherwise",
        {"headSize": "standard_e8_v3"},
        ("it is spelt Standard_E8_V3", "set headSize"),
    ),
    (
        "size of another role",
        {"headSize": "Standard_A2_v2"},
        ("headSize = Standard_A2_v2", "is for zookeepers, not heads", "Standard_E8_V3"),
    ),
    (
        "zookeeper too large",
        {"zookeeperSize": "Standard_E8_V3"},
        ("zookeeperSize = Standard_E8_V3", "not zookeepers", "valid: Standard_A2_v2"),
    ),
    (
        "head too small for so many",
        {"headSize": "Standard_E4_V3", "workers": 33},
        ("headSize = Standard_E4_V3", "too few cores for 33 workers", "Standard_E8_V3"),
    ),
    (
        "two workers with an autoscale minimum of three",
        {"workers": 2, "autoscale": {"min": 3, "max": 6}},
        ("workers = 2", "below autoscale's minimum (3)", "valid: 3 to 6", "set workers 3"),
    ),
    (
        "more workers than autoscale's most",
        {"workers": 9, "autoscale": {"min": 3, "max": 6}},
        ("workers = 9", "above its maximum (6)", "set workers 6"),
    ),
    (
        "autoscale minimum of one",
        {"autoscale": {"min": 1, "max": 6}},
        ("autoscale.min = 1", "safe mode", "valid: 3 to 199", "--path autoscale.min 3"),
    ),
    (
        "autoscale upside down",
        {"autoscale": {"min": 6, "max": 3}},
        ("autoscale.max = 3", "above min (6)", "--path autoscale.max 12"),
    ),
    (
        "autoscale upside down with many",
        {"autoscale": {"min": 150, "max": 100}},
        ("autoscale.max = 100", "up to 200", "--path autoscale.max 200"),
    ),
    (
        "autoscale minimum of all that there may be",
        {"autoscale": {"min": 200, "max": 200}},
        ("autoscale.min = 200", "no room to scale", "valid: 3 to 199", "--path autoscale.min 3"),
    ),
    (
        "autoscale without max",
        {"autoscale": {"min": 6}},
        ("autoscale = min 6", "max is missing", "--path autoscale.max 7"),
    ),
    (
        "autoscale with a minimum of one and no max",
        {"autoscale": {"min": 1}},
        ("autoscale = min 1", "max is missing", "--path autoscale.max 4"),
    ),
    (
        "autoscale without min",
        {"workers": 9, "autoscale": {"max": 6}},
        ("autoscale = max 6", "min is missing", "--path autoscale.min 3"),
    ),
    ("autoscale of nothing", {"autoscale": {}}, ("autoscale = {}", "min is missing", "autoscale.min")),
    (
        "autoscale as number",
        {"autoscale": 5},
        ("autoscale = '5'", "it must be a mapping", "valid: min and max"),
    ),
    (
        "load and schedule",
        {"autoscale": {"min": 3, "max": 6, "schedule": [SLOT]}},
        ("exclude each other", "rm --path autoscale.schedule"),
    ),
    (
        "a slot with two numbers",
        {"autoscale": {"schedule": [{**SLOT, "max": 9}]}},
        ("autoscale.schedule[0].max = 9", "a fixed number", "'autoscale.schedule[0].max' 6"),
    ),
    (
        "a slot with two workers",
        {"autoscale": {"schedule": [SLOT, {**NIGHT, "min": 2, "max": 2}]}},
        ("autoscale.schedule[1].min = 2", "safe mode"),
    ),
    (
        "the same time twice",
        {"autoscale": {"schedule": [SLOT, {**SLOT, "days": ["Tuesday"]}]}},
        ("autoscale.schedule[1] = Tuesday 08:00", "schedule[0]", "no duplicates"),
    ),
    (
        "a time of day",
        {"autoscale": {"schedule": [{**SLOT, "time": "8am"}]}},
        ("autoscale.schedule[0].time = '8am'", "HH:MM"),
    ),
    (
        "a day of the week",
        {"autoscale": {"schedule": [{**SLOT, "days": ["Mon"]}]}},
        ("autoscale.schedule[0].days[0] = 'Mon'", "'Monday'"),
    ),
    (
        "autoscale's misspelt key",
        {"autoscale": {"least": 3}},
        ("autoscale.least", "unknown key", "min and max", "config rm --path autoscale.least"),
    ),
    # storage
    ("mode", {"storageMode": "wasb"}, ("storageMode = 'wasb'", "valid: wasbs-key, wasbs-msi, abfss-msi")),
    (
        "container",
        {"container": "My_Files"},
        ("container = My_Files", "lower-case letters", "set container cluster"),
    ),
    ("container with two hyphens", {"container": "a--b"}, ("container = a--b", "single hyphens")),
    ("container of scripts", {"container": "artifacts"}, ("container = artifacts", "container of scripts")),
    (
        "a storage of a storage",
        {"part": "storage", "storageStack": "other"},
        ("storageStack = other", "a storage stack itself", "rm storageStack"),
    ),
    (
        "container of another stack",
        {"storageStack": "other", "container": "mine"},
        ("container = mine", "other (storageStack) names the container", "rm container"),
    ),
    (
        "force for another's storage",
        {"storageStack": "other", "forceDestroy": True},
        ("forceDestroy = true", "other's (storageStack)", "rm forceDestroy"),
    ),
    ("stack's name", {"storageStack": "a/b"}, ("storageStack = 'a/b'", "organization/project/name")),
    ("force", {"forceDestroy": "yess"}, ("forceDestroy = 'yess'", "valid: true, false")),
    (
        "Spark 4",
        {"spark": "4.3"},
        (
            "spark = 4.3",
            "its own Spark 3 and Hadoop 3.3, the last with WASB",
            "valid: 3.5",
            "config rm spark",
        ),
    ),
    # access
    ("reserved user", {"sshUser": "root"}, ("sshUser = root", "has or reserves", "set sshUser sshuser")),
    ("Hadoop's user", {"sshUser": "spark"}, ("sshUser = spark", "has or reserves")),
    ("user with capitals", {"sshUser": "Operator"}, ("sshUser = Operator", "lower-case letters")),
    ("one user for both", {"sshUser": "gate", "gatewayUser": "gate"}, ("sshUser = gate", "gatewayUser")),
    ("gateway's user", {"gatewayUser": "the admin"}, ("gatewayUser = the admin", "letters and digits")),
    (
        "short password",
        {"gatewayPassword": "Ab1+"},
        ("gatewayPassword = ***", "it has 4 characters", "10 to"),
    ),
    ("plain password", {"gatewayPassword": "Passw0rdPassw0rd"}, ("***", "lacks a special character")),
    (
        "password that lacks all",
        {"gatewayPassword": "++++++++++"},
        ("***", "a digit and a lower-case", "special"),
    ),
    ("small password", {"gatewayPassword": "passw0rd+word"}, ("***", "lacks an upper-case letter")),
    ("quoted password", {"gatewayPassword": "Passw0rd+'word"}, ("***", "quotation mark", "--secret")),
    ("password with #", {"gatewayPassword": "Passw0rd#+word"}, ("***", "a backslash, a hash (#)")),
    ("password with blanks", {"gatewayPassword": "Passw0rd+ word"}, ("***", "blanks")),
    ("password with a full stop", {"gatewayPassword": "Passw0rd.+word"}, ("***", "a full stop")),
    ("password with a bracket", {"gatewayPassword": "Passw0rd]+word"}, ("***", "a bracket (])")),
    (
        "password with the gateway's user",
        {"gatewayPassword": "Passw0rd+9Min", "gatewayUser": "theadmin"},
        ("***", "3 characters in a row of the user theadmin"),
    ),
    (
        "password with the SSH user",
        {"gatewayPassword": "Passw0rd+SSHx"},
        ("***", "3 characters in a row of the user sshuser"),
    ),
    ("password as list", {"gatewayPassword": ["Passw0rd+word"]}, ("***", "it is not text")),
    ("public key alone", {"publicKeyFile": "~/k.pub"}, ("publicKeyFile = ~/k.pub", "privateKeyFile ~/k")),
    ("private key alone", {"privateKeyFile": "~/k"}, ("privateKeyFile = ~/k", "publicKeyFile ~/k.pub")),
    (
        "it is a public key",
        {"publicKeyFile": "~/k.pub", "privateKeyFile": "~/k.pub"},
        ("privateKeyFile = '~/k.pub'", "it is a public key"),
    ),
    # tags
    (
        "our tag",
        {"tags": {"stack": "mine"}},
        ("tags.stack = mine", "the stack sets that", """'tags["stack"]'"""),
    ),
    ("tag's name", {"tags": {"a/b": "c"}}, ("tags.a/b = c", "none of <>%&")),
    ("Azure's tag", {"tags": {"microsoft-x": "c"}}, ("tags.microsoft-x = c", "Azure reserves names")),
    ("long tag", {"tags": {"a": "b" * 257}}, ("tags.a = bbb", "257 characters", "256 at most")),
    ("many tags", {"tags": {f"t{n}": "x" for n in range(48)}}, ("tags = 48 tags", "47 at most")),
    ("tag as yes or no", {"tags": {"a": True}}, ("tags.a = True", "string")),
    # keys
    ("misspelt key", {"headsize": "x"}, ("headsize: unknown key", "headSize,", "rm headsize")),
    ("snake case", {"head_size": "x"}, ("head_size: unknown key", "rm head_size")),
    ("key of AWS", {"zones": ["a"]}, ("zones: unknown key; valid keys: provider, subscription",)),
]


GIVEN: list[dict[str, Any]] = [
    {"subnetId": SUBNET},
    {"subnetId": SUBNET, **PRIVATE},
    {"subnetId": SUBNET.replace("resourceGroups", "resourcegroups")},
    {"subnetId": SUBNET, "storageAccountId": ACCOUNT, "adminCidrs": None},
    {"subnetId": SUBNET, "storageStack": "keep", "adminCidrs": None},
    {"storageAccountId": ACCOUNT, "container": "hdi"},
    {"storageAccountId": ACCOUNT, "storageMode": "wasbs-msi", "identityId": IDENTITY},
    {"storageAccountId": ACCOUNT, "storageMode": "wasbs-msi", "identityId": IDENTITY, "assignRole": True},
    {"storageAccountId": ACCOUNT, "storageMode": "wasbs-msi", "assignRole": True},
    {
        "storageAccountId": ACCOUNT,
        "scriptsAccountId": SCRIPTS,
        "storageMode": "abfss-msi",
        "identityId": IDENTITY,
    },
    {"storageMode": "wasbs-msi", "identityId": IDENTITY},
    {"storageMode": "wasbs-msi", "identityId": IDENTITY, "storageStack": "keep", "assignRole": False},
]


@pytest.mark.parametrize("values", GIVEN, ids="-".join)
def test_what_a_company_gives_is_taken(values: dict[str, Any]) -> None:
    config = loaded(**values)
    assert config.own_storage == (not {"storageAccountId", "storageStack"} & set(values))


def test_the_subscription_is_that_of_what_is_given() -> None:
    assert given.subscription_of(loaded(subnetId=SUBNET)) == "00000000-1111-2222-3333-444444444444"
    assert given.subscription_of(loaded()) is None


@pytest.mark.parametrize(
    ("values", "words"), [case[1:] for case in MISTAKES], ids=[case[0] for case in MISTAKES]
)
def test_a_mistake_is_named_with_what_is_valid(values: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(**values)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("caffe-spark:")
    for word in (*words, "pulumi config", "--stack az"):
        assert word in line, line
    assert any(word in line for word in ("valid: ", "valid keys: ")), line
    assert "assw0rd" not in line
