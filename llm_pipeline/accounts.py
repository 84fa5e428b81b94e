"""What `users token`, `users link` and `users revoke` do."""

import secrets
from collections.abc import Callable
from typing import Annotated

import typer

from llm_pipeline.domain.records import Role
from llm_pipeline.errors import NotFound
from llm_pipeline.store import credentials
from llm_pipeline.terminal import out
from llm_pipeline.up import sign_in_link
from llm_pipeline.wiring import Parts, now

RoleOption = Annotated[Role, typer.Option(help="what the user may do")]


def commands(parts: Callable[[], Parts]) -> typer.Typer:
    """Return the commands, which open the installation when they are run."""
    users = typer.Typer(help="Who may do what.", no_args_is_help=True)

    @users.command("token")
    def users_token(user: str, role: RoleOption = Role.VIEWER) -> None:
        """Make a token and show it once. Example: llm-pipeline users token ann --role reviewer"""
        secret = secrets.token_urlsafe(32)
        with parts().begin() as session:
            credentials.add(session, "token", secret, credentials.Identity(user, role), now())
        out.print(secret, soft_wrap=True)

    @users.command("link")
    def users_link(
        user: Annotated[str, typer.Argument(help="who signs in")] = "admin",
        role: RoleOption = Role.ADMIN,
    ) -> None:
        """Make a one-time sign-in link. Example: llm-pipeline users link ann --role reviewer"""
        out.print(sign_in_link(parts(), user, role), soft_wrap=True)

    @users.command("revoke")
    def users_revoke(user: str) -> None:
        """End every token, link and session of a user. Example: llm-pipeline users revoke ann"""
        with parts().begin() as session:
            number = credentials.revoke(session, user, now())
            if not number:
                raise NotFound(f"{user!r} has no token, link or session that could be ended")
        out.print(f"{number} tokens, links and sessions of {user} ended")

    return users
