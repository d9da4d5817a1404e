"""Whose certificates are believed: certifi's, or those of a company's own authority."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")


class AuthoritiesError(Exception):
    """The certificates that a variable names cannot be used. The message says which variable, and why."""


def authorities(environment: Mapping[str, str] = os.environ) -> str | bool:
    """The file or folder that `SSL_CERT_FILE` or `REQUESTS_CA_BUNDLE` names, else certifi's."""
    return next((environment[name] for name in _VARIABLES if environment.get(name)), True)


def check_authorities(environment: Mapping[str, str] = os.environ) -> None:
    """Raises AuthoritiesError when what a variable names is no readable certificate. Costs nothing without one."""
    variable = next((name for name in _VARIABLES if environment.get(name)), None)
    if variable is None:
        return
    path = Path(environment[variable])
    if problem := _problem(path):
        raise AuthoritiesError(
            f"{variable} names {path}, and {problem}: it must name a file of PEM certificates, such as "
            "/etc/ssl/certs/ca-certificates.crt, or unset it"
        )


def _problem(path: Path) -> str | None:
    try:
        if path.is_dir():
            hashed = any(_HASHED.fullmatch(entry.name) for entry in path.iterdir())
            return None if hashed else "the folder has no certificates hashed by openssl rehash"
        path.read_bytes()
    except FileNotFoundError:
        return "there is no such file"
    except (OSError, ValueError) as problem:
        return f"it cannot be read ({getattr(problem, 'strerror', None) or problem})"
    import ssl

    try:
        ssl.create_default_context(cafile=str(path))
    except ssl.SSLError:
        return "it contains no PEM certificate"
    return None
