//go:build tools

// Package tools pins the Python language host: its last release inside the SDK module. It needs another
// version of sdk/v3 than the CLI does, hence a module of its own.
package tools

import _ "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python"
