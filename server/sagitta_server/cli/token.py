"""`sagitta token`: a bearer token for development."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("token")
@click.option("--sub", "subject", required=True, metavar="NAME", help="Whom the token is for.")
@click.option(
    "--permissions",
    default="all",
    show_default=True,
    metavar="LIST",
    help="What it allows: `all`, or names separated by commas.",
)
@click.option(
    "--claim", "claims", multiple=True, metavar="NAME=VALUE",
    help="A claim for row policies; repeat for several, or for a list.",
)  # fmt: skip
@click.option("--role", "roles", multiple=True, metavar="NAME", help="A role; repeat for several.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="The server's data; by default SAGITTA_DATA_DIR.",
)
@click.option("--hours", type=click.IntRange(1, 8760), default=24, show_default=True, help="How long it is valid.")
def command(
    subject: str,
    permissions: str,
    claims: tuple[str, ...],
    roles: tuple[str, ...],
    data_dir: Path | None,
    hours: int,
) -> None:
    """Print a bearer token for a server with the same data directory.

    For development: it is signed with the random secret that the server keeps in its data directory. A server that
    verifies tokens of an identity provider (SAGITTA_AUTH__MODE hs256 or jwks) does not accept it.

    \b
      TOKEN=$(sagitta token --sub alice --permissions all)
      curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8080/api/dataset-orchestration/sessions
      sagitta token --sub bob --claim country=DE --claim country=FR --role analyst
    """
    from sagitta_server.auth.tokens import TokenIssuer, expand_permissions
    from sagitta_server.config import read_settings

    try:
        granted = expand_permissions(permissions)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--permissions") from error
    extra: dict[str, list[str]] = {"roles": list(roles)} if roles else {}
    for claim in claims:
        name, equals, value = claim.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{claim!r} is not NAME=VALUE", param_hint="--claim")
        extra.setdefault(name, []).append(value)
    folder = data_dir if data_dir is not None else read_settings().data_dir
    click.echo(TokenIssuer.for_data_dir(folder).issue(subject, granted, lifetime_s=hours * 3600, extra=extra))
