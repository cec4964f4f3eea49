# Commands of the project, implemented in tools/. No target is a file.

SHELL := /bin/sh
.DEFAULT_GOAL := help
# Bytecode is kept, also where the environment forbids it: without it, every process of a test would compile all
# sources again, and pytest rewrite all assertions, half a minute of `make check`.
export PYTHONDONTWRITEBYTECODE :=
.PHONY: help setup mnist check test acceptance-aws acceptance-azure lock clean

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## /    make \1	/p' $(firstword $(MAKEFILE_LIST)) | expand -t 27
	@echo
	@echo '    . ./activate   then: pulumi up --stack dev · fab build-headnode · fab submit-mnist · pulumi destroy'

# What runs on real nodes wants the dev stacks; other targets do without them where this machine cannot have them.
mnist test: SETUP := --dev
setup: ## packages, .venv, Pulumi, the stacks; under 3 seconds when nothing is missing
	@sh tools/setup.sh $(SETUP)

mnist: setup ## create the cluster, compile Caffe, train on MNIST, print the accuracy
	@. ./activate && \
	pulumi up --yes --stack dev && \
	fab build-headnode --stack dev && \
	fab submit-mnist --stack dev && \
	printf '\nNext:  . ./activate\n       fab --list         all commands\n       pulumi destroy     delete the cluster; the base image and the build cache stay\n'

check: setup ## static checks, and the tests that need no node, in parallel
	@. ./activate && sh tools/check.sh

test: check ## make check, then the tests that run on real nodes
	@. ./activate && \
	python -m tools.s3_server && \
	pytest -m cluster

acceptance-aws: setup ## the four commands on your AWS account, under a price cap; docs/acceptance.md
	@. ./activate && python -m tools.acceptance aws $(ARGS)

acceptance-azure: setup ## the same on Azure HDInsight
	@. ./activate && python -m tools.acceptance azure $(ARGS)

lock: setup ## resolve requirements.lock again from pyproject.toml
	@. ./activate && python -m tools.lock

clean: ## remove .venv, the Pulumi CLI and caches, but no stack's state
	rm -rf .venv .state/pulumi-cli .state/log .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info
