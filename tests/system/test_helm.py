"""The Helm chart: it lints, renders, is valid for Kubernetes, and starts the product it claims to.

Needs the tools of `requirements/helm.txt`; run with `-m helm`.
"""

import importlib
import re
import shutil
import stat
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from dispatcher.app.config import CONFIG_VARIABLE, Config, load_config
from dispatcher.app.way_out import client_identities
from dispatcher.network.identities import PEM_BYTES_MAX, Identities, read_certificates
from dispatcher.stages.gates.firewall import list_openings

pytestmark = pytest.mark.helm

CHART = Path(__file__).parents[2] / "helm"
OLDEST, NEWEST = "1.25", "1.37"

CUSTOM: dict[str, Any] = {
    "fullnameOverride": "callbacks",
    "image": {"repository": "images.example/dispatcher", "digest": "sha256:" + "ab" * 32},
    "pullSecrets": [{"name": "pull"}],
    "config": '[log]\nlevel = "warning"\n\n[worker]\nlease_seconds = 90\n\n'
    '[vault]\nprovider = "transit"\ntransit_url = "https://vault.example"\ntransit_key = "k"\n',
    "transitToken": {"existingSecret": "vault-token", "key": "value"},
    "clientIdentities": {
        "acme-mtls": {"existingSecret": "acme-tls"},
        "brook.2026": {
            "existingSecret": "brook-tls",
            "certificate": "chain.pem",
            "key": "own.pem",
            "next": {"existingSecret": "brook-2027"},
        },
    },
    "registry": {"existingSecret": "registry-db", "key": "url"},
    "outbox": {"existingSecret": "orders-db", "key": "url"},
    "listen": {"host": "::", "port": 9000},
    "worker": {
        "replicas": 5,
        "drainSeconds": 120,
        "maxUnavailable": "40%",
        "podAnnotations": {"example.org/scrape": "yes"},
        "nodeSelector": {"pool": "egress"},
        "tolerations": [{"key": "egress", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"nodeAffinity": {}},
    },
    "control": {"service": {"type": "LoadBalancer", "annotations": {"example.org/a": "b"}}},
    "partner": {
        "enabled": True,
        "replicas": 3,
        "baseUrl": "https://fetch.example:8443",
        "tls": {"existingSecret": "fetch-tls", "certificate": "chain.pem", "key": "own.pem"},
        "port": 9443,
        "podAnnotations": {"example.org/scrape": "yes"},
        "service": {"type": "LoadBalancer", "annotations": {"example.org/a": "b"}},
    },
    "serviceAccount": {"annotations": {"example.org/role": "dispatcher"}},
    "networkPolicy": {
        "enabled": True,
        "partnerPorts": [443, 8443],
        "databases": {"to": [{"ipBlock": {"cidr": "10.1.0.5/32"}}]},
        "extraEgress": [{"to": [{"ipBlock": {"cidr": "10.9.0.0/24"}}]}],
        "partnerListener": {
            "from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}],
            "extraEgress": [{"to": [{"ipBlock": {"cidr": "10.7.0.1/32"}}]}],
        },
    },
}
IDENTITIES = "DISPATCHER__NETWORK__IDENTITIES"
KEYS = {
    f"/run/dispatcher/{path}" for path in ("acme-mtls.key", "brook.2026.key", "brook.2026.next_key")
}
POLICY: dict[str, Any] = {
    "enabled": True,
    "databases": {"to": [{"ipBlock": {"cidr": "10.1.0.5/32"}}]},
}
PARTNER: dict[str, Any] = {
    "enabled": True,
    "baseUrl": "https://fetch.example",
    "tls": {"existingSecret": "fetch-tls"},
}
BARE: dict[str, Any] = {
    "config": "",
    "migration": {"enabled": False},
    "serviceAccount": {"create": False},
    "worker": {"replicas": 0},
}
VALUES = pytest.mark.parametrize("values", [{}, CUSTOM, BARE], ids=["default", "custom", "bare"])

Document = dict[str, Any]
Render = Callable[..., list[Document]]
Check = Callable[[Document, str], None]


@pytest.fixture(scope="module")
def engine() -> Any:
    return importlib.import_module("helm_python")


@pytest.fixture(scope="module")
def render(engine: Any) -> Render:
    def render_chart(values: Document, chart: Path = CHART) -> list[Document]:
        with engine.Chart.load(str(chart)) as loaded:
            manifests = loaded.render(values, name="demo", namespace="prod")
        texts = [text for name, text in manifests.items() if not name.endswith(".txt")]
        return [one for text in texts for one in yaml.safe_load_all(text) if one]

    return render_chart


@pytest.fixture(scope="module")
def check() -> Check:
    validator = importlib.import_module("kubernetes_validate")

    def check_strictly(document: Document, version: str) -> None:
        validator.validate(document, version, strict=True)

    return check_strictly


def pods(documents: list[Document]) -> Iterator[tuple[str, Document]]:
    for document in documents:
        if document["kind"] in {"Deployment", "Job"}:
            labels = document["spec"]["template"]["metadata"]["labels"]
            yield labels["app.kubernetes.io/component"], document["spec"]["template"]["spec"]


def items_of(volume: Document) -> list[tuple[str, Document]]:
    """Give what a volume takes out of secrets: each with the secret's name."""
    if "secret" in volume:
        return [(volume["secret"]["secretName"], item) for item in volume["secret"]["items"]]
    sources = [each["secret"] for each in volume["projected"]["sources"]]
    return [(each["name"], item) for each in sources for item in each["items"]]


def find(documents: list[Document], kind: str, end: str) -> Document:
    [found] = [
        one for one in documents if one["kind"] == kind and one["metadata"]["name"].endswith(end)
    ]
    return found


def test_the_chart_lints_without_a_warning(engine: Any) -> None:
    found = engine.lint(str(CHART), strict=True)
    assert found["errors"] == []
    assert [one for one in found["messages"] if one["severity"] > 1] == []


def test_the_chart_carries_the_version_of_the_package() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((CHART.parent / "pyproject.toml").read_text())["project"]
    assert chart["apiVersion"] == "v2"
    assert chart["appVersion"] == project["version"]


@VALUES
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_every_manifest_is_strictly_valid(
    render: Render, check: Check, values: Document, version: str
) -> None:
    for document in render(values):
        check(document, version)


def test_a_misspelt_field_of_a_manifest_would_be_caught(
    render: Render, check: Check, tmp_path: Path
) -> None:
    copy = tmp_path / "chart"
    shutil.copytree(CHART, copy)
    partials = copy / "templates" / "_helpers.tpl"
    partials.write_text(partials.read_text().replace("readinessProbe", "readinesProbe"))
    worker = find(render({}, copy), "Deployment", "-worker")
    with pytest.raises(Exception, match="readinesProbe"):
        check(worker, NEWEST)


@pytest.mark.parametrize(
    "values",
    [
        {"worker": {"replica": 3}},
        {"wroker": {}},
        {"keyring": {"existingSecret": ""}},
        {"transitToken": {"key": ""}},
        {"worker": {"drainSeconds": "soon"}},
        {"worker": {"maxUnavailable": 0}},
        {"runAs": {"user": 0}},
        {"image": {"digest": "sha256:short"}},
        {"clientIdentities": [{"name": "acme", "existingSecret": "s"}]},
        {"clientIdentities": {"acme": {}}},
        {"clientIdentities": {"Acme": {"existingSecret": "s"}}},
        {"clientIdentities": {"acme": {"existingSecret": "s", "cert": "tls.crt"}}},
        {"clientIdentities": {"acme": {"existingSecret": "s", "key": ""}}},
        {"clientIdentities": {"acme": {"existingSecret": "s", "next": {"key": "tls.key"}}}},
        {"networkPolicy": {"partnerPorts": []}},
        {"networkPolicy": {"partnerListener": {"from": [{}]}}},
        {"partner": {"enabled": True}},
        {"partner": PARTNER | {"baseUrl": ""}},
        {"partner": PARTNER | {"baseUrl": "http://fetch.example"}},
        {"partner": PARTNER | {"baseUrl": "https://fetch.example/path"}},
        {"partner": PARTNER | {"tls": {"existingSecret": ""}}},
        {"partner": PARTNER | {"tls": {"existingSecret": "s", "cert": "tls.crt"}}},
        {"partner": PARTNER | {"maxUnavailable": 0}},
        {"partner": PARTNER | {"service": {"externalTrafficPolicy": "Near"}}},
        {"partner": PARTNER | {"drainSeconds": 5}},
    ],
)
def test_a_wrong_value_is_refused(engine: Any, render: Render, values: Document) -> None:
    with pytest.raises(engine.HelmValuesError):
        render(values)


def test_every_pod_keeps_checkpoints_in_a_file_of_its_own_where_a_claim_is_named(
    render: Render, check: Check
) -> None:
    name = "DISPATCHER__AUDIT__CHECKPOINT_FILE"
    for _, pod in pods(render({})):
        environment = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
        assert environment[name] == ""
    documents = render({"audit": {"existingClaim": "worm"}})
    for document in documents:
        check(document, NEWEST)
    for _, pod in pods(documents):
        environment = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
        assert environment[name] == "/run/audit/$(POD_NAME)"
        [volume] = [one for one in pod["volumes"] if one["name"] == "audit"]
        assert volume["persistentVolumeClaim"] == {"claimName": "worm"}
        mounts = {one["name"]: one["mountPath"] for one in pod["containers"][0]["volumeMounts"]}
        assert mounts["audit"] == "/run/audit"


@VALUES
def test_a_stopping_worker_has_more_time_than_it_needs_to_drain(
    render: Render, values: Document
) -> None:
    [worker] = [pod for plane, pod in pods(render(values)) if plane == "worker"]
    environment = {one["name"]: one.get("value") for one in worker["containers"][0]["env"]}
    drain = float(environment["DISPATCHER__WORKER__DRAIN_SECONDS"])
    assert worker["terminationGracePeriodSeconds"] > drain + 4


@VALUES
def test_no_pod_has_a_privilege_a_token_or_a_place_to_write(
    render: Render, values: Document
) -> None:
    for _, pod in pods(render(values)):
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*pod["initContainers"], *pod["containers"]]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "privileged": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]
        assert all("hostPath" not in volume for volume in pod["volumes"])


