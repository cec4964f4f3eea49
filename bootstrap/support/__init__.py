"""Support bundle: an archive for a bug report, with secrets masked.

A part that cannot be read, such as a node that does not answer, is named in the bundle and fails nothing.
"""
