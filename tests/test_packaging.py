"""What a stranger meets first: examples, pins, image and compose file say what the code says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.exceptions import TyperException

from bots.__main__ import app
from bots.run import GRACE_SECONDS
from core import pulse
from core.loading import ENVIRONMENT, OPENAI_ENVIRONMENT, load
from core.message import Platform
from core.settings import QUEUES, Settings

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-model.lock")


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def pins(lock: str) -> dict[str, list[str]]:
    """Name and version of each pin, and the lines below it."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in (ROOT / lock).read_text("utf-8").splitlines():
        if line[:1].isalnum():
            name = line.split(" ")[0]
            found[name] = [line]
        else:
            found[name].append(line)
    return found


@cache
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))


def test_the_wheel_holds_what_is_not_code(tmp_path: Path) -> None:
    for folder in ("core", "bots"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / file, tmp_path)
    build = "from pdm import backend; backend.build_wheel('.')"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    wanted = [path for folder in ("core", "bots") for path in (tmp_path / folder).rglob("*") if path.is_file()]
    assert {path.relative_to(tmp_path).as_posix() for path in wanted} <= held
    assert "core/locales/en.po" in held


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_are_hashed_and_name_no_registry(lock: str) -> None:
    for name, lines in pins(lock).items():
        assert "==" in name
        assert any("--hash=sha256:" in line for line in lines), name
        assert "://" not in "\n".join(lines)
        assert "--index" not in "\n".join(lines)


def test_what_is_asked_for_is_pinned_and_locked() -> None:
    table = project()
    groups = {
        "requirements.lock": table["project"]["dependencies"] + table["dependency-groups"]["build"],
        "requirements-dev.lock": table["project"]["dependencies"] + table["dependency-groups"]["dev"],
        "requirements-model.lock": table["project"]["optional-dependencies"]["model"],
    }
    for lock, requirements in groups.items():
        locked = {re.sub(r"[-_.]+", "-", name).lower() for name in pins(lock)}
        for requirement in requirements:
            name, _, version = requirement.partition(";")[0].partition("==")
            plain = re.sub(r"[-_.]+", "-", name.partition("[")[0]).lower()
            assert version, f"{requirement} is not pinned"
            assert any(pin.startswith(f"{plain}==") or pin.startswith(f"{plain}[") for pin in locked), requirement


def test_tests_run_on_what_is_run() -> None:
    assert set(pins("requirements.lock")) <= set(pins("requirements-dev.lock"))


def test_every_dependency_has_its_reason() -> None:
    table = project()
    asked = [
        *table["project"]["dependencies"],
        *table["dependency-groups"]["dev"],
        *table["dependency-groups"]["build"],
    ]
    asked += [name for names in table["project"]["optional-dependencies"].values() for name in names]
    text = (ROOT / "docs" / "dependencies.md").read_text("utf-8").lower()
    names = [re.split(r"[\[=;<>]", requirement)[0].strip().lower() for requirement in asked]
    assert [name for name in names if name not in text] == []


def test_the_example_environment_names_every_variable(tmp_path: Path) -> None:
    text = (ROOT / ".env.example").read_text("utf-8")
    named = set(re.findall(r"^([A-Z_]+)=$", text, re.MULTILINE))
    assert named == {*ENVIRONMENT, *OPENAI_ENVIRONMENT}
    assert "VALKEY_PASSWORD=" in text
    shutil.copy(ROOT / ".env.example", tmp_path / ".env")
    assert load(tmp_path, {}) == Settings()


def test_the_example_configuration_is_valid_and_shows_defaults(tmp_path: Path) -> None:
    shutil.copy(ROOT / "config.example.toml", tmp_path / "parley.toml")
    settings = load(tmp_path, {})
    assert [model.name for model in settings.models] == [
        "friendly",
        "ears",
        "voice",
        "band",
        "camera",
        "painter",
        "judge",
        "careful",
    ]
    assert settings.model_copy(update={"providers": (), "models": ()}) == Settings()


