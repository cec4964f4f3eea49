"""Translation of Azure SDK errors: one line, with the next command. The real client, and a fake server."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from pathlib import Path

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseTimeoutError,
)
from azure.core.pipeline.policies import RetryPolicy
from azure.mgmt.hdinsight.models import NameAvailabilityCheckRequestParameters

from bootstrap.clouds import azure
from bootstrap.cluster import ClusterDocument, HdInsight
from bootstrap.errors import CaffeSparkError, ConfigError, ServiceDown, StackError
from tests.bootstrap.hdinsight_cluster import arm, hdinsight
from tests.cloud.arm import NAME, SUBSCRIPTION, Arm, closed_port
from tests.offline import no_login
from tools.environment import ROOT

__all__ = ["arm", "hdinsight", "no_login"]

STACK = "azure-west-europe"


def ask(cluster: ClusterDocument, name: str = NAME) -> str:
    """Send one request to Azure; return the state of a cluster."""
    given = cluster.members
    assert isinstance(given, HdInsight)
    with azure.translate_errors(f"looking at {name}", cluster.stack):
        found = azure.management(given, azure.FAIL_FAST).clusters.get(given.resource_group, name)
        assert found.properties is not None
        return found.properties.cluster_state or ""


def said_of(cluster: ClusterDocument, name: str = NAME) -> CaffeSparkError:
    with pytest.raises(CaffeSparkError) as caught:
        ask(cluster, name)
    assert "\n" not in str(caught.value)
    return caught.value


def words_for(error: Exception) -> CaffeSparkError:
    with pytest.raises(CaffeSparkError) as caught, azure.translate_errors("listing hosts", STACK):
        raise error
    return caught.value


def test_no_token_is_sent_to_a_fake_endpoint(arm: Arm, hdinsight: ClusterDocument) -> None:
    assert ask(hdinsight) == "Running"
    assert arm.asked == [("GET", f"/clusters/{NAME}")]
    assert arm.tokens == []


def test_a_missing_cluster_names_the_command_that_recreates_it(arm: Arm, hdinsight: ClusterDocument) -> None:
    error = said_of(hdinsight, "caffe-gone")
    assert isinstance(error, StackError)
    assert "clusters/caffe-gone' under resource group" in error.why
    assert f"`pulumi up --refresh --stack {STACK}`" in error.fix


@pytest.mark.parametrize(
    ("status", "code", "text", "kind", "words"),
    [
        (401, "ExpiredAuthenticationToken", "The access token expiry has passed.", ConfigError, "`az login`"),
        (401, "InvalidAuthenticationTokenTenant", "Wrong issuer", ConfigError, "to another tenant"),
        (404, "SubscriptionNotFound", "Subscription x was not found.", ConfigError, "`az account list`"),
        (404, "ResourceGroupNotFound", "Resource group 'g' could not be found.", StackError, "pulumi up"),
        (409, "MissingSubscriptionRegistration", "not registered", ConfigError, "az provider register"),
        (400, "BadRequest", "The\nrequest is bad", ServiceDown, "it is refused: The request is bad (Bad"),
        (
            500,
            "InternalServerError",
            "An\nerror",
            ServiceDown,
            "it fails on Azure's side: An error (Internal",
        ),
        (502, "BadGateway", "No answer", ServiceDown, "it fails on Azure's side: No answer (BadGateway)"),
    ],
)
def test_each_refusal_names_the_next_command(
    arm: Arm,
    hdinsight: ClusterDocument,
    status: int,
    code: str,
    text: str,
    kind: type[CaffeSparkError],
    words: str,
) -> None:
    arm.always = (status, code, text)
    error = said_of(hdinsight)
    assert type(error) is kind
    assert words in str(error)


@pytest.mark.parametrize(
    ("action", "role"),
    [
        ("Microsoft.HDInsight/clusters/read", "Reader"),
        ("Microsoft.HDInsight/clusters/executeScriptActions/action", "Contributor"),
    ],
)
def test_a_missing_permission_names_role_login_and_scope(
    arm: Arm, hdinsight: ClusterDocument, action: str, role: str
) -> None:
    scope = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/g"
    arm.always = (
        *(403, "AuthorizationFailed"),
        f"The client 'ops@example.com' with object id '1-2-3' does not have authorization to perform action "
        f"'{action}' over scope '{scope}' or the scope is invalid.",
    )
    error = said_of(hdinsight)
    assert isinstance(error, azure.Denied)
    assert error.operation == action
    assert error.why == f"this login lacks the permission {action}"
    assert f"`az role assignment create --assignee 1-2-3 --role {role} --scope {scope}`" in error.fix


def test_a_refusal_without_the_usual_words_is_passed_on(arm: Arm, hdinsight: ClusterDocument) -> None:
    arm.always = (403, "RequestDisallowedByPolicy", "A policy of the company says no.")
    error = said_of(hdinsight)
    assert isinstance(error, azure.Denied)
    assert "A policy of the company says no" in error.why


def test_a_throttled_request_is_retried(arm: Arm, hdinsight: ClusterDocument) -> None:
    arm.refusals = [(429, "TooManyRequests", "slow down")]
    assert ask(hdinsight) == "Running"
    assert len(arm.asked) == 2


def test_throttling_beyond_all_retries_advises_to_wait(arm: Arm, hdinsight: ClusterDocument) -> None:
    arm.always = (429, "TooManyRequests", "slow down")
    error = said_of(hdinsight)
    assert isinstance(error, ServiceDown)
    assert "throttles" in error.why
    assert "Wait a minute" in error.fix
    assert len(arm.asked) == 1 + azure.FAIL_FAST["retry_total"]


def test_an_unreachable_azure_is_reported_within_seconds(
    arm: Arm, hdinsight: ClusterDocument, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(azure.ENDPOINT, f"http://127.0.0.1:{closed_port()}")
    begun = time.monotonic()
    error = said_of(hdinsight)
    assert isinstance(error, azure.Offline)
    assert "Connection refused" in error.why
    assert time.monotonic() - begun < 5


def test_a_sign_in_page_is_not_taken_for_azure(arm: Arm, hdinsight: ClusterDocument) -> None:
    arm.sign_in_page = True
    error = said_of(hdinsight)
    assert isinstance(error, ServiceDown)
    assert "the response is not Azure's" in error.why


PAGE = "<!DOCTYPE html>\n<html><head><title>\n Blocked &amp; logged\n</title></head><body>No.</body></html>"


@pytest.mark.parametrize("status", [200, 401, 403, 404, 407, 429, 500, 502, 503])
def test_a_web_page_of_whatever_status_is_one_line_and_says_nothing_of_azure(
    arm: Arm, hdinsight: ClusterDocument, status: int
) -> None:
    arm.page = (status, PAGE)
    error = said_of(hdinsight)
    assert type(error) is ServiceDown
    assert "the response is not Azure's" in error.why
    assert "<" not in str(error)
    assert "proxy" in str(error)
    if status != 200:
        assert f"a web page 'Blocked & logged' (HTTP {status})" in error.why


def test_an_error_without_a_body_is_one_line(arm: Arm, hdinsight: ClusterDocument) -> None:
    arm.page = (500, "")
    assert "HTTP 500" in str(said_of(hdinsight))


def test_a_timeout_is_distinguished_from_an_unreachable_azure() -> None:
    slow = words_for(ServiceResponseTimeoutError("Read timed out. (read timeout=60)"))
    assert isinstance(slow, ServiceDown)
    assert not isinstance(slow, azure.Offline)
    assert isinstance(words_for(ServiceRequestError("no route")), azure.Offline)


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(KeyError), azure.translate_errors("listing hosts", STACK):
        raise KeyError("hosts")


def test_only_azures_own_errors_have_a_code() -> None:
    assert azure.code_of(ValueError("ResourceNotFound")) == ""
    assert azure.code_of(HttpResponseError("no answer")) == ""


# ---- logins: the real DefaultAzureCredential on a machine without credentials


def log_in() -> None:
    with azure.translate_errors("looking at the cluster", STACK):
        azure.credential().get_token("https://management.azure.com/.default")


def test_nobody_logged_in_is_one_line_with_az_login(no_login: None) -> None:
    with pytest.raises(ConfigError, match=r"nobody is logged in.*AZURE_CLIENT_SECRET") as caught:
        log_in()
    assert caught.value.fix.startswith(
        "Install the Azure CLI (https://learn.microsoft.com/cli/azure/install-az"
    )
    assert caught.value.fix.endswith(", then run `az login`.")


def test_where_the_cli_is_there_only_the_login_is_missing(no_login: None, az: Path) -> None:
    with pytest.raises(ConfigError, match="nobody is logged in") as caught:
        log_in()
    assert caught.value.fix == "Run `az login`."


@pytest.fixture
def az(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An Azure CLI on the PATH, with nobody logged in."""
    file = tmp_path / "az"
    file.write_text("#!/bin/sh\necho \"Please run 'az login' to setup account.\" >&2\nexit 1\n")
    file.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return file


