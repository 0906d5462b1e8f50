"""The production deployment, as far as it can be judged without a container engine."""

import json
import os
import re
import shlex
import stat
import subprocess
import sys
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from loyalty.cli import app

PROJECT = Path(__file__).resolve().parents[2]
COMPOSE = PROJECT / "docker-compose.yml"
BIN = Path(sys.executable).parent
AIRFLOW_COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
SECRETS = {
    "AIRFLOW_ADMIN_PASSWORD",
    "AIRFLOW_API_SECRET_KEY",
    "AIRFLOW_DB_PASSWORD",
    "AIRFLOW_FERNET_KEY",
    "AIRFLOW_JWT_SECRET",
    "LOYALTY_DB_PASSWORD",
    "LOYALTY_INGEST_PASSWORD",
    "LOYALTY_JOURNEYS_PASSWORD",
    "LOYALTY_READER_PASSWORD",
    "POSTGRES_PASSWORD",
}
VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?:(?P<operator>:?[-?])(?P<argument>[^{}]*))?\})")


class MissingVariableError(Exception):
    pass


def interpolate(value: Any, variables: dict[str, str]) -> Any:
    """What Docker Compose makes of ``value``: the part of its language that the file uses."""
    if isinstance(value, dict):
        return {key: interpolate(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(item, variables) for item in value]
    return VARIABLE.sub(lambda match: _value_of(match, variables), value) if isinstance(value, str) else value


def _value_of(match: re.Match[str], variables: dict[str, str]) -> str:
    if match[0] == "$$":
        return "$"
    given = variables.get(match["name"], "")
    if given or not match["operator"]:
        return given
    if match["operator"] == ":?":
        raise MissingVariableError(f"{match['name']}: {match['argument']}")
    assert match["operator"] == ":-", f"{match[0]}: an empty value must count as none"
    return match["argument"]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text())


@pytest.fixture(scope="module")
def example() -> dict[str, str]:
    lines = (PROJECT / ".env.example").read_text().splitlines()
    pairs = [line.split("=", 1) for line in lines if line and not line.startswith("#")]
    assert len(dict(pairs)) == len(pairs), "a variable is listed twice"
    return dict(pairs)


@pytest.fixture(scope="module")
def filled(example: dict[str, str]) -> dict[str, str]:
    given = {name: f"test-{name.lower().replace('_', '-')}" for name in SECRETS}
    return {**example, **given, "AIRFLOW_ADMIN_EMAIL": "someone@example.com"}


@pytest.fixture(scope="module")
def services(compose: dict[str, Any], filled: dict[str, str]) -> dict[str, Any]:
    return interpolate(compose, filled)["services"]


def has_compose_client() -> bool:
    try:
        return subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0
    except OSError:
        return False


