"""`password`: the file of the dashboard's sign-in without an identity provider."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def password(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to keep the hash, for UPTOKEN_PASSWORD_FILE.")],
) -> int:
    """Ask for a password twice and keep its scrypt hash: password /etc/uptoken/password.

    The dashboard then asks for it: UPTOKEN_PASSWORD_FILE=FILE. Run it again to change the password; that ends every
    session. Where there is no terminal, the password is the first line of standard input.
    """
    from settings.password import PasswordError, hash_password
    from store.part_files import part_file
    from store.private import make_private_folder

    if sys.stdin.isatty():
        chosen = typer.prompt("Password", hide_input=True, confirmation_prompt="The same again", err=True)
    else:
        chosen = sys.stdin.readline().rstrip("\r\n")
    try:
        line = hash_password(chosen).line()
    except PasswordError as problem:
        raise typer.BadParameter(str(problem), param_hint="the password") from None
    make_private_folder(file.absolute().parent)
    with part_file(file) as part:
        part.write_text(f"{line}\n")
    print(f"{file}: the hash is kept. Start the dashboard with UPTOKEN_PASSWORD_FILE={file.absolute()}")
    return 0
