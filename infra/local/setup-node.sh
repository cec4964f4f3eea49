#!/bin/sh
# Runs once as root inside the base image, whatever its source.
# Arguments: packages that are still missing there.
set -eu
export DEBIAN_FRONTEND=noninteractive

if [ $# -gt 0 ]; then
    apt-get update
    apt-get install -y --no-install-recommends "$@"
    apt-get clean
    rm -rf /var/lib/apt/lists/*
fi

# Certificate authorities that this machine's administrator added (copied in before).
update-ca-certificates

# The operator. The key of the stack is put beside sshd's settings when a node is made.
useradd --create-home --shell /bin/bash ops
echo 'ops ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/ops
chmod 0440 /etc/sudoers.d/ops

mkdir -p /etc/ssh/sshd_config.d /etc/ssh/authorized_keys
cat >/etc/ssh/sshd_config.d/00-caffe-spark.conf <<'EOF'
HostKey /etc/ssh/ssh_host_ed25519_key
AuthorizedKeysFile /etc/ssh/authorized_keys/%u
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin no
UseDNS no
EOF
# Every node gets a host key and a machine id of its own.
rm -f /etc/ssh/ssh_host_*
: >/etc/machine-id

systemctl enable ssh.service
systemctl set-default multi-user.target
# What makes sense only with hardware, or works on other people's schedule.
systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    fstrim.timer getty.target console-getty.service
