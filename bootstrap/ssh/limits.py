"""Time limits of SSH, in seconds: no operation waits longer than these on a network that swallows packets."""

from __future__ import annotations

CONNECT = 8.0
"""Each stage of a login; a node on the cluster's own network answers within one second."""
PROXY = 60.0
"""The same through a proxy command, which starts a program and opens a session with the cloud first."""
ANSWER = 30.0
"""The node's answer to a request: a channel, the start of a command or of an SFTP session."""
STALL = 60.0
"""A file transfer in which nothing moves."""
RUN = 600.0
"""A script whose caller sets no time-out."""

KEEPALIVE = 15.0
"""Silence after which the node is asked for a sign of life."""
SILENCE = 45.0
"""Silence, sign of life included, after which the connection is cut."""
CHECK = 1.0
"""Between two looks at what has been received."""

RECONNECT = 120.0
"""Failing attempts to connect, one after the other."""
RECOVER = 300.0
"""Connections that open, and break again before the node has answered."""
PAUSE = 5.0
"""Between two attempts to connect; pauses grow up to this."""