def test_compose_publishes_no_database_and_wants_a_password() -> None:
    services = compose()["services"]
    assert "ports" not in services["valkey"]
    assert "ports" not in services["models"]
    assert services["bot"]["ports"] == ["127.0.0.1:8080:8080"]
    for service, name in (("valkey", "VALKEY_PASSWORD"), ("bot", "REDIS_URL")):
        assert "${VALKEY_PASSWORD:?" in services[service]["environment"][name]
    script = services["valkey"]["command"][2]
    assert "requirepass $$VALKEY_PASSWORD" in script
    for option in ("--appendonly yes", "--appendfsync everysec", "--maxmemory-policy noeviction"):
        assert option in script
    assert services["valkey"]["volumes"] == ["valkey:/data"]
    assert services["models"]["profiles"] == ["models"]
    assert set(compose()["volumes"]) == {"data", "valkey", "models"}


def test_compose_pins_images_and_knows_the_settings() -> None:
    for service in compose()["services"].values():
        assert re.search(r":v?\d+\.\d+\.\d+", service["image"]), service["image"]
    environ = compose()["services"]["bot"]["environment"]
    for name in environ:
        if name.startswith("PARLEY__"):
            _, section, field = name.lower().split("__")
            assert hasattr(getattr(Settings(), section), field)
        else:
            assert name in ENVIRONMENT
    assert load(Path("/nowhere"), {**environ, "REDIS_URL": "redis://:x@valkey:6379/0"}).web.host == "0.0.0.0"


def test_the_image_is_pinned_unprivileged_and_gets_all_it_copies() -> None:
    lines = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ").splitlines()
    instructions = [line.split(None, 1) for line in lines if line and not line.startswith("#")]
    by_name: dict[str, list[str]] = {}
    for name, rest in instructions:
        by_name.setdefault(name, []).append(rest)
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", by_name["FROM"][0])
    assert by_name["USER"] == ["10001:10001"]
    assert [name for name, _ in instructions].index("USER") < [name for name, _ in instructions].index("CMD")
    assert "ca-certificates" in by_name["RUN"][0]
    assert "HEALTHCHECK" in by_name
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    for copied in by_name["COPY"]:
        for name in copied.split()[:-1]:
            assert f"!{name}" in ignored
            assert (ROOT / name).exists(), name


