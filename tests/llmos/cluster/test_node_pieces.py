"""Parts of the real node that need neither root nor a cluster."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from llmos.cluster import networks
from llmos.cluster.networks import NODES_MAX, Network, choose_network
from llmos.cluster.node import able, agents, certificates, cgroups, links, settings
from llmos.cluster.node.archive import write_archive
from llmos.cluster.node.layout import Layout
from planner.faults import EnvironmentFault

NETWORK = Network(cidr="10.224.4.0/22")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(cluster=tmp_path / "one", network=NETWORK)


@given(number=st.integers(0, 511))
def test_the_parts_of_a_network_do_not_overlap(number: int) -> None:
    whole = list(ipaddress.ip_network("10.224.0.0/13").subnets(new_prefix=22))[number]
    network = Network(cidr=str(whole))
    nodes = [network.node(number + 1) for number in range(NODES_MAX)]
    parts = [network.services, *(part for node in nodes for part in (node.pods, node.link))]
    assert len(parts) == 1 + 2 * NODES_MAX and all(part.subnet_of(whole) for part in parts)
    assert not any(one.overlaps(other) for one in parts for other in parts if one is not other)
    for node in nodes:
        assert node.pods.num_addresses > 110, "the pods of a kubelet"
        ends = {ipaddress.ip_address(node.host_address), ipaddress.ip_address(node.node_address)}
        assert len(ends) == 2 and ends <= set(node.link.hosts())
    assert network.host_address == nodes[0].host_address
    for address in (network.api_address, network.dns_address):
        assert ipaddress.ip_address(address) in network.services


def test_networks_stay_clear_of_each_other_and_of_routes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "routes", list)
    first = choose_network(tmp_path)
    assert choose_network(tmp_path) == first, "derived, not drawn"
    second = choose_network(tmp_path, reserved=[first.cidr])
    assert second != first
    monkeypatch.setattr(networks, "routes", lambda: [("eth1", ipaddress.ip_network(first.cidr))])
    assert choose_network(tmp_path) == second
    monkeypatch.setattr(networks, "routes", lambda: [("eth1", ipaddress.ip_network("10.0.0.0/8"))])
    with pytest.raises(EnvironmentFault, match="no free network is left"):
        choose_network(tmp_path)


def test_settings_come_back_with_the_last_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "_LOCK", tmp_path / "lock")
    monkeypatch.setattr(settings, "_FOLDERS", (str(tmp_path / "made"), str(tmp_path / "made/inner")))
    system, kept, links = tmp_path / "sys", tmp_path / "kept.json", tmp_path / "net"
    for name, value in (("net/ipv4/ip_forward", "0"), ("kernel/panic", "1")):
        (system / name).parent.mkdir(parents=True, exist_ok=True)
        (system / name).write_text(f"{value}\n", encoding="ascii")
    settings.keep(system=system, kept=kept)
    assert (system / "net/ipv4/ip_forward").read_text(encoding="ascii") == "1"
    (system / "kernel/panic").write_text("10", encoding="ascii")
    (tmp_path / "made/inner").mkdir(parents=True)
    settings.keep(system=system, kept=kept)
    (links / "llmosn01234567").mkdir(parents=True)
    settings.restore(system=system, kept=kept, links=links)
    assert (system / "kernel/panic").read_text(encoding="ascii") == "10", "another node is left"
    (links / "llmosn01234567").rmdir()
    settings.restore(system=system, kept=kept, links=links)
    assert (system / "kernel/panic").read_text(encoding="ascii") == "1"
    assert (system / "net/ipv4/ip_forward").read_text(encoding="ascii") == "0"
    assert not kept.exists() and not (tmp_path / "made").exists()


@pytest.mark.parametrize("unified", [True, False])
def test_a_control_group_is_made_in_every_hierarchy(tmp_path: Path, unified: bool) -> None:
    hierarchies = [tmp_path] if unified else [tmp_path / "memory", tmp_path / "pids"]
    for hierarchy in hierarchies:
        hierarchy.mkdir(exist_ok=True)
        (hierarchy / "cgroup.procs").touch()
    if unified:
        (tmp_path / "cgroup.controllers").touch()
    cgroups.create("mine", root=tmp_path)
    assert all((hierarchy / "mine").is_dir() for hierarchy in hierarchies)
    (hierarchies[0] / "mine/pod").mkdir()
    (hierarchies[0] / "mine/pod/cgroup.procs").write_text("0\n4194999\n", encoding="ascii")
    assert cgroups.members("mine", root=tmp_path) == {4194999}
    (hierarchies[0] / "mine/pod/cgroup.procs").unlink()
    cgroups.remove("mine", root=tmp_path)
    assert not any((hierarchy / "mine").exists() for hierarchy in hierarchies)


def test_an_image_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF a program")
    archives = [tmp_path / "a.tar", tmp_path / "b.tar"]
    for archive in archives:
        write_archive(program, name="llmagentos.dev/x:1", entrypoint=["/program", "x"], to=archive)
    assert archives[0].read_bytes() == archives[1].read_bytes()
    with tarfile.open(archives[0]) as tar:
        files = {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]
    (manifest,) = json.loads(files["index.json"])["manifests"]
    assert manifest["annotations"]["io.containerd.image.name"] == "llmagentos.dev/x:1"
    blob = lambda descriptor: files[f"blobs/sha256/{descriptor['digest'].removeprefix('sha256:')}"]  # noqa: E731
    config = json.loads(blob(json.loads(blob(manifest))["config"]))
    assert config["config"] == {"Entrypoint": ["/program", "x"], "User": "65534:65534"}


def authority(folder: Path) -> None:
    folder.mkdir(parents=True)
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + dt.timedelta(days=365))
    pem = serialization.Encoding.PEM
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "ca.key").write_bytes(plain)
    (folder / "ca.crt").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(pem))


def test_certificates_name_user_groups_and_address(layout: Layout) -> None:
    authority(layout.cluster / "pki")
    layout.folder.mkdir()
    certificates.issue(layout.cluster / "pki", to=layout.folder, name="u", user="system:node:real", groups=("g",))
    made = x509.load_pem_x509_certificate((layout.folder / "u.crt").read_bytes())
    made.verify_directly_issued_by(x509.load_pem_x509_certificate((layout.cluster / "pki/ca.crt").read_bytes()))
    assert made.subject.rfc4514_string() == "CN=system:node:real,O=g"
    assert (layout.folder / "u.key").stat().st_mode & 0o077 == 0
    # An authority that ends sooner limits what it signs.
    assert made.not_valid_after_utc <= dt.datetime.now(dt.UTC) + dt.timedelta(days=366)


def test_what_the_kubelet_is_told(layout: Layout) -> None:
    authority(layout.cluster / "pki")
    layout.folder.mkdir()
    agents.configure(layout, api_port=12345)
    kubelet = yaml.safe_load((layout.folder / "kubelet.yaml").read_text(encoding="utf-8"))
    assert kubelet["authentication"]["anonymous"] == {"enabled": False} and kubelet["readOnlyPort"] == 0
    assert kubelet["address"] == NETWORK.node(1).node_address and kubelet["cgroupRoot"] == f"/{layout.mark}"
    own = (kubelet["podLogsDir"], kubelet["volumePluginDir"], kubelet["resolvConf"])
    assert all(Path(path).is_relative_to(layout.folder) for path in own)
    config = yaml.safe_load((layout.folder / "kube-proxy.kubeconfig").read_text(encoding="utf-8"))
    assert config["clusters"][0]["cluster"]["server"] == f"https://{NETWORK.host_address}:12345"
    driver = layout.folder / "volume-plugins/llmagentos.dev~folder/folder"
    assert driver.stat().st_mode & 0o111 and str(layout.volumes) in driver.read_text(encoding="utf-8")


def test_a_machine_that_cannot_is_told_why(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EnvironmentFault, match="a real node needs Linux"):
        able.require(layout, platform="darwin")
    monkeypatch.setattr(able.os, "geteuid", lambda: 1000)
    with pytest.raises(EnvironmentFault, match="a real node needs root"):
        able.require(layout, platform="linux")
    monkeypatch.setattr(able.os, "geteuid", lambda: 0)
    monkeypatch.setattr(able, "_capabilities", lambda: 1 << 12)
    with pytest.raises(EnvironmentFault, match="this root lacks CAP_SYS_ADMIN"):
        able.require(layout, platform="linux")
    monkeypatch.setattr(able, "_capabilities", lambda: (1 << 40) - 1)
    monkeypatch.setattr(able.os, "access", lambda *_: False)
    with pytest.raises(EnvironmentFault, match="no control groups can be made"):
        able.require(layout, platform="linux")
    monkeypatch.setattr(able.os, "access", lambda *_: True)
    deep = Layout(cluster=Path("/") / ("x" * 80), network=NETWORK)
    with pytest.raises(EnvironmentFault, match="too long a path"):
        able.require(deep, platform="linux")


def test_the_machines_rules_go_by_their_mark(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those of an earlier version, which read otherwise; nobody else's."""
    ours = f"-m comment --comment {layout.mark}"
    listed = {
        "nat": ["-P POSTROUTING ACCEPT", f"-A POSTROUTING -s 10.1.0.2/32 {ours} -j MASQUERADE"],
        "filter": [f"-A FORWARD -i {layout.mark} -j ACCEPT", "-A FORWARD -m comment --comment \"not ours\" -j DROP",
                   f"-A FORWARD {ours}9 -j ACCEPT"],
    }  # fmt: skip
    deleted: list[str] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        words = command[command.index("-t") + 1 :] if "-t" in command else command
        if "-D" in words:
            deleted.append(" ".join(words))
        return subprocess.CompletedProcess([], 0, "\n".join(listed.get(words[0], [])), "")

    monkeypatch.setattr(links, "run", run)
    links.remove(layout)
    assert deleted == [
        f"nat -D POSTROUTING -s 10.1.0.2/32 {ours} -j MASQUERADE",
        f"filter -D FORWARD -i {layout.mark} -j ACCEPT",
    ]
