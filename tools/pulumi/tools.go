//go:build tools

// Package tools pins the Pulumi CLI: `make setup` builds it where it is neither installed nor downloadable.
package tools

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
