"""A stack's configuration: how it is read, what a stack on this machine may say, how each mistake is told.

What a stack on AWS may say: aws/test_config.py.
"""

from __future__ import annotations

import subprocess
import sys
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from bootstrap.errors import ConfigError
from infra.aws.settings.config import AwsConfig
from infra.config import from_file, load
from infra.local.settings.config import LocalConfig


def loaded(**values: str) -> LocalConfig:
    config = load({f"caffe-spark:{key}": value for key, value in values.items()}, "dev")
    assert isinstance(config, LocalConfig)
    return config


def test_without_a_word_it_is_two_workers_here() -> None:
    config = loaded()
    assert (config.provider, config.workers, config.vcpu, config.memory_mb) == ("local", 2, 2, 3072)
    assert config.image.source == "mmdebstrap"


def test_numbers_and_objects_arrive_as_text() -> None:
    config = loaded(workers="3", image='{"source": "registry", "ref": "localhost/debian:12"}')
    assert config.workers == 3
    assert config.image.source == "registry"


def test_keys_of_other_namespaces_are_not_ours() -> None:
    assert load({"aws:region": "eu-west-1", "pulumi:tags": "{}"}, "dev") == LocalConfig()


def test_addresses_stay_when_the_number_of_workers_changes() -> None:
    assert loaded(workers="2").address(0) == IPv4Address("10.89.77.10")
    assert loaded(workers="2").address(2) == loaded(workers="9").address(2) == IPv4Address("10.89.77.12")


def test_the_smallest_subnet_that_fits_is_taken() -> None:
    assert loaded(subnet="10.1.2.0/28", workers="4").address(4) == IPv4Address("10.1.2.14")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"scheduler": "mesos"}, ("scheduler = 'mesos'", "'standalone' or 'yarn'", "set scheduler")),
        (
            {"blobs": '{"account": "caffe", "container": "data"}'},
            ("blobs", "only nodes with YARN", "config set scheduler yarn"),
        ),
        (
            {"scheduler": "yarn", "blobs": '{"account": "Caffe_1", "container": "data"}'},
            ("blobs.account = 'Caffe_1'", "blobs.account caffesparkdev"),
        ),
        (
            {"scheduler": "yarn", "blobs": '{"account": "caffe", "container": "-x"}'},
            ("blobs.container = '-x'",),
        ),
        ({"scheduler": "yarn", "blobs": '{"account": "caffe"}'}, ("blobs.container", "required")),
        (
            {
                "scheduler": "yarn",
                "blobs": '{"account": "caffe", "container": "data"}',
                "s3": '{"endpoint": "http://x:1", "bucket": "abc", "accessKey": "k"}',
                "s3SecretKey": "k",
            },
            ("blobs", "s3 is set as well", "config rm s3"),
        ),
        *(
            (
                {"s3": '{"endpoint": "http://x:1", "bucket": "abc", "accessKey": "k"}', "s3SecretKey": key},
                ("s3SecretKey = …: it has", why, "config set --secret s3SecretKey"),
            )
            for key, why in (
                ("a b", "a blank"),
                ("a\x01", "control character"),
                ("a${user}", "Hadoop replaces"),
            )
        ),
        ({"workers": "0"}, ("workers = '0'", "greater than or equal to 1", "config set workers 2")),
        ({"workers": "many"}, ("workers = 'many'", "integer")),
        ({"workers": "201"}, ("workers = '201'", "200")),
        ({"vcpu": "0"}, ("vcpu = '0'", "config set vcpu 2")),
        ({"memoryMb": "1024"}, ("memoryMb = '1024'", "2048", "config set memoryMb 3072")),
        ({"memory": "4096"}, ("memory: unknown key", "memoryMb", "config rm memory ")),
        ({"memory_mb": "4096"}, ("memory_mb: unknown key", "config rm memory_mb")),
        ({"subnet": "here"}, ("subnet = 'here'", "IPv4", "10.89.77.0/24")),
        ({"subnet": "10.89.77.1/24"}, ("subnet = '10.89.77.1/24'", "IPv4")),
        ({"subnet": "8.8.8.0/24"}, ("8.8.8.0/24 is not a private network",)),
        ({"subnet": "10.1.2.0/28", "workers": "5"}, ("room for 4 workers, not for 5",)),
        ({"subnet": "10.1.2.0/30"}, ("room for 0 workers",)),
        ({"engine": "lxc"}, ("engine = 'lxc'", "'auto', 'podman' or 'docker'")),
        ({"provider": "gcp"}, ("provider = 'gcp'", "config set provider local")),
        ({"provider": "azur"}, ("'azur'", "unknown provider", "local, aws and azure", "provider local")),
        ({"image": "debian"}, ("image = 'debian'", "image.source mmdebstrap")),
        ({"image": '{"source": "iso"}'}, ("'iso'", "mmdebstrap", "registry")),
        ({"image": '{"source": "registry"}'}, ("image.ref", "required")),
        (
            {"image": '{"source": "registry", "ref": "registry.example.org/debian:12"}'},
            ("image.ref", "debian:12 has no digest", "write NAME@sha256:DIGEST"),
        ),
        (
            {"image": '{"source": "registry", "ref": "registry.example.org/debian@sha256:12"}'},
            ("image.ref", "has no digest"),
        ),
        ({"image": '{"source": "mmdebstrap", "suit": "bookworm"}'}, ("image.suit", "unknown key", "suite")),
        ({"image": '{"source": "mmdebstrap", "suite": "Book worm"}'}, ("image.suite = 'Book worm'",)),
    ],
)
def test_a_mistake_is_named_with_what_is_valid(values: dict[str, str], words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(**values)
    line = str(caught.value)
    assert "\n" not in line
    for word in (*words, "--stack dev"):
        assert word in line, line


def test_the_provider_decides_which_section_it_is() -> None:
    values = {"caffe-spark:provider": "aws", "caffe-spark:region": "eu-west-1"}
    assert isinstance(load(values, "aws-eu-west-1"), AwsConfig)
    assert isinstance(load({"caffe-spark:provider": "local"}, "dev"), LocalConfig)


def test_importing_it_imports_no_pulumi() -> None:
    program = "import sys, infra.config; print([name for name in sys.modules if 'pulumi' in name])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_stack_on_this_machine_does_not_pay_for_a_cloud() -> None:
    program = "import sys, infra.__main__, infra.local.program; print('pulumi_aws' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text(
        "config: {provider: {default: local}, workers: {default: 2, type: integer}, region: {type: string}}\n"
    )
    return tmp_path / "Pulumi.dev.yaml"


