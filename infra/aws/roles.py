"""IAM roles and instance profiles of the machines, and the role of their jobs.

A company may give profiles of its own, whose roles get no policies here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from infra.aws.existing import Profile, Profiles
from infra.aws.identity import ASSUME, assume_policy, head_policy, job_policy, job_trust, worker_policy
from infra.aws.names import prefix

MAX_ROLE_PREFIX: Final = 38
MAX_PROFILE_PREFIX: Final = 102


@dataclass(frozen=True)
class IdentityArgs:
    """`bucket_arn` is that of the stack's shared storage; `given` are profiles of the company, whose roles
    stay as they are; `boundary` is the permissions boundary of the roles that are created."""

    stack: str
    bucket_arn: pulumi.Input[str]
    given: Profiles | None = None
    boundary: str | None = None


@dataclass(frozen=True)
class Machine:
    """A role as instances use it; `role_id` is the first part of their `aws:userid`."""

    profile_name: pulumi.Output[str]
    profile_arn: pulumi.Output[str]
    role_name: pulumi.Output[str]
    role_arn: pulumi.Output[str]
    role_id: pulumi.Output[str]
    ready: tuple[pulumi.Resource, ...]
    """Resources that must exist before an instance requests credentials."""
    given: bool = False
    """The role is the company's, and gets no policies here."""

    @classmethod
    def of(cls, profile: Profile) -> Machine:
        """Return a role of the company."""
        fixed = pulumi.Output.from_input
        return cls(
            fixed(profile.name),
            fixed(profile.arn),
            fixed(profile.role_name),
            fixed(profile.role_arn),
            fixed(profile.role_id),
            ready=(),
            given=True,
        )


class Identity(pulumi.ComponentResource):
    """The machines' roles with policies and instance profiles, and the role that they assume for jobs."""

    head: Machine
    worker: Machine
    job_role: pulumi.Output[str]
    """ARN of the jobs' role."""

    def __init__(self, name: str, args: IdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("caffe-spark:aws:Identity", name, None, opts)
        bucket = pulumi.Output.from_input(args.bucket_arn)
        if args.given:
            head, worker = Machine.of(args.given.head), Machine.of(args.given.worker)
        else:
            head = self._machine(f"{name}-head", args, "head", bucket.apply(head_policy))
            worker = self._machine(f"{name}-worker", args, "worker", bucket.apply(worker_policy))
        if args.given and args.given.job_role:
            self.job_role = pulumi.Output.from_input(args.given.job_role)
            self.head, self.worker = head, worker
        else:
            trusted = pulumi.Output.all(head.role_arn, worker.role_arn).apply(job_trust)
            job, allowed = self._role(
                f"{name}-job", args, "job", trusted.apply(json.dumps), bucket.apply(job_policy)
            )
            self.job_role = job.arn
            self.head = self._for_jobs(f"{name}-head", head, job, allowed)
            self.worker = self._for_jobs(f"{name}-worker", worker, job, allowed)
        self.register_outputs(
            {"head": head.profile_name, "worker": worker.profile_name, "job": self.job_role}
        )

    def _role(
        self,
        name: str,
        args: IdentityArgs,
        role: str,
        trust: pulumi.Input[str],
        policy: pulumi.Output[dict[str, Any]],
    ) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
        child = pulumi.ResourceOptions(parent=self)
        made = aws.iam.Role(
            name,
            name_prefix=prefix(args.stack, role, MAX_ROLE_PREFIX),
            description=f"caffe-spark: the {role} of stack {args.stack}",
            assume_role_policy=trust,
            permissions_boundary=args.boundary,
            opts=child,
        )
        allowed = aws.iam.RolePolicy(
            f"{name}-policy",
            name="caffe-spark",
            role=made.id,
            policy=policy.apply(json.dumps),
            opts=child,
        )
        return made, allowed

    def _machine(
        self, name: str, args: IdentityArgs, role: str, policy: pulumi.Output[dict[str, Any]]
    ) -> Machine:
        made, allowed = self._role(name, args, role, json.dumps(ASSUME), policy)
        profile = aws.iam.InstanceProfile(
            f"{name}-profile",
            name_prefix=prefix(args.stack, role, MAX_PROFILE_PREFIX),
            role=made.name,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return Machine(
            profile.name,
            profile.arn,
            made.name,
            made.arn,
            made.unique_id.apply(str),
            ready=(allowed, profile),
        )

    def _for_jobs(
        self, name: str, machine: Machine, job: aws.iam.Role, allowed: aws.iam.RolePolicy
    ) -> Machine:
        """Let a machine assume the jobs' role; a role of the company has to allow it itself."""
        if machine.given:
            return replace(machine, ready=(allowed,))
        assumes = aws.iam.RolePolicy(
            f"{name}-jobs",
            name="jobs",
            role=machine.role_name,
            policy=job.arn.apply(assume_policy).apply(json.dumps),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return replace(machine, ready=(*machine.ready, allowed, assumes))