@pytest.fixture
def principal(no_login: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The three variables of a service principal, and no other login."""
    monkeypatch.setenv("AZURE_CLIENT_ID", "11111111-0000-0000-0000-000000000000")
    monkeypatch.setenv("AZURE_TENANT_ID", "22222222-0000-0000-0000-000000000000")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "whisper")
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "prod")
    monkeypatch.setattr(RetryPolicy, "sleep", lambda *_, **__: None)


def test_three_variables_without_a_way_to_the_login_server_are_no_missing_login(
    principal: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real azure-identity, whose only way out is a proxy that is not there."""
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(azure.Offline) as caught:
        log_in()
    line = str(caught.value)
    assert "the login server cannot be reached: " in line
    assert "Check the network and its proxy" in line
    assert "\n" not in line
    assert "<" not in line
    assert "whisper" not in line


CHAIN = (
    "DefaultAzureCredential failed to retrieve a token from the included credentials.\n"
    "Attempted credentials:\n\tEnvironmentCredential: Authentication failed: {why}\n"
    "To mitigate this issue, please refer to the troubleshooting guidelines here at https://aka.ms/azsdk/x."
)


@pytest.mark.parametrize(
    ("why", "said"),
    [
        (
            "<urllib3.connection.HTTPSConnection object at 0x7f>: Failed to resolve 'login.x' "
            "([Errno -2] Name or service not known)",
            "cannot be reached: Failed to resolve 'login.x' ([Errno -2] Name or service not known)",
        ),
        (
            "HTTPSConnectionPool(host='login.x', port=443): Max retries exceeded with url: /y",
            "cannot be reached: Max retries exceeded",
        ),
        (
            "HTTPSConnection(host='x', port=443): Connection timed out",
            "cannot be reached: Connection timed out",
        ),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate", "cannot be reached: [SSL: CERT"),
    ],
)
def test_an_unreachable_login_server_is_told_in_the_networks_words(
    principal: None, why: str, said: str
) -> None:
    error = words_for(ClientAuthenticationError(CHAIN.format(why=why)))
    assert isinstance(error, azure.Offline)
    assert said in error.why


@pytest.mark.parametrize(
    ("why", "said"),
    [
        (
            "AADSTS7000215: Invalid client secret provided. Ensure",
            "not valid: AADSTS7000215: Invalid client secret",
        ),
        ("Unable to get authority configuration for https://login/x.", "fails: Unable to get authority"),
    ],
)
def test_variables_that_the_login_server_refuses_are_to_be_corrected(
    principal: None, why: str, said: str
) -> None:
    error = words_for(ClientAuthenticationError(CHAIN.format(why=why)))
    assert isinstance(error, ConfigError)
    assert said in error.why
    assert error.fix.startswith(
        "Correct AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET, or unset them"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("AZURE_TENANT_ID", "my tenant"), ("AZURE_CLIENT_ID", ""), ("AZURE_CLIENT_SECRET", "")],
)
def test_a_variable_that_cannot_be_one_is_refused_before_any_request(
    principal: None, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=r"AZURE_TENANT_ID.*the login is not valid") as caught:
        log_in()
    assert "\n" not in str(caught.value)


def test_the_sdks_log_of_the_error_is_not_printed(no_login: None) -> None:
    program = "from bootstrap.clouds import azure; azure.credential().get_token('https://x/.default')"
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.stderr.startswith("Traceback")


def test_half_of_a_service_principal_names_the_other_half(
    no_login: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_CLIENT_ID", "1-2-3")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "half")
    with pytest.raises(ConfigError, match=r"AZURE_TENANT_ID not set, but AZURE_CLIENT_SECRET is.*export"):
        log_in()


def test_an_expired_login_is_explained(no_login: None, az: Path) -> None:
    error = words_for(
        ClientAuthenticationError(
            "DefaultAzureCredential failed to retrieve a token.\nAttempted credentials:\n\t"
            "AzureCliCredential: ERROR: AADSTS700082: The refresh token is too old. It was issued"
        )
    )
    assert isinstance(error, ConfigError)
    assert error.why.endswith("AADSTS700082: The refresh token is too old")
    assert error.fix == "Run `az login`."


def test_without_a_fake_endpoint_requests_go_to_azure(no_login: None) -> None:
    given = HdInsight(
        subscription=SUBSCRIPTION,
        resource_group="g",
        name=NAME,
        region="r",
        artifacts="wasbs://a@b",
        worker_count=1,
    )
    client = azure.management(given)
    assert client._client._base_url == "https://management.azure.com/"


def test_the_fake_server_answers_preflights_requests(arm: Arm, hdinsight: ClusterDocument) -> None:
    given = hdinsight.members
    assert isinstance(given, HdInsight)
    locations = azure.management(given).locations
    free, request = NameAvailabilityCheckRequestParameters(name="free"), io.BytesIO(b'{"name": "x"}')
    assert locations.check_name_availability(given.region, free).name_available
    assert locations.list_billing_specs(given.region).vm_sizes == ["Standard_E8_V3"]
    (usage,) = locations.list_usages(given.region).value or []
    assert (usage.current_value, usage.limit) == (8, 60)
    assert locations.validate_cluster_create_request(given.region, request).validation_errors == []
