"""Studies and audits on Ray: the same as here, and nothing is lost with a process or a machine."""

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from comparing import without_times

from vivavoce.artifacts import open_model
from vivavoce.audit.on_ray import RayShards
from vivavoce.audit.plan import Settings
from vivavoce.audit.protocol import resolve
from vivavoce.audit.run import robustness
from vivavoce.cluster import Cluster
from vivavoce.errors import VivavoceError
from vivavoce.study import on_ray
from vivavoce.study.cell import LOG, AuditPlan, Cell, read_failure
from vivavoce.study.local import LocalEngine
from vivavoce.study.on_ray import RayEngine
from vivavoce.study.records import Record

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc"),
]
AUDIT = AuditPlan("paper", attack=("fgsm",), epsilon=(0.1, 0.2), limit=20)
FGSM = resolve("paper", attacks=["fgsm"], epsilons=[0.1, 0.2])
LABELS = ("category", "constant")
EPOCHS = 8


def cell(label, **changes):
    told = {"dataset": "digits", "level": 40, "encoder": "resnet8", "seed": 0, "label": label, "method": None}
    return Cell(**(told | {"recipe": "fast", "set": {"epochs": EPOCHS}, "audit": (AUDIT,)} | changes))


def records(folder, cells):
    return [Record(c, folder / "cells" / c.folder) for c in cells]


def came_to(record):
    """What a finished cell came to, but for times."""
    assert record.result, (record.folder / LOG).read_text()[-2000:]
    epochs = [msgspec.to_builtins(epoch) | {"seconds": 0} for epoch in record.history]
    reports = {name: without_times(report) for name, report in record.reports.items()}
    result = record.result
    return result.accuracy, result.best_epoch, result.epochs, epochs, reports


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The cells worked on by the local engine, with the threads that a cell of one CPU has on Ray."""
    done = records(tmp_path_factory.mktemp("local"), [cell(label) for label in LABELS])
    ends = list(LocalEngine(os.cpu_count() or 1).run(done, "cpu"))
    assert [reason for _, reason in ends] == [None, None]
    return [came_to(record) for record in done]


@pytest.fixture(scope="module")
def nodes():
    """Two nodes of a cluster on this machine, one CPU each."""
    from ray import cluster_utils

    cluster = cluster_utils.Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False},
    )
    cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
    cluster.wait_for_nodes()
    yield cluster
    cluster.shutdown()


def processes(node, task):
    """Numbers of a node's processes that run a task."""
    raylet = node.all_processes["raylet"][0].process.pid
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_text()
        except (OSError, ValueError):
            continue
        if parent == raylet and command.startswith(f"ray::{task}"):
            found.append(int(folder.name))
    return found


def once(condition, act):
    """Act, in a thread, as soon as a condition holds; the list returned then has what it was acted on."""
    acted = []

    def watch():
        while threading.main_thread().is_alive() and not acted:
            if found := condition():
                act(found)
                acted.append(found)
            time.sleep(0.02)

    threading.Thread(target=watch, daemon=True).start()
    return acted


def all_begun(done):
    """Whether every cell has a checkpoint behind it, of an epoch that its log tells of."""
    logs = [record.folder / LOG for record in done]
    return all(log.exists() and f"epoch 2/{EPOCHS}:" in log.read_text() for log in logs)