def test_the_environment_script_refuses_an_old_python(tmp_path: Path) -> None:
    script = (ROOT / "tools" / "environment.py").read_text("utf-8")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "environment.py").write_text(script.replace("NEEDED = (3, 11)", "NEEDED = (3, 99)"))
    done = subprocess.run(
        [sys.executable, str(tmp_path / "tools" / "environment.py"), "run"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Parley needs Python 3.11 or newer, and this is ")
    assert done.stderr.count("\n") == 1


def test_make_says_when_there_is_no_python_or_no_environment(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    make = ["make", "-C", str(tmp_path), "--silent"]
    done = subprocess.run([*make, "up", "PYTHON=no-such-python"], capture_output=True, text=True, check=False)
    assert "there is no no-such-python" in done.stderr
    done = subprocess.run([*make, "run"], capture_output=True, text=True, check=False)
    assert "run make up once" in done.stderr


# ---- deployment examples

KUBERNETES = ROOT / "deploy" / "kubernetes"
FRESH = f"-lt {pulse.STALE_SECONDS:.0f}"


def check_command(words: list[str]) -> None:
    """The command line takes these words; nothing is run."""
    assert words[0] == "parley"
    command: Any = typer.main.get_command(app)
    name, *rest = words
    # Typer brings its own click, whose types are not public: a group is what has commands.
    while hasattr(command, "commands"):
        name, *rest = rest
        assert name in command.commands, words
        command = command.commands[name]
    values = command.make_context(name, rest).params
    for queue in values.get("queue") or ():
        assert queue in QUEUES, words


@pytest.mark.parametrize(
    "line", ["parley rceive web", "parley receive irc", "parley work --que images", "parley models"]
)
def test_a_command_that_is_not_there_would_be_found(line: str) -> None:
    words = line.split()
    with pytest.raises((AssertionError, ValueError, TyperException)):
        check_command(words)


def check_variable(name: str) -> None:
    """It is read by Parley, or by the shell line that starts the server."""
    if name.startswith("PARLEY__"):
        _, section, field = name.lower().split("__")
        assert hasattr(getattr(Settings(), section), field), name
    else:
        assert name in {*ENVIRONMENT, *OPENAI_ENVIRONMENT, "VALKEY_PASSWORD"}, name


def seconds(text: str) -> float:
    assert text.endswith("s")
    return float(text[:-1])


def ours() -> dict[str, dict[str, Any]]:
    """Compose services that run Parley."""
    return {name: s for name, s in compose()["services"].items() if s["image"].startswith("parley-bot:")}


def test_compose_runs_commands_that_are_there() -> None:
    commands = {name: service.get("command", ["parley", "up"]) for name, service in ours().items()}
    for command in commands.values():
        check_command(command)
    assert {" ".join(commands[f"receive-{platform}"]) for platform in Platform} == {
        f"parley receive {platform}" for platform in Platform
    }
    profiles = {name: service.get("profiles", []) for name, service in compose()["services"].items()}
    assert [name for name, of in profiles.items() if not of] == ["bot", "valkey"]
    assert {name for name, of in profiles.items() if of == ["scale"]} == {
        "receive-telegram",
        "receive-discord",
        "receive-web",
        "work",
        "jobs",
    }


def test_compose_hardens_every_process_and_gives_it_time_to_end() -> None:
    services = compose()["services"]
    for name, service in services.items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        if name != "models":
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
        for variable in service.get("environment", {}):
            assert variable == "OLLAMA_MODELS" or check_variable(variable) is None
    for name, service in ours().items():
        assert seconds(service["stop_grace_period"]) >= 3 * GRACE_SECONDS, name
        assert service["environment"]["REDIS_URL"] == services["bot"]["environment"]["REDIS_URL"]
        # A data folder that several processes share would have one pulse for all of them.
        keeps = service.get("volumes", [])
        assert keeps == ["data:/data"] if name in ("bot", "model-server") else not keeps, name


def test_the_image_tells_by_the_pulse_whether_it_is_healthy() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    assert f"grep -q ready $PARLEY_DATA/{pulse.FILE}" in text
    assert FRESH in text
    user = re.search(r"^USER (\d+):(\d+)$", text, re.MULTILINE)
    assert user is not None
    assert f"--uid {user[1]}" in text
    for service in ours().values():
        assert service.get("volumes") or any(f"uid={user[1]}" in folder for folder in service["tmpfs"])


@cache
def manifests() -> list[dict[str, Any]]:
    """Everything in the Kubernetes example but the list of its files."""
    files = [file for file in sorted(KUBERNETES.glob("*.yaml")) if file.name != "kustomization.yaml"]
    return [document for file in files for document in yaml.safe_load_all(file.read_text("utf-8"))]


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    return [document for document in manifests() if document["kind"] in kinds]


def pods() -> dict[str, dict[str, Any]]:
    """Name of what makes them -> the pod's spec."""
    return {d["metadata"]["name"]: d["spec"]["template"]["spec"] for d in of_kind("Deployment", "StatefulSet")}


def containers() -> list[dict[str, Any]]:
    return [container for pod in pods().values() for container in pod["containers"]]


def test_kubernetes_lists_its_files_and_keeps_to_one_namespace() -> None:
    listed = set(yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text("utf-8"))["resources"])
    there = {file.name for file in KUBERNETES.glob("*.yaml")}
    assert there - listed == {"kustomization.yaml", "secrets.example.yaml", "models.yaml"}
    assert listed <= there
    for document in manifests():
        name = document["metadata"]["name"]
        assert document["kind"] == "Namespace" or document["metadata"]["namespace"] == "parley", name
    names = [(document["kind"], document["metadata"]["name"]) for document in manifests()]
    assert len(names) == len(set(names))
    (namespace,) = of_kind("Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_kubernetes_pods_are_restricted_and_bounded() -> None:
    for name, pod in pods().items():
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["runAsUser"] > 0, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
    for container in containers():
        assert re.search(r":v?\d+\.\d+\.\d+", container["image"]), container["image"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert set(container["resources"]["limits"]) == {"memory"}
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)


def test_kubernetes_runs_commands_and_settings_that_are_there(tmp_path: Path) -> None:
    maps = {document["metadata"]["name"]: document["data"] for document in of_kind("ConfigMap")}
    (tmp_path / "parley.toml").write_text(maps["parley-toml"]["parley.toml"], "utf-8")
    settings = load(tmp_path, {**maps["parley"], "REDIS_URL": "redis://:x@valkey:6379/0"})
    assert settings.models
    for variable in maps["parley"]:
        check_variable(variable)
    for container in containers():
        for variable in container["env"]:
            check_variable(variable["name"])
        if container["name"] == "parley":
            check_command(container["command"])
            assert container["envFrom"] == [{"configMapRef": {"name": "parley"}}]


def test_kubernetes_gives_receivers_only_the_token_they_need() -> None:
    secrets = {document["metadata"]["name"]: document["stringData"] for document in of_kind("Secret")}
    assert all(value == "" for values in secrets.values() for value in values.values())
    wanted: dict[str, set[str]] = {}
    for name, pod in pods().items():
        references = [
            variable["valueFrom"]["secretKeyRef"]
            for container in pod["containers"]
            for variable in container["env"]
            if "valueFrom" in variable
        ]
        for reference in references:
            assert reference["key"] in secrets[reference["name"]]
        wanted[name] = {reference["key"] for reference in references} - {"VALKEY_PASSWORD"}
    assert wanted["receive-telegram"] == {"TELEGRAM_TOKEN"}
    assert wanted["receive-discord"] == {"DISCORD_TOKEN"}
    assert wanted["receive-web"] == wanted["models"] == wanted["valkey"] == set()
    assert wanted["work"] == {"TELEGRAM_TOKEN", "DISCORD_TOKEN", "OPENAI_API_KEY"}


def test_kubernetes_drains_before_it_kills_and_keeps_one_running() -> None:
    for name, pod in pods().items():
        assert pod["terminationGracePeriodSeconds"] >= 3 * GRACE_SECONDS, name
    for deployment in of_kind("Deployment"):
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    named = {document["metadata"]["name"] for document in of_kind("PodDisruptionBudget")}
    assert {"receive-telegram", "receive-discord", "receive-web", "work"} <= named
    (scaler,) = of_kind("HorizontalPodAutoscaler")
    assert scaler["spec"]["scaleTargetRef"]["name"] in pods()
    assert "replicas" not in next(d for d in of_kind("Deployment") if d["metadata"]["name"] == "work")["spec"]


def test_kubernetes_labels_meet() -> None:
    made = [document["spec"]["template"]["metadata"]["labels"] for document in of_kind("Deployment", "StatefulSet")]
    for document in of_kind("Deployment", "StatefulSet"):
        assert document["spec"]["selector"]["matchLabels"] == document["spec"]["template"]["metadata"]["labels"]
    selectors = [document["spec"]["selector"] for document in of_kind("Service")]
    selectors += [document["spec"]["selector"]["matchLabels"] for document in of_kind("PodDisruptionBudget")]
    (policy,) = of_kind("NetworkPolicy")
    selectors.append(policy["spec"]["podSelector"]["matchLabels"])
    for selector in selectors:
        assert any(selector.items() <= labels.items() for labels in made), selector
    services = {document["metadata"]["name"] for document in of_kind("Service")}
    assert {document["spec"]["serviceName"] for document in of_kind("StatefulSet")} <= services


def test_kubernetes_probes_look_at_the_pulse() -> None:
    for name, pod in pods().items():
        (container,) = pod["containers"]
        if name in ("models", "valkey"):
            continue
        assert container["readinessProbe"]["exec"]["command"] == ["grep", "-q", "ready", f"/data/{pulse.FILE}"]
        line = container["livenessProbe"]["exec"]["command"][-1]
        assert f"/data/{pulse.FILE}" in line
        assert FRESH in line
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert mounts["data"] == "/data"
        assert volumes["data"]["emptyDir"] == {}


@pytest.mark.skipif(shutil.which("stat") is None or sys.platform == "darwin", reason="GNU or busybox stat")
def test_the_probe_tells_a_young_pulse_from_an_old_one(tmp_path: Path) -> None:
    (container,) = pods()["work"]["containers"]
    file = tmp_path / pulse.FILE
    probe = [word.replace(f"/data/{pulse.FILE}", str(file)) for word in container["livenessProbe"]["exec"]["command"]]
    assert subprocess.run(probe, check=False, capture_output=True).returncode != 0
    file.write_text("ready\n")
    assert subprocess.run(probe, check=False).returncode == 0
    old = time.time() - 2 * pulse.STALE_SECONDS
    os.utime(file, (old, old))
    assert subprocess.run(probe, check=False).returncode != 0
