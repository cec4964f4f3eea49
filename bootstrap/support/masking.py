"""Masking of secrets in text that leaves this machine: known values, and what looks like a credential."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote_plus

from bootstrap.engine.spelling import spellings

MASK: Final = "***"
SHORT: Final = 6
"""Characters below which a value is replaced only where it stands as a word of its own."""
OWN_LINE: Final = 16
"""Characters from which a line of a secret of several lines is a secret by itself."""
SECRET_NAME: Final = re.compile(
    r"secret|passw(?:or)?d|passphrase|credential|token|(?:api|access|account|private|shared)_?-?key",
    re.IGNORECASE,
)
"""Names of settings, fields and variables whose values are secrets."""
_PUBLIC: Final = re.compile(r"public|host_key|_FILE$|TOKEN_CREDENTIALS|secrets_?provider", re.IGNORECASE)
"""Names that match SECRET_NAME, or whose values' names do, and hold none."""
_ENVIRONMENT_LEAST: Final = 8
"""Characters of a variable's value from which it is taken for a secret."""

_PEM: Final = re.compile(
    r"-----BEGIN (?P<kind>[A-Z0-9 ]*PRIVATE KEY)-----.*?(?:-----END (?P=kind)-----|\Z)", re.DOTALL
)
_END_OF_PEM: Final = re.compile(r"^.*-----END [A-Z0-9 ]*PRIVATE KEY-----.*\n?", re.MULTILINE)
_LINE_OF_PEM: Final = re.compile(r"[^\w\n]*[A-Za-z0-9+/=]{16,}[^\w\n]*")
# Patterns begin with the telling part of a name: from its start, each letter of a long line would be tried.
_NAME: Final = (
    r"(?:secret|passw(?:or)?d|passphrase|token|(?:api|access|account|private|shared)[._-]?key)[\w.-]{0,100}"
)
_VALUE: Final = r"(?!(?:null|None|true|false)\b)[^\s\"',;}&|>]"
"""Beginning of a value without quotes."""
_PATTERNS: Final = (
    # AWS's ids of access keys; https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b"), MASK),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"), MASK),  # JSON web tokens
    (re.compile(r"\b(?:gh[pousr]_|github_pat_|pul-)[A-Za-z0-9_]{20,}"), MASK),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {MASK}"),
    # signatures of URLs: Azure's SAS, AWS's presigned ones
    (
        re.compile(r"(?i)([?&;](?:sig|X-Amz-Signature|X-Amz-Credential|X-Amz-Security-Token)=)[^&\s\"']+"),
        rf"\1{MASK}",
    ),
    # Up to the last @ of the host's part: a password may have some.
    (re.compile(r"(://[^\s/:@\"']{1,100}:)[^\s/\"']{1,500}(?=@)"), rf"\1{MASK}"),
    (re.compile(r"(?i)(\bSharedKey(?:Lite)?\s+[^\s:]{1,100}:)[A-Za-z0-9+/=]{8,}"), rf"\1{MASK}"),
    # Pulumi's encrypted values, in stack files
    (
        re.compile(r"(?i)(\b(?:secure|encryptedkey|encryptionsalt)[\"']?\s*:\s*[\"']?)[^\s\"',}]{4,}"),
        rf"\1{MASK}",
    ),
    # Between quotes: one of the other kind, and one after a backslash, belong to the value.
    (re.compile(rf"(?i)({_NAME}\\[\"']\s*[=:]\s*\\(?P<q>[\"']))(?:(?!\\?(?P=q))[^\n])+"), rf"\1{MASK}"),
    (
        re.compile(rf"(?i)({_NAME}[\"']?\s*[=:]\s*(?P<q>[\"']))(?:\\.|(?!(?P=q))[^\\\n])+"),
        rf"\1{MASK}",
    ),
    # A line of YAML, whose value may be several words, and one of Spark's own settings.
    (
        re.compile(rf"(?im)^([ \t]*(?:-[ \t]+)?[\w.-]{{0,60}}?{_NAME}:[ \t]+){_VALUE}[^\n]*"),
        rf"\1{MASK}",
    ),
    (
        re.compile(rf"(?im)^([ \t]*(?:spark|fs)\.[\w.-]{{0,100}}?{_NAME}[ \t]+)[^\s=:][^\s]*"),
        rf"\1{MASK}",
    ),
    (re.compile(rf"(?i)({_NAME}\\?[\"']?\s*[=:]\s*){_VALUE}[^\s\",;}}]{{3,}}"), rf"\1{MASK}"),
    (re.compile(rf"(?i)(--[\w-]{{0,40}}{_NAME}\s+)[^\s\"'-][^\s\"']{{3,}}"), rf"\1{MASK}"),
    (re.compile(rf"(?i)(<name>[^<]{{0,200}}{_NAME}</name>\s*<value>)[^<]+"), rf"\1{MASK}"),
)
"""Credentials of unknown value; the name stays where there is one."""


