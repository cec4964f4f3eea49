"""Operations: each turns its part of a role into a guard and a script. A file here is a key in role.yaml."""

from __future__ import annotations

from bootstrap.engine.operations import (
    archive,
    build,
    command,
    debian_source,
    directory,
    file,
    git,
    packages,
    service,
    user,
)
from bootstrap.engine.operations.shell import Scripts, summary
from bootstrap.engine.role import (
    Archive,
    Build,
    DebianSource,
    Directory,
    File,
    Git,
    Packages,
    Service,
    Shell,
    Step,
    User,
)

__all__ = ["Scripts", "compile_step", "summary"]


def compile_step(step: Step, content: str | None = None) -> Scripts:  # noqa: PLR0911 - one line per operation
    """Guard and script of a step whose variables are filled; `content` is the filled template, if it has one.

    Raises:
        ConfigError: a value that the operation cannot take.
    """
    match getattr(step, step.operations()[0]):
        case list() as names:
            return packages.scripts(Packages(install=names))
        case Packages() as spec:
            return packages.scripts(spec)
        case File() as spec:
            return file.scripts(spec, content if content is not None else spec.content or "")
        case Directory() as spec:
            return directory.scripts(spec)
        case User() as spec:
            return user.scripts(spec)
        case Git() as spec:
            return git.scripts(spec)
        case DebianSource() as spec:
            return debian_source.scripts(spec)
        case Build() as spec:
            return build.scripts(spec)
        case Archive() as spec:
            return archive.scripts(spec)
        case Service() as spec:
            return service.scripts(spec, content or "")
        case Shell() as spec:
            return command.scripts(spec)
        case other:
            raise TypeError(f"no operation for {type(other).__name__}")
