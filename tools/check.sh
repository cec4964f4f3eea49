#!/bin/sh
# Static checks, and the tests that need no node, at the same time: so two cores are busy all along.
#
# Static checks print what they found at the end if one fails, and to .state/log/static.log in any case.
set -u
log=.state/log/static.log
mkdir -p .state/log

static() {
	ruff check . &&
		ruff format --check . &&
		mypy &&
		lint-imports &&
		vermin --quiet --violations -t=3.8- jobs/api jobs/trainer jobs/converters jobs/backends/on_head \
			jobs/datasets/on_head bootstrap/join/on_node bootstrap/framework/on_head \
			bootstrap/transfer/on_node bootstrap/recipes
}

static >"$log" 2>&1 &
checks=$!
trap 'kill "$checks" 2>/dev/null' EXIT
trap 'exit 130' INT TERM
python -m tools.azurite &&
	pytest -m 'not cluster and not caffe' --numprocesses auto --maxprocesses 8 --dist loadscope
tests=$?
wait "$checks" || {
	cat "$log"
	echo "static checks failed; their output is above, and in $log"
	exit 1
}
exit "$tests"