def test_cells_and_shards_come_to_the_same_as_here(nodes, local, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = records(Path("study"), [cell(label) for label in LABELS])
    engine = RayEngine(nodes.address)
    assert engine.workers == 2
    assert [reason for _, reason in engine.run(done, "auto")] == [None, None]
    assert [came_to(record) for record in done] == local
    assert f"epoch {EPOCHS}/{EPOCHS}" in (done[0].folder / LOG).read_text()

    model, seen = open_model("digits-speech"), []
    settings = Settings(protocol=FGSM, limit=60, batch_size=10)
    spread = RayShards("digits-speech", address=nodes.address)
    here = robustness(model, settings).report
    there = robustness(
        model, Settings(protocol=FGSM, limit=60, batch_size=10, spread=spread),
        lambda what, done, steps: seen.append((done, steps)) if steps else None,
    ).report  # fmt: skip
    assert without_times(there) == without_times(here)
    assert len({done for done, _ in seen}) >= 6
    assert seen[-1][0] == seen[-1][1]


def test_a_killed_worker_loses_nothing(nodes, local, tmp_path, capfd):
    done = records(tmp_path, [cell(label) for label in LABELS])

    def at_work():
        found = [pid for node in nodes.list_all_nodes() for pid in processes(node, "_work")]
        return found if all_begun(done) and len(found) == 2 else None

    killed = once(at_work, lambda found: os.kill(found[0], signal.SIGKILL))
    ends = list(RayEngine(nodes.address).run(done, "cpu"))
    assert killed
    assert [reason for _, reason in ends] == [None, None]
    assert [came_to(record) for record in done] == local
    for log in (record.folder / LOG for record in done):
        again = "it went on from there, not from the beginning"
        assert log.read_text().count(f"epoch 2/{EPOCHS}:") == 1, again
    assert capfd.readouterr().out == ""


def test_a_worker_killed_in_an_audit_loses_nothing(nodes):
    model, settings = open_model("digits-category"), Settings(protocol=FGSM, limit=60, batch_size=10)
    spread = RayShards("digits-category", address=nodes.address)

    def at_work():
        return [pid for node in nodes.list_all_nodes() for pid in processes(node, "_examine")]

    killed = once(at_work, lambda found: os.kill(found[0], signal.SIGKILL))
    there = robustness(model, replace(settings, spread=spread)).report
    assert killed
    assert without_times(there) == without_times(robustness(model, settings).report)


def test_a_cell_whose_process_always_dies_has_failed_and_others_go_on(nodes, tmp_path, monkeypatch):
    def dies_or_ends(cell, folder, *_):
        return os._exit(9) if cell.label == "category" else "no speech"

    monkeypatch.setattr(on_ray, "_work", dies_or_ends)
    done = records(tmp_path, [cell(label) for label in ("category", "speech")])
    ends = {record.cell.label: reason for record, reason in RayEngine(nodes.address, 2).run(done, "cpu")}
    assert ends["speech"] == "no speech"
    assert ends["category"]
    assert "4 times" in ends["category"]
    failure = read_failure(done[0].folder)
    assert failure
    assert failure.reason == ends["category"]
    assert "\n" not in failure.reason


def test_what_the_cluster_cannot_do_is_said_at_once(nodes, tmp_path):
    with pytest.raises(VivavoceError, match=r"room for 5 CPUs and 0 GPUs; .* one has is 1 CPUs"):
        RayEngine(nodes.address, cpus=5)
    with pytest.raises(VivavoceError, match="room for 1 CPUs and 1 GPUs"):
        RayEngine(nodes.address, gpus=1)
    cluster = Cluster(nodes.address)
    with pytest.raises(VivavoceError, match=r"node .* does not see .*missing; put it where every node does"):
        cluster.check_sees(tmp_path / "missing")
    cluster.close()
    with pytest.raises(VivavoceError, match="the engine requests no GPUs"):
        list(RayEngine(nodes.address).run(records(tmp_path, [cell("category")]), "cuda"))


def test_a_lost_node_loses_nothing(nodes, local, tmp_path):
    done = records(tmp_path, [cell(label) for label in LABELS])
    second = next(iter(nodes.worker_nodes))

    def at_work():
        return processes(second, "_work") if all_begun(done) else None

    def lose(found):
        nodes.remove_node(second, allow_graceful=False)
        for pid in found:
            os.kill(pid, signal.SIGKILL)

    lost = once(at_work, lose)
    ends = list(RayEngine(nodes.address).run(done, "cpu"))
    assert lost
    assert [reason for _, reason in ends] == [None, None]
    assert [came_to(record) for record in done] == local
    assert len(nodes.list_all_nodes()) == 1