class Masking:
    """Replaces secrets in text; `known` are the secrets' values."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        long, short = set[str](), set[str]()
        for value in known:
            for form in _forms(value):
                (short if len(form) < SHORT else long).add(form)
        # The longest first: one secret may be part of another.
        self._long = sorted(long, key=len, reverse=True)
        words = "|".join(re.escape(form) for form in sorted(short, key=len, reverse=True))
        self._short = re.compile(rf"(?<!\w)(?:{words})(?!\w)") if words else None

    def text(self, text: str) -> str:
        """Return the text with secrets replaced."""
        for form in self._long:
            text = text.replace(form, MASK)
        if self._short is not None:
            text = self._short.sub(MASK, text)
        text = _without_ends_of_keys(_PEM.sub(MASK, text))
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text


def _without_ends_of_keys(text: str) -> str:
    """Replace what is left of keys whose beginning was cut off with the log's."""
    parts, done = list[str](), 0
    for end in _END_OF_PEM.finditer(text):
        lines = text[done : end.start()].splitlines(keepends=True)
        while lines and _LINE_OF_PEM.fullmatch(lines[-1].rstrip("\n")):
            lines.pop()
        parts += [*lines, f"{MASK}\n"]
        done = end.end()
    return "".join([*parts, text[done:]])


def _forms(value: str) -> set[str]:
    """Return how a secret may be written: itself, its lines, and its usual encodings."""
    value = value.strip()
    if not value:
        return set()
    lines = [line.strip() for line in value.splitlines() if not line.startswith("-----")]
    # Of several lines, such as those of a key in PEM, one may stand alone. A script's lines are no secrets.
    parts = {value, *(line for line in lines if len(line) >= OWN_LINE and not re.search(r"\s", line))}
    forms = set[str]()
    for part in parts:
        forms |= {part, *spellings(part), json.dumps(part)[1:-1]}
        if len(part) >= SHORT:
            forms |= {quote_plus(part), base64.b64encode(part.encode()).decode().rstrip("=")}
    return {form for form in forms if form}


def named_secrets(value: Any, name: str = "") -> set[str]:  # noqa: ANN401 - any JSON
    """Return the texts in a document whose names say that they are secrets."""
    if isinstance(value, Mapping):
        return {text for key, inner in value.items() for text in named_secrets(inner, str(key))}
    if isinstance(value, list):
        return {text for inner in value for text in named_secrets(inner, name)}
    is_secret = isinstance(value, str) and SECRET_NAME.search(name) and not _PUBLIC.search(name)
    return {value} if is_secret and value else set()


def of_environment(env: Mapping[str, str]) -> set[str]:
    """Return values of variables whose names say that they are secrets; paths of files are none."""
    return {
        value
        for name, value in env.items()
        if SECRET_NAME.search(name) and not _PUBLIC.search(name) and len(value) >= _ENVIRONMENT_LEAST
    }