@VALUES
def test_secrets_are_only_referred_to(render: Render, values: Document) -> None:
    documents = render(values)
    assert "Secret" not in {one["kind"] for one in documents}
    for _, pod in pods(documents):
        for entry in pod["containers"][0]["env"]:
            if entry["name"].endswith("__URL"):
                assert set(entry) == {"name", "valueFrom"}
                assert set(entry["valueFrom"]) == {"secretKeyRef"}


def test_the_token_for_vault_lies_where_the_process_reads_it(render: Render) -> None:
    for _, pod in pods(render(CUSTOM)):
        [container] = pod["containers"]
        [mount] = [one for one in container["volumeMounts"] if one["name"] == "transit-token"]
        [volume] = [one for one in pod["volumes"] if one["name"] == "transit-token"]
        [item] = volume["secret"]["items"]
        assert (volume["secret"]["secretName"], item["key"]) == ("vault-token", "value")
        environment = {one["name"]: one.get("value") for one in container["env"]}
        said = environment["DISPATCHER__VAULT__TRANSIT_TOKEN_FILE"]
        assert said == f"{mount['mountPath']}/{item['path']}"
        assert mount["readOnly"]


@VALUES
def test_keys_reach_the_process_as_their_owners_alone(render: Render, values: Document) -> None:
    for plane, pod in pods(render(values)):
        volumes = {one["name"]: one for one in pod["volumes"]}
        assert volumes["private"]["emptyDir"]["medium"] == "Memory"
        environment = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
        told = " ".join(map(str, environment.values()))
        read = set(re.findall(r'/run/dispatcher/[^"\s]+', told))
        copied = set()
        for copy in pod["initContainers"]:
            assert copy["command"][:2] == ["install", "--mode=0600"]
            folder = copy["command"][2].removeprefix("--target-directory=")
            mounts = {one["name"]: one["mountPath"] for one in copy["volumeMounts"]}
            assert mounts.pop("private") == folder
            [(name, place)] = mounts.items()
            paths = [item["path"] for _, item in items_of(volumes[name])]
            assert copy["command"][3:] == [f"{place}/{path}" for path in paths]
            copied |= {f"{folder}/{path}" for path in paths}
            assert name not in {one["name"] for one in pod["containers"][0]["volumeMounts"]}
        # All that a process is told of and does not have: the control plane, those keys.
        withheld = KEYS if plane == "control" and "clientIdentities" in values else set()
        assert read - copied == withheld
        assert copied <= read


