"""What is valid under each key of a stack on Azure, for the line that a mistake becomes."""

from __future__ import annotations

from infra.azure import network_plan
from infra.azure.settings import name_rules, sizes
from infra.azure.settings.rules import SHOW
from infra.settings.section import MAX_WORKERS, Guide, Hint


def guide() -> Guide:
    """By key, in the order of the stack file."""
    table = sizes.table()
    ranges = f"/{network_plan.LARGEST} to /{network_plan.SMALLEST}"
    yes_or_no = "true, false"
    return {
        "provider": _hint("local, aws, azure", "provider azure"),
        "subscription": _hint(
            "the id of a subscription, as `az account show` has it",
            "subscription 00000000-0000-0000-0000-000000000000",
        ),
        "region": _hint(", ".join(table.regions), "region westeurope"),
        "part": _hint("cluster, storage", "part cluster"),
        "clusterName": _hint(
            f"3 to {name_rules.MAX_CLUSTER_NAME} letters, digits and hyphens", "clusterName caffe-spark-0815"
        ),
        "cidr": _hint(
            f"a range {ranges} within 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16", "cidr 10.50.0.0/16"
        ),
        "adminCidrs": _hint(
            "a list of public IPv4 ranges, /8 to /32", f"--path 'adminCidrs[0]' $({SHOW})/32"
        ),
        "resourceProviderConnection": _hint("inbound, outbound", "resourceProviderConnection inbound"),
        "privateLink": _hint(yes_or_no, "privateLink true"),
        "workers": _hint(f"1 to {MAX_WORKERS}", "workers 3"),
        "headSize": _hint(", ".join(table.sizes_for("head")), "headSize Standard_E8_V3"),
        "workerSize": _hint(", ".join(table.sizes_for("worker")), "workerSize Standard_E8_V3"),
        "zookeeperSize": _hint(", ".join(table.sizes_for("zookeeper")), "zookeeperSize Standard_A2_v2"),
        "autoscale": _hint(
            "min and max (by load), or timeZone and schedule: a list of days, time (HH:MM), min and max",
            "--path autoscale.min 3",
        ),
        "encryptionAtHost": _hint(yes_or_no, "encryptionAtHost true"),
        "storageMode": _hint("wasbs-key, wasbs-msi, abfss-msi", "storageMode wasbs-key"),
        "storageStack": _hint(
            "the name of a stack whose part is storage, or organization/project/name",
            "storageStack azure-storage",
        ),
        "container": _hint("3 to 63 small letters, digits and hyphens", "container cluster"),
        "forceDestroy": _hint(yes_or_no, "forceDestroy false"),
        "sshUser": _hint("2 to 20 small letters, digits and hyphens", "sshUser sshuser"),
        "publicKeyFile": _hint(
            "the path of an RSA key pair's public half", "publicKeyFile ~/.ssh/id_rsa.pub"
        ),
        "privateKeyFile": _hint(
            "the path of that pair's private half on this machine", "privateKeyFile ~/.ssh/id_rsa"
        ),
        "gatewayUser": _hint("2 to 20 letters and digits", "gatewayUser admin"),
        "gatewayPassword": _hint(
            f"{name_rules.MIN_PASSWORD} characters and more", "--secret gatewayPassword"
        ),
        "logAnalytics": _hint(yes_or_no, "logAnalytics true"),
        "tags": _hint("names and texts (`--type string` where one is true)", "--path tags.CostCentre 42"),
    }


def _hint(valid: str, example: str) -> Hint:
    return Hint(valid, f"pulumi config set {example}")
