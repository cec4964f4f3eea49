"""File operation: a file with an exact content, mode, owner and group."""

from __future__ import annotations

from pydantic import model_validator

from bootstrap.engine.operations.base import Operation
from bootstrap.engine.operations.shell import Scripts, comment, has_access, has_content, write_file


class File(Operation):
    """A file from a Jinja2 template of the role, or from `content`."""

    path: str
    template: str | None = None
    content: str | None = None
    mode: str = "0644"
    owner: str = "root"
    group: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> File:
        if (self.template is None) == (self.content is None):
            raise ValueError("give exactly one of template, content")
        return self

    @property
    def template_file(self) -> str | None:
        """See `Operation.template_file`."""
        return self.template

    def scripts(self, text: str | None = None) -> Scripts:
        """Write the filled template, or `content`, where it differs."""
        content = text if text is not None else self.content or ""
        guard = "\n".join(
            [has_content(self.path, content), has_access(self.path, self.mode, self.owner, self.group)]
        )
        run = write_file(self.path, content, mode=self.mode, owner=self.owner, group=self.group)
        return Scripts(guard, f"{comment(f'write {self.path}')}\n{run}")