def test_workers_show_what_the_secrets_hold_and_the_control_plane_has_no_key(
    render: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {
        "acme-tls": new_pair("tls.crt", "tls.key"),
        "brook-tls": new_pair("chain.pem", "own.pem"),
        "brook-2027": new_pair("tls.crt", "tls.key"),
    }
    for plane in ("worker", "control"):
        [pod] = [pod for name, pod in pods(render(CUSTOM)) if name == plane]
        root = tmp_path / plane
        private = copy_identities(pod, secrets, root)
        [told] = [one for one in pod["containers"][0]["env"] if one["name"] == IDENTITIES]
        with monkeypatch.context() as environment:
            environment.setenv(IDENTITIES, told["value"].replace("/run/", f"{root}/run/"))
            environment.chdir(tmp_path)
            files = client_identities(load_config())
        listed = read_certificates(files)
        assert [each.identity for each in listed] == ["acme-mtls", "brook.2026", "brook.2026"]
        assert len({each.fingerprint for each in listed}) == 3
        if plane == "worker":
            assert Identities(files).certificates == listed
            assert {stat.S_IMODE(each.stat().st_mode) for each in private.iterdir()} == {0o600}
        else:
            assert not [each for each in root.rglob("*.*") if b"PRIVATE" in each.read_bytes()]


def new_pair(certificate: str, key: str) -> dict[str, bytes]:
    """Make what a secret holds under these two names."""
    issued = trustme.CA().issue_cert("client.example")
    return {
        certificate: issued.cert_chain_pems[0].bytes(),
        key: issued.private_key_pem.bytes(),
    }


def copy_identities(pod: Document, secrets: dict[str, dict[str, bytes]], root: Path) -> Path:
    """Mount the client certificates of a pod below `root`, and have it copy them as it starts."""
    [volume] = [one for one in pod["volumes"] if one["name"] == "identities"]
    [copy] = [one for one in pod["initContainers"] if one["name"] == "identities"]
    mounted, private = root / "run/identities", root / "run/dispatcher"
    mounted.mkdir(parents=True)
    private.mkdir()
    for name, item in items_of(volume):
        place = mounted / item["path"]
        place.write_bytes(secrets[name][item["key"]])
        place.chmod(volume["projected"]["defaultMode"])
    command = [part.replace("/run/", f"{root}/run/") for part in copy["command"]]
    subprocess.run(command, check=True)
    return private


def test_only_who_calls_partners_or_tells_of_it_has_their_certificates(render: Render) -> None:
    texts = {plane: yaml.safe_dump(pod).lower() for plane, pod in pods(render(CUSTOM))}
    assert {plane for plane, text in texts.items() if "identities" in text} == {"control", "worker"}
    for documents in (render({}), render({"partner": PARTNER})):
        assert "identities" not in yaml.safe_dump_all(documents).lower()


def test_there_is_room_for_as_many_certificates_as_are_named(render: Render) -> None:
    pair = {"existingSecret": "s"}
    many = render({"clientIdentities": {f"partner-{n}": pair | {"next": pair} for n in range(100)}})
    [worker] = [pod for plane, pod in pods(many) if plane == "worker"]
    [private] = [one for one in worker["volumes"] if one["name"] == "private"]
    size = int(private["emptyDir"]["sizeLimit"].removesuffix("Mi")) * 1024 * 1024
    assert size >= 400 * PEM_BYTES_MAX


@VALUES
def test_each_plane_runs_its_command_and_answers_probes(render: Render, values: Document) -> None:
    commands = {
        "worker": ["dispatcher", "worker"],
        "control": ["dispatcher", "api"],
        "partner": ["dispatcher", "partner"],
    }
    port = values.get("listen", {}).get("port", 9464)
    found = {plane: pod for plane, pod in pods(render(values)) if plane != "migration"}
    is_listening = "partner" in values
    assert set(found) == set(commands) - (set() if is_listening else {"partner"})
    for plane, pod in found.items():
        [container] = pod["containers"]
        assert container["command"] == commands[plane]
        own = {"name": "http", "containerPort": port, "protocol": "TCP"}
        more = [{"name": "partners", "containerPort": 9443, "protocol": "TCP"}]
        assert container["ports"] == [own, *(more if plane == "partner" else [])]
        assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
        assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}


