"""`sagitta token`: a token that a server with the same data directory accepts."""

from click.testing import CliRunner
from sagitta_server.auth import Authenticator, AuthSettings, Permission
from sagitta_server.cli import cli


def test_a_token_is_accepted_by_a_server_with_the_same_data_directory(tmp_path):
    done = CliRunner().invoke(cli, ["token", "--sub", "alice", "--permissions", "all", "--data-dir", str(tmp_path)])
    assert done.exit_code == 0, done.output
    principal = Authenticator.from_settings(AuthSettings(), tmp_path).authenticate(f"Bearer {done.output.strip()}")
    assert (principal.user_id, principal.permissions) == ("alice", frozenset(Permission))


def test_an_unknown_permission_is_told_with_those_that_exist(tmp_path):
    done = CliRunner().invoke(cli, ["token", "--sub", "a", "--permissions", "everything", "--data-dir", str(tmp_path)])
    assert done.exit_code == 2
    assert "dataset:execution:launch" in done.output
