"""SSH: connections to nodes, and long scripts that outlive them."""