@VALUES
def test_selectors_meet_exactly_the_pods_of_their_plane(render: Render, values: Document) -> None:
    documents = render(values)
    labels = {
        one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"]
        for one in documents
        if one["kind"] in {"Deployment", "Job"}
    }

    def selected(selector: Document) -> list[str]:
        return [name for name, given in labels.items() if selector.items() <= given.items()]

    prefix = values.get("fullnameOverride", "demo-dispatcher")
    listening = ["partner"] if "partner" in values else []
    for plane in ["worker", "control", *listening]:
        deployment = find(documents, "Deployment", f"-{plane}")
        assert selected(deployment["spec"]["selector"]["matchLabels"]) == [f"{prefix}-{plane}"]
    for plane in ["control", *listening]:
        service = find(documents, "Service", f"-{plane}")
        assert selected(service["spec"]["selector"]) == [f"{prefix}-{plane}"]
    for plane in ["worker", *listening]:
        budget = find(documents, "PodDisruptionBudget", f"-{plane}")
        assert selected(budget["spec"]["selector"]["matchLabels"]) == [f"{prefix}-{plane}"]


def test_the_listener_for_partners_is_there_once_it_is_asked_for(
    render: Render, check: Check
) -> None:
    named = [one["metadata"]["name"] for one in render({"networkPolicy": POLICY})]
    assert [name for name in named if "partner" in name] == []
    documents = render({"partner": PARTNER, "networkPolicy": POLICY})
    for document in documents:
        check(document, NEWEST)
    deployment = find(documents, "Deployment", "-partner")
    assert deployment["spec"]["replicas"] == 2
    pod = deployment["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"] == {"memory": "512Mi"}
    [volume] = [one for one in pod["volumes"] if one["name"] == "certificate"]
    assert volume["secret"]["secretName"] == "fetch-tls"
    keys = {one["path"]: one["key"] for one in volume["secret"]["items"]}
    assert keys == {"partner.pem": "tls.crt", "partner-key.pem": "tls.key"}
    service = find(documents, "Service", "-partner")["spec"]
    assert service["type"] == "ClusterIP"
    assert [(one["port"], one["targetPort"]) for one in service["ports"]] == [(443, "partners")]
    assert "externalTrafficPolicy" not in service
    assert find(documents, "PodDisruptionBudget", "-partner")["spec"]["maxUnavailable"] == 1


