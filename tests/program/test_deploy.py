"""The deployment files: what reads them takes them, and the processes that they name make a test."""

import json
import re
import shlex
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from components import PATIENCE_S, free_ports, until
from conftest import BUILD, ROOT, Mite
from helpers import totals

DEPLOY = ROOT / "deploy"
COMPOSE = ROOT / "docker_compose.yml"
MONITORING = ROOT / "docker_compose_monitoring.yml"
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

needs_python = pytest.mark.skipif(
    not (BUILD / "src/python/libmite-python.so").exists(), reason="built without Python"
)


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not shutil.which(program), reason=f"{program} is not installed")


def check(*args: str, **kwargs: Any) -> str:
    done = subprocess.run(args, capture_output=True, text=True, timeout=60, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# ---- containers ----


@needs("docker-compose")
def test_compose_files() -> None:
    services = yaml.safe_load(check("docker-compose", "-f", str(COMPOSE), "-f", str(MONITORING), "config"))["services"]
    assert set(services) == {
        "apiserver", "runner", "duplicator", "stats", "prometheus_exporter", "controller", "prometheus", "grafana",
    }  # fmt: skip
    published = {name: [port["published"] for port in service.get("ports", ())] for name, service in services.items()}
    assert published["apiserver"] == [8000]
    assert published["prometheus"] == [9090]
    assert published["grafana"] == [3000]


def test_image() -> None:
    """Anybody's compose file brings its own command, and a shell is one."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert not any(line.startswith("ENTRYPOINT") for line in lines)
    assert [line for line in lines if line.startswith(("USER", "WORKDIR"))] == ["USER mite", "WORKDIR /mite"]


@pytest.mark.parametrize("compose", ["docker compose", "docker-compose"])
def test_makefile(compose: str) -> None:
    def commands(*args: str) -> str:
        return check("make", "-n", "-C", str(ROOT / "local"), f"COMPOSE={compose}", *args).replace(f"{ROOT}/local/../", "")

    both = f"{compose} -f docker_compose.yml -f docker_compose_monitoring.yml"
    for goal, expected in {
        "up": "up --build",
        "start": "up --build --detach",
        "stop": "stop",
        "restart": "restart",
        "status": "ps",
        "logs": "logs --follow",
        "clean": "down",
    }.items():
        assert f"{both} {expected}\n" in commands(goal)
    assert f"{compose} -f docker_compose.yml up --build\n" in commands("MONITORING=no", "up")


class Local:
    """Addresses of a deployment as this machine has them: every name is here, every port a free one."""

    def __init__(self, names: Iterable[str], text: str) -> None:
        numbers = sorted(set(re.findall(r":(\d{4,5})\b", text)))
        self.ports = dict(zip(numbers, map(str, free_ports(len(numbers))), strict=True))
        self.names = "|".join([*names, r"0\.0\.0\.0", r"\*"])

    def __call__(self, text: str) -> str:
        text = re.sub(rf"(?<![\w.-])({self.names}):(?=\d)", "127.0.0.1:", text)
        return re.sub(r":(\d{4,5})\b", lambda found: f":{self.ports[found[1]]}", text)


def requests_counted(url: str) -> int:
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as page:
        lines = page.read().decode().splitlines()
    return sum(int(line.rpartition(" ")[2]) for line in lines if line.startswith("mite_http_response_total{"))


class Stack:
    """The services of docker_compose.yml as processes."""

    def __init__(self, start: Callable[..., "subprocess.Popen[str]"]) -> None:
        text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", COMPOSE.read_text())
        self.services = yaml.safe_load(text)["services"]
        self.start = start
        self.here = Local(self.services, text)

    def run(self, name: str, *more: str, **popen: Any) -> "subprocess.Popen[str]":
        service = self.services[name]
        program, *args = shlex.split(self.here(service["command"]))
        assert program == "mite"
        env = {key: self.here(value) for key, value in service.get("environment", {}).items()}
        return self.start(*args, *more, cwd=ROOT, env={**env, "PYTHONDONTWRITEBYTECODE": "1"}, **popen)


@needs_python
def test_the_stack_runs_the_demo(start: Callable[..., "subprocess.Popen[str]"]) -> None:
    stack = Stack(start)
    services = [
        stack.run(name, **QUIET)
        for name in ("apiserver", "prometheus_exporter", "duplicator", "stats")
        + ("runner",) * stack.services["runner"]["scale"]
    ]
    controller = stack.run("controller", "--duration=4")
    output, said = controller.communicate(timeout=60)
    assert controller.returncode == 0, said
    requests = totals(output).requests
    assert requests > 0

    metrics = stack.here("http://prometheus_exporter:9301/metrics")
    until(lambda: requests_counted(metrics) == requests)
    for process in services:
        process.terminate()
        assert process.wait(timeout=10) == 0


# ---- Prometheus and Grafana ----


@needs("promtool")
def test_prometheus_configuration() -> None:
    check("promtool", "check", "config", str(DEPLOY / "prometheus" / "prometheus.yml"))


def test_grafana_files() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "mite.yml").read_text())["providers"]
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "mite.json").read_text())
    mounted = yaml.safe_load(MONITORING.read_text())["services"]["grafana"]["volumes"]
    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in mounted
    assert source["uid"] == dashboard["templating"]["list"][0]["current"]["value"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


# ---- Kubernetes ----


@needs("kubectl")
def test_kubernetes(mite: Mite, tmp_path: Path) -> None:
    folder = tmp_path / "kubernetes"
    shutil.copytree(DEPLOY / "kubernetes", folder)
    assert mite("keygen", str(folder / "keys")).returncode == 0
    objects = list(yaml.safe_load_all(check("kubectl", "kustomize", str(folder))))
    by_name = {(thing["kind"], thing["metadata"]["name"].partition("-")[0]): thing for thing in objects}
    assert {("Job", "controller"), ("Deployment", "runner"), ("Secret", "curve"), ("ConfigMap", "journeys")} <= set(by_name)
    ports = {
        (thing["metadata"]["name"], str(port["port"]))
        for thing in objects
        if thing["kind"] == "Service"
        for port in thing["spec"]["ports"]
    }
    for thing in objects:
        if thing["kind"] not in ("Job", "Deployment"):
            continue
        pod = thing["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        for container in pod["initContainers"] + pod["containers"]:
            assert {"cpu", "memory"} <= set(container["resources"]["limits"])
        (container,) = pod["containers"]
        assert ("ports" in container) == ("readinessProbe" in container) == ("livenessProbe" in container)
        assert any(arg.startswith("--curve-key=") for arg in container["args"])
        for host, port in re.findall(r"=tcp://([a-z-]+):(\d+)", " ".join(container["args"])):
            assert (host, port) in ports, f"no Service has {host}:{port}"


def test_kubernetes_options(mite: Mite, tmp_path: Path) -> None:
    """Each container's command line is one that mite takes."""
    for path in (DEPLOY / "kubernetes").glob("*.yaml"):
        for thing in yaml.safe_load_all(path.read_text()):
            if thing["kind"] in ("Job", "Deployment"):
                (container,) = thing["spec"]["template"]["spec"]["containers"]
                program, *args = container["args"]
                assert program == "mite"
                assert mite(*args, "--help").returncode == 0, args


@needs_python
def test_the_pods_make_an_encrypted_test(
    start: Callable[..., "subprocess.Popen[str]"], mite: Mite, target: str, tmp_path: Path
) -> None:
    """Their command lines as processes, with the keys that each one's first container copies, and no others."""
    keys, folder = tmp_path / "secret", DEPLOY / "kubernetes"
    assert mite("keygen", str(keys)).returncode == 0
    text = "".join(path.read_text() for path in folder.glob("*.yaml"))
    pods = {
        thing["metadata"]["name"]: thing["spec"]["template"]["spec"]
        for path in folder.glob("*.yaml")
        for thing in yaml.safe_load_all(path.read_text())
        if thing["kind"] in ("Job", "Deployment")
    }
    here = Local(pods, text)

    def run(name: str, *more: str, **popen: Any) -> "subprocess.Popen[str]":
        own = tmp_path / name
        own.mkdir()
        copy = pods[name]["initContainers"][0]["command"][-1].replace("/secret/", f"{keys}/").replace("/keys/", f"{own}/")
        check("sh", "-ec", copy)
        _, *args = (here(arg).replace("/keys/", f"{own}/") for arg in pods[name]["containers"][0]["args"])
        return start(
            *args, *more, cwd=folder / "journeys", env={"API_URL": target, "PYTHONDONTWRITEBYTECODE": "1"}, **popen
        )

    services = [run(name, **QUIET) for name in ("prometheus-exporter", "duplicator", "stats", "runner")]
    controller = run("controller", "--duration=3")
    output, said = controller.communicate(timeout=60)
    assert controller.returncode == 0, said
    requests = totals(output).requests
    assert requests > 0
    until(lambda: requests_counted(here("http://prometheus-exporter:9301/metrics")) == requests)
    for process in services:
        process.terminate()
        assert process.wait(timeout=10) == 0


# ---- systemd ----


@needs("systemd-analyze")
@pytest.mark.parametrize("unit", sorted((DEPLOY / "systemd").glob("*.service")), ids=lambda unit: unit.name)
def test_unit(unit: Path, tmp_path: Path) -> None:
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60)
    assert unit.name not in done.stderr, done.stderr


def test_options_of_units(mite: Mite) -> None:
    """mite.env is one for all units: each takes every option in it."""
    lines = (DEPLOY / "systemd" / "mite.env").read_text().splitlines()
    env = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    for unit in (DEPLOY / "systemd").glob("*.service"):
        found = re.search(r"^ExecStart=/usr/bin/env mite (.*)$", unit.read_text(), re.MULTILINE)
        assert found
        args = shlex.split(found[1].replace("$DUPLICATOR_OUTPUTS", env["DUPLICATOR_OUTPUTS"]))
        assert mite(*args, "--help", env=env).returncode == 0, (unit.name, args)