def test_the_file_is_a_valid_compose_file(filled: dict[str, str], tmp_path: Path) -> None:
    if has_compose_client():
        settings = tmp_path / "env"
        settings.write_text("".join(f"{name}={value}\n" for name, value in filled.items()))
        command = ["docker", "compose", "--env-file", str(settings), "--file", str(COMPOSE), "config", "--quiet"]
    else:
        command = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_interpolated_file_is_valid_too(compose: dict[str, Any], filled: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "docker-compose.json").write_text(json.dumps(interpolate(compose, filled)))
    schema = ["--builtin-schema", "vendor.compose-spec", str(tmp_path / "docker-compose.json")]
    result = subprocess.run([str(BIN / "check-jsonschema"), *schema], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", sorted(SECRETS | {"AIRFLOW_ADMIN_EMAIL"}))
def test_a_missing_secret_stops_the_start_and_says_what_it_is(
    name: str, compose: dict[str, Any], filled: dict[str, str]
) -> None:
    for variables in ({**filled, name: ""}, {key: value for key, value in filled.items() if key != name}):
        with pytest.raises(MissingVariableError, match=rf"{name}: .+see \.env\.example"):
            interpolate(compose, variables)


def test_the_example_holds_no_secret(example: dict[str, str]) -> None:
    assert {name for name in SECRETS if example[name]} == set()
    assert example["SMTP_PASSWORD"] == ""


def test_the_example_says_of_every_secret_how_to_make_it() -> None:
    blocks = (PROJECT / ".env.example").read_text().split("\n\n")
    for name in SECRETS:
        (block,) = [block for block in blocks if re.search(rf"^{name}=", block, re.MULTILINE)]
        assert "Generate: openssl rand" in block, name


def test_the_example_comments_on_every_variable(example: dict[str, str]) -> None:
    for block in (PROJECT / ".env.example").read_text().split("\n\n"):
        assert block.startswith("#"), block
    assert example


def test_example_and_file_name_the_same_variables(example: dict[str, str]) -> None:
    used = {match["name"] for match in VARIABLE.finditer(COMPOSE.read_text()) if match["name"]}
    assert used == set(example) - {"COMPOSE_PROFILES"}


def test_no_secret_is_in_the_file(compose: dict[str, Any]) -> None:
    sensitive = re.compile(r"password|secret|fernet|_conn$|conn_|database_url", re.IGNORECASE)
    for name, service in compose["services"].items():
        for key, value in (service.get("environment") or {}).items():
            if sensitive.search(key):
                assert "${" in value, f"{name}: {key}"
    with_credentials = re.findall(r"://[^:/\s]+:[^@\s]+@", COMPOSE.read_text().replace("\\\n", ""))
    assert all("${" in found for found in with_credentials)


def test_every_secret_reaches_only_what_needs_it(services: dict[str, Any], filled: dict[str, str]) -> None:
    def holders(secret: str) -> set[str]:
        return {name for name, service in services.items() if filled[secret] in json.dumps(service)}

    assert holders("POSTGRES_PASSWORD") == {"postgres"}
    assert holders("AIRFLOW_ADMIN_PASSWORD") == {"migrate"}
    assert holders("LOYALTY_DB_PASSWORD") == {"postgres", "migrate"}
    assert holders("LOYALTY_INGEST_PASSWORD") == {"postgres", "events-api"}
    assert holders("LOYALTY_JOURNEYS_PASSWORD") == {"postgres", "migrate", "deliveries", *AIRFLOW_COMPONENTS}
    assert holders("AIRFLOW_JWT_SECRET") == {"migrate", *AIRFLOW_COMPONENTS}


def test_every_service_is_watched_or_runs_once(services: dict[str, Any]) -> None:
    for name, service in services.items():
        if name == "migrate":
            assert service["restart"] == "no"
            assert "healthcheck" not in service
        else:
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["test"][0] == "CMD", name


def test_the_components_share_one_configuration(services: dict[str, Any]) -> None:
    common = services["dag-processor"]["environment"]
    for name in ("migrate", *AIRFLOW_COMPONENTS):
        own = services[name]["environment"]
        assert {key for key in common if own.get(key) != common[key]} <= {"LOYALTY_DATABASE_URL"}, name
        assert services[name]["image"] == services["dag-processor"]["image"]
    assert common["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert common["AIRFLOW__CORE__AUTH_MANAGER"].endswith(".FabAuthManager")
    assert common["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://api-server:8080/execution/"
    assert common["AIRFLOW__API__SECRET_KEY"] == "test-airflow-api-secret-key"
    assert common["AIRFLOW__API_AUTH__JWT_SECRET"] == "test-airflow-jwt-secret"


def test_the_connections_point_at_the_two_databases(services: dict[str, Any]) -> None:
    common = services["scheduler"]["environment"]
    metadata, loyalty = common["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"], common["LOYALTY_DATABASE_URL"]
    assert metadata == "postgresql+psycopg2://airflow:test-airflow-db-password@postgres:5432/airflow"
    assert loyalty == "postgresql://loyalty_journeys:test-loyalty-journeys-password@postgres:5432/loyalty"
    owner = services["migrate"]["environment"]["LOYALTY_DATABASE_URL"]
    assert owner == "postgresql://loyalty:test-loyalty-db-password@postgres:5432/loyalty"
    assert json.loads(common["AIRFLOW_CONN_LOYALTY_POSTGRES"]) == {
        "conn_type": "postgres",
        "host": "postgres",
        "port": 5432,
        "schema": "loyalty",
        "login": "loyalty_journeys",
        "password": "test-loyalty-journeys-password",
    }
    mail = json.loads(common["AIRFLOW_CONN_LOYALTY_SMTP"])
    assert (mail["conn_type"], mail["host"], mail["port"]) == ("smtp", "mailpit", 1025)
    assert mail["extra"] == {"from_email": "loyalty@localhost", "disable_ssl": True, "disable_tls": True}


def test_what_is_waited_for_exists(compose: dict[str, Any], services: dict[str, Any]) -> None:
    for name, service in services.items():
        for other, wait in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if other == "migrate" else "service_healthy"
            assert wait["condition"] == expected, (name, other)
            assert other in services, (name, other)
        for volume in service["volumes"]:
            if isinstance(volume, str) and not volume.startswith("."):
                assert volume.split(":")[0] in compose["volumes"], (name, volume)


@pytest.fixture(scope="module")
def commands(services: dict[str, Any]) -> list[list[str]]:
    """Every command line of the services, their checks and the guide."""
    lines = services["migrate"]["command"][2].replace("\\\n", " ").splitlines()
    guide = (PROJECT / "docs" / "guides" / "production.md").read_text().replace("\\\n", " ")
    lines += re.findall(r"docker compose (?:exec|run) [^`\n]*?(?:api-server|scheduler|migrate) ([^`\n]+)", guide)
    found = [shlex.split(line) for line in lines]
    found += [services[name]["command"] for name in ("events-api", "deliveries", *AIRFLOW_COMPONENTS)]
    found += [services[name]["healthcheck"]["test"][1:] for name in ("deliveries", "dag-processor", "triggerer")]
    return found


@pytest.mark.skipif(
    find_spec("airflow.providers.fab") is None, reason="needs the FAB provider: install the extra `production`"
)
def test_every_airflow_command_is_understood(
    commands: list[list[str]], services: dict[str, Any], tmp_path: Path
) -> None:
    arguments = [words[1:] for words in commands if words[0] == "airflow"]
    assert ["db", "migrate"] in arguments
    assert ["rotate-fernet-key"] in arguments
    program = (
        "import json, sys\n"
        "from airflow.cli.cli_parser import get_parser\n"
        "parser = get_parser()\n"
        "for words in json.load(sys.stdin):\n"
        "    parser.parse_args(words)\n"
    )
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__AUTH_MANAGER": services["scheduler"]["environment"]["AIRFLOW__CORE__AUTH_MANAGER"],
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
    }
    result = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps(arguments), env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


def test_every_loyalty_command_is_understood(commands: list[list[str]]) -> None:
    names = {tuple(word for word in words[1:] if "/" not in word) for words in commands if words[0] == "loyalty"}
    assert ("db", "upgrade") in names
    for name in names:
        result = CliRunner().invoke(app, [*name, "--help"])
        assert result.exit_code == 0, result.output


def test_the_guide_and_the_services_know_each_other(services: dict[str, Any]) -> None:
    guide = (PROJECT / "docs" / "guides" / "production.md").read_text()
    assert [name for name in services if f"`{name}`" not in guide] == []
    lines = re.findall(r"docker compose (?:exec|run|stop|logs)( [^`\n]*)", guide)
    assert lines
    assert [line for line in lines if not set(line.split()) & set(services)] == []


def test_the_init_script_can_be_run() -> None:
    script = PROJECT / "deploy" / "init-databases.sh"
    assert script.stat().st_mode & stat.S_IXUSR
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0
    mounts = [volume.split(":")[0] for volume in yaml.safe_load(COMPOSE.read_text())["services"]["postgres"]["volumes"]]
    assert f"./{script.relative_to(PROJECT)}" in mounts


def test_the_image_gets_what_it_copies_and_nothing_else() -> None:
    dockerfile = (PROJECT / "Dockerfile").read_text()
    copied = {
        source.rstrip("/")
        for words in re.findall(r"^COPY (?!--)(.+)$", dockerfile, re.MULTILINE)
        for source in words.split()[:-1]
    }
    rules = [line for line in (PROJECT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied
    assert [source for source in copied if not (PROJECT / source).exists()] == []
    assert any(fnmatch("include/.env", rule) for rule in rules if rule.startswith("**"))


def test_the_image_is_not_run_by_root_and_holds_no_secret() -> None:
    dockerfile = (PROJECT / "Dockerfile").read_text()
    assert re.findall(r"^USER (.+)$", dockerfile, re.MULTILINE) == ["airflow"]
    assert dockerfile.index("USER airflow") > dockerfile.rindex("\nRUN ")
    assert not re.search(r"password|secret|token|fernet", dockerfile, re.IGNORECASE)