def test_from_outside_the_listener_sees_the_address_that_a_partner_calls_from(
    render: Render,
) -> None:
    service = find(render(CUSTOM), "Service", "-partner")["spec"]
    assert (service["type"], service["externalTrafficPolicy"]) == ("LoadBalancer", "Local")


def test_a_stopping_listener_answers_until_nobody_is_sent_to_it(render: Render) -> None:
    [pod] = [pod for plane, pod in pods(render(CUSTOM)) if plane == "partner"]
    [container] = pod["containers"]
    _, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    assert pod["terminationGracePeriodSeconds"] > float(seconds) + Config().partner.request_seconds


def test_two_listeners_of_one_pod_do_not_share_a_port(engine: Any, render: Render) -> None:
    with pytest.raises(engine.HelmError, match=r"listen\.port"):
        render({"partner": PARTNER | {"port": 9464}})


def test_a_policy_lets_the_listener_reach_databases_and_name_servers_alone(render: Render) -> None:
    documents = render({"partner": PARTNER, "networkPolicy": POLICY})
    policy = find(documents, "NetworkPolicy", "-partner")["spec"]
    deployment = find(documents, "Deployment", "-partner")["spec"]
    assert policy["podSelector"] == deployment["selector"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    databases, names = policy["egress"]
    assert databases["to"] == POLICY["databases"]["to"]
    assert {each["port"] for each in names["ports"]} == {53}
    partners, own = policy["ingress"]
    assert [each["port"] for each in partners["ports"]] == ["partners"]
    assert "from" not in partners
    assert [each["port"] for each in own["ports"]] == ["http"]
    assert own["from"] == [{"namespaceSelector": {}}]
    said = CUSTOM["networkPolicy"]["partnerListener"]
    custom = find(render(CUSTOM), "NetworkPolicy", "-partner")["spec"]
    assert custom["ingress"][0]["from"] == said["from"]
    assert custom["egress"][2:] == said["extraEgress"]


def test_the_notes_say_how_to_look_at_the_listener_and_when_to_restart(engine: Any) -> None:
    def notes(values: Document) -> str:
        with engine.Chart.load(str(CHART)) as loaded:
            manifests = loaded.render(values, name="demo", namespace="prod")
        [found] = [text for name, text in manifests.items() if name.endswith("NOTES.txt")]
        return str(found)

    asked = "deploy/demo-dispatcher-partner -- dispatcher doctor"
    assert asked not in notes({})
    assert asked in notes({"partner": PARTNER})
    renewed = "restart deploy/demo-dispatcher-worker deploy/demo-dispatcher-control"
    assert renewed not in notes({})
    assert renewed in notes({"clientIdentities": {"acme": {"existingSecret": "s"}}})


def test_c11_a_policy_lets_workers_reach_partners_databases_and_name_servers_alone(
    render: Render,
) -> None:
    assert "NetworkPolicy" not in {one["kind"] for one in render({})}
    documents = render(CUSTOM)
    policy = find(documents, "NetworkPolicy", "-worker")["spec"]
    worker = find(documents, "Deployment", "-worker")["spec"]["selector"]
    assert policy["podSelector"] == worker
    assert policy["policyTypes"] == ["Egress"]
    databases, names, extra, partners = policy["egress"]
    assert databases["to"] == CUSTOM["networkPolicy"]["databases"]["to"]
    assert [each["port"] for each in databases["ports"]] == [5432]
    assert {(each["port"], each["protocol"]) for each in names["ports"]} == {
        (53, "UDP"),
        (53, "TCP"),
    }
    assert names["to"][0]["podSelector"]["matchLabels"] == {"k8s-app": "kube-dns"}
    assert extra == CUSTOM["networkPolicy"]["extraEgress"][0]
    assert [each["port"] for each in partners["ports"]] == [443, 8443]
    blocks = [each["ipBlock"] for each in partners["to"]]
    assert [(each["cidr"], tuple(each.get("except", ()))) for each in blocks] == [
        (str(each.block), tuple(map(str, each.closed))) for each in list_openings()
    ]


def test_a_policy_that_would_let_everything_through_is_refused(engine: Any, render: Render) -> None:
    # To Kubernetes, an empty list of peers means everybody.
    with pytest.raises(engine.HelmError, match="databases"):
        render({"networkPolicy": {"enabled": True}})


def test_the_migration_runs_first_and_needs_nothing_that_comes_later(render: Render) -> None:
    documents = render(CUSTOM)
    first = [one for one in documents if "helm.sh/hook" in one["metadata"].get("annotations", {})]
    job = find(documents, "Job", "-migration")
    assert job in first
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    pod = job["spec"]["template"]["spec"]
    assert pod["containers"][0]["command"] == ["dispatcher", "migrate"]
    assert "serviceAccountName" not in pod
    [configuration] = [one["configMap"]["name"] for one in pod["volumes"] if "configMap" in one]
    assert configuration in {one["metadata"]["name"] for one in first if one is not job}


@VALUES
def test_the_product_accepts_the_configuration_it_is_given(
    render: Render, values: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = render(values)
    for plane, pod in pods(documents):
        volumes = {one["name"]: one for one in pod["volumes"]}
        name = volumes["config"]["configMap"]["name"]
        [content] = [
            one["data"]
            for one in documents
            if one["kind"] == "ConfigMap" and one["metadata"]["name"] == name
        ]
        [container] = pod["containers"]
        mounts = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
        with monkeypatch.context() as environment:
            for entry in container["env"]:
                environment.setenv(entry["name"], entry.get("value", "postgresql://db.example/d"))
            given = {one["name"]: one.get("value") for one in container["env"]}[CONFIG_VARIABLE]
            inside = Path(given).relative_to(mounts["config"])
            (tmp_path / inside).write_text(content[str(inside)])
            config = load_config(tmp_path / inside)
        assert config.environment == "production"
        assert config.api.port == values.get("listen", {}).get("port", 9464)
        assert str(config.keyring_path) == "/run/dispatcher/keyring.json"
        assert config.database_url(config.outbox) == "postgresql://db.example/d"
        assert config.partner.is_on == (plane == "partner")
        is_told = plane in {"worker", "control"} and "clientIdentities" in values
        assert set(config.network.identities) == set(CUSTOM["clientIdentities"] if is_told else ())
        if config.partner.is_on:
            assert config.partner.port == 9443
            assert config.partner.base_url == "https://fetch.example:8443"
