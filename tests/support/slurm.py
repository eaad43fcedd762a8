"""A Slurm of one node on the loopback, all its files in one folder; needs to be root."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")

_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={munge}/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=sched_min_interval=0,bf_interval=1,batch_sched_delay=0
JobRequeue=1
KillWait=10
MaxArraySize={max_array_size}
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=8000
PartitionName=low Nodes={host} Default=YES PriorityTier=1
PartitionName=high Nodes={host} PriorityTier=10 PreemptMode=OFF
"""


class Slurm:
    """A running Slurm. Commands find it by `environment`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}

    def call(self, *command: str) -> str:
        ran = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def jobs(self) -> dict[str, str]:
        """Return the state of each job in the queue by its number, as 7_0."""
        lines = self.call("squeue", "--noheader", "--array", "--format=%i %T").splitlines()
        return dict(line.split() for line in lines)

    def started_now(self, *jobs: str) -> None:
        """Let requeued jobs start now: Slurm would wait for two minutes."""
        for job in jobs:
            self.call("scontrol", "update", f"JobId={job}", "StartTime=now")

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds."""
        until(holds, self.told)

    def told(self) -> str:
        logs = [path.read_text()[-2000:] for path in self.folder.glob("*.log")]
        return "\n".join([str(self.jobs()), *logs])


def until(holds: Callable[[], bool], told: Callable[[], str] = str) -> None:
    """Wait until something holds, two minutes at most."""
    end = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < end, told()
        time.sleep(0.1)


def why_not() -> str:
    """Say why no Slurm can be started here; nothing if one can."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    missing = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if missing:
        return f"Slurm is not installed ({', '.join(missing)}): apt install slurm-wlm munge"
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "Slurm is started by root alone"
    return ""


@contextlib.contextmanager
def running(folder: Path, *, max_array_size: int = 1001, cpus: int = 4) -> Iterator[Slurm | str]:
    """Yield a Slurm with all its files in `folder`, or why it does not start."""
    host = socket.gethostname().partition(".")[0]
    # The path of a socket has about a hundred characters at most.
    munge = Path("/tmp", f"avmit-munge-{secrets.token_hex(4)}")
    for path in (folder / "state", folder / "spool", munge):
        path.mkdir(parents=True)
    munge.chmod(0o700)
    (munge / "key").write_bytes(os.urandom(1024))
    (munge / "key").chmod(0o400)
    conf = folder / "slurm.conf"
    conf.write_text(
        _CONF.format(
            host=host,
            ports=_free_ports(2),
            munge=munge,
            folder=folder,
            max_array_size=max_array_size,
            cpus=cpus,
        )
    )
    files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log"}
    options = [f"--{name}={munge / file}" for name, file in files.items()]
    slurm = Slurm(folder)
    slurm.environment["PATH"] = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    try:
        failed = [
            _started(slurm, "munged", "--force", *options, f"--seed-file={munge / 'seed'}"),
            _started(slurm, "slurmctld", "-c", "-f", str(conf)),
            _started(slurm, "slurmd", "-c", "-f", str(conf)),
        ]
        if any(failed):
            yield f"Slurm does not start: {next(filter(None, failed))}"
        elif not _idle(slurm):
            yield "Slurm's node does not get ready"
        else:
            yield slurm
    finally:
        if (folder / "slurmctld.pid").exists():
            subprocess.run(["scancel", "--user=root"], env=slurm.environment, capture_output=True)
        for pid in (folder / "slurmd.pid", folder / "slurmctld.pid", munge / "pid"):
            _stop(pid)
        shutil.rmtree(munge, ignore_errors=True)


def _started(slurm: Slurm, *command: str) -> str:
    ran = subprocess.run(command, env=slurm.environment, capture_output=True, text=True)
    return "" if ran.returncode == 0 else f"{command[0]}: {ran.stderr.strip()[-300:]}"


def _idle(slurm: Slurm) -> bool:
    command = ["sinfo", "--noheader", "--format=%T", "--partition=low"]
    for _ in range(100):
        ran = subprocess.run(command, env=slurm.environment, capture_output=True, text=True)
        if "idle" in ran.stdout:
            return True
        time.sleep(0.1)
    return False


def _stop(pid_file: Path) -> None:
    """End a daemon that was started here, at once: nobody needs what it would save."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(pid_file.read_text())
        os.kill(pid, signal.SIGKILL)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in opened]