def test_a_stack_file_is_read_as_the_engine_would_hand_it_over(file: Path) -> None:
    file.write_text(
        "config:\n"
        "  caffe-spark:provider: aws\n"
        "  region: eu-west-1\n"
        "  caffe-spark:flowLogs: true\n"
        "  caffe-spark:maxPrice: 0.80\n"
        "  caffe-spark:zones: [eu-west-1b]\n"
        "  caffe-spark:headAmi:\n"
        "  aws:secretKey: {secure: v1:abc}\n"
    )
    config = from_file(file, "dev")
    assert isinstance(config, AwsConfig)
    assert (config.workers, config.flow_logs, str(config.max_price)) == (2, True, "0.8")
    assert (config.zones, config.head_ami) == (("eu-west-1b",), None)


@pytest.mark.parametrize("text", ["", "config:\n", "encryptionsalt: v1:abc\n"])
def test_a_stack_file_that_says_nothing_has_the_defaults(file: Path, text: str) -> None:
    file.write_text(text)
    assert from_file(file, "dev") == LocalConfig()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("config: [provider]\n", ("`config` is not a mapping", "$EDITOR")),
        ("provider\n", ("`config` is not a mapping", "$EDITOR")),
        ("config: {a: b\n", ("it is not valid YAML", "line 2", "$EDITOR")),
        ("config:\n  workers: 2\n  workers: 3\n", ("'workers' is given twice, in lines 2 and 3", "$EDITOR")),
        ("config:\n  workers: 010\n", ("line 2: 010 may be an octal number", "$EDITOR")),
        (
            "config:\n  caffe-spark:workers: {secure: v1:abc}\n",
            ("workers = '[secret]'", "config set workers 2"),
        ),
        ("config:\n  caffe-spark:workers: 0\n", ("workers = '0'", "config set workers 2 --stack dev")),
        ("config:\n  wrokers: 2\n", ("caffe-spark:wrokers: unknown key", "config rm wrokers")),
    ],
)
def test_a_stack_file_with_a_mistake_is_one_line(file: Path, text: str, words: tuple[str, ...]) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        from_file(file, "dev")
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_stack_file_that_is_not_there_is_told_with_those_that_are(file: Path) -> None:
    file.write_text("")
    with pytest.raises(ConfigError, match=r"no such file \(stack files there: Pulumi\.dev\.yaml\).*`cp "):
        from_file(file.with_name("Pulumi.aws-mars-1.yaml"), "aws-mars-1")


@pytest.mark.parametrize(
    ("name", "alike"),
    [("azure-east-us", "azure-west-europe"), ("aws-mars-1", "aws-eu-west-1"), ("other", "aws-eu-west-1")],
)
def test_a_stack_without_a_file_is_told_to_copy_one_of_its_own_kind(
    file: Path, name: str, alike: str
) -> None:
    for there in ("aws-eu-west-1", "azure-west-europe", "dev"):
        file.with_name(f"Pulumi.{there}.yaml").write_text("")
    with pytest.raises(ConfigError) as caught:
        from_file(file.with_name(f"Pulumi.{name}.yaml"), name)
    assert caught.value.fix == f"Copy one: `cp Pulumi.{alike}.yaml Pulumi.{name}.yaml`, and edit it."


def test_where_there_are_no_stack_files_this_is_not_the_projects_folder(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"stack files there: none.*Go to the project's folder"):
        from_file(file, "dev")


def test_a_provider_that_is_a_list_is_refused_like_any_other() -> None:
    with pytest.raises(ConfigError, match="unknown provider"):
        load({"caffe-spark:provider": '["aws"]'}, "dev")
