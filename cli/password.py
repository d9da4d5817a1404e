"""`password`: the file of the dashboard's sign-in without an identity provider."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def password(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The file to write the hash to, for UPTOKEN_PASSWORD_FILE.")
    ],
) -> int:
    """Ask for a password twice and write its scrypt hash: password /etc/uptoken/password.

    The dashboard asks for it when it is started with UPTOKEN_PASSWORD_FILE=FILE. Run this again to change the password;
    that ends every session. Without a terminal, the password is the first line of standard input.
    """
    from settings.password import PasswordError, hash_password
    from store.part_files import part_file
    from store.private import make_private_folder

    if sys.stdin.isatty():
        chosen = typer.prompt("Password", hide_input=True, confirmation_prompt="Repeat the password", err=True)
    else:
        chosen = sys.stdin.readline().rstrip("\r\n")
    try:
        line = hash_password(chosen).line()
    except PasswordError as problem:
        raise typer.BadParameter(str(problem), param_hint="the password") from None
    make_private_folder(file.absolute().parent)
    with part_file(file) as part:
        part.write_text(f"{line}\n")
    print(f"The hash was written to {file}. Start the dashboard with UPTOKEN_PASSWORD_FILE={file.absolute()}")
    return 0
