"""What users write, good and bad: the module that the tests' bundle holds."""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

from headway.authoring.context import checkpoint, progress


def noop(*_args):
    return None


def add(x, y=0):
    return x + y


def total(values):
    return sum(values)


def describe(**named):
    return {name: repr(value) for name, value in named.items()}


def mutate(values):
    values.append(99)
    return len(values)


async def doubled(x):
    await asyncio.sleep(0.001)
    return 2 * x


async def sleep_async(seconds):
    try:
        await asyncio.sleep(seconds)
    finally:
        print("cleaned up", flush=True)


def sleep(seconds):
    time.sleep(seconds)
    return "slept"


def touch_and_sleep(path, seconds):
    with open(path, "a") as file:
        file.write("ran\n")
    time.sleep(seconds)
    return "slept"


def append(line, path):
    with open(path, "a") as file:
        file.write(f"{line}\n")
    return line


def spin(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def stubborn(seconds, path):
    """Swallows what asks it to end."""
    end = time.monotonic() + seconds
    with open(path, "w") as file:
        file.write(str(os.getpid()))
    while time.monotonic() < end:
        try:
            time.sleep(0.05)
        except BaseException:
            print("not now")


def holds_the_lock(seconds):
    """C code that never lets another thread run."""
    ctypes.PyDLL(None).usleep(int(seconds * 1e6))


def tidy_up(seconds, path):
    try:
        time.sleep(seconds)
    finally:
        with open(path, "w") as file:
            file.write("tidied")


def swallow(seconds):
    try:
        time.sleep(seconds)
    except BaseException:
        return "finished all the same"


def fail(message="no luck"):
    raise ValueError(message)


def fail_deeper():
    def inner():
        return 1 / 0

    inner()


class Hostile(Exception):
    def __init__(self, one, two):
        super().__init__(one, two)

    def __str__(self):
        raise RuntimeError("no message")

    __repr__ = __str__


def fail_hostile():
    raise Hostile(1, 2)


def fail_at_length():
    raise ValueError("x" * 1_000_000)


def quit_(code):
    sys.exit(code)


def interrupt():
    raise KeyboardInterrupt


def recurse():
    return recurse()


def unpicklable():
    return threading.Lock()


def out_of_memory():
    raise MemoryError


def segfault():
    ctypes.string_at(0)


def exit_hard(code):
    os._exit(code)


def kill_me(number=signal.SIGKILL):
    os.kill(os.getpid(), number)
    time.sleep(5)


def close_descriptors():
    for fd in (0, 1, 2):
        os.close(fd)


def break_streams():
    sys.stdout.close()
    sys.stderr = None


def fork_and_return():
    if os.fork() == 0:
        return "child"
    os.wait()
    return "parent"


def fork_and_fail():
    if os.fork() == 0:
        raise ValueError("in the child")
    os.wait()
    return "parent"


def print_much(megabytes):
    line = "y" * 99
    for _ in range(megabytes * 10_000):
        print(line)


def change_things():
    os.chdir("/")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    sys.setrecursionlimit(200)
    signal.alarm(1)


def where():
    return [os.getcwd(), signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, sys.getrecursionlimit()]


def leave_thread():
    threading.Thread(target=time.sleep, args=(30,)).start()


def speak():
    print("python says")
    os.write(1, b"descriptor says\n")
    libc = ctypes.CDLL(None)
    libc.puts(b"C says")
    libc.fflush(None)
    subprocess.run(["sh", "-c", "echo child says; echo child complains >&2"], check=True)
    print("python complains", file=sys.stderr)


def speak_if(wanted):
    if wanted:
        print("spoken")


def speak_slowly(path):
    print("first line")
    while not os.path.exists(path):
        time.sleep(0.01)
    print("last line")


def speak_through_child(path):
    subprocess.run(["sh", "-c", f"echo from child; while [ ! -e {path} ]; do sleep 0.02; done"], check=True)


def environment():
    names = (
        "HEADWAY_TASK",
        "HEADWAY_ATTEMPT",
        "HEADWAY_RUN",
        "CUDA_VISIBLE_DEVICES",
        "OMP_NUM_THREADS",
        "HEADWAY_VARIANT",
    )
    return {name: os.environ.get(name) for name in names}


def pid():
    return os.getpid()


def report_progress(values):
    for value in values:
        progress(value)


def train(epochs, seconds=0.0, stop_at=None):
    """Counts epochs in checkpoints; returns where it began."""
    began = done = checkpoint.load(0)
    while done < epochs:
        time.sleep(seconds)
        done += 1
        checkpoint(done)
        progress(done / epochs)
        if done == stop_at:
            raise ValueError("interrupted training")
    return began


def bad_checkpoint():
    checkpoint(threading.Lock())


def tree(path, seconds):
    """A child in the group, a grandchild in a session of its own, and an orphan."""
    script = f"""
    sleep {seconds} & echo $! >> {path}
    setsid sleep {seconds} & echo $! >> {path}
    setsid sh -c 'sleep {seconds} & echo $! >> {path}' &
    wait
    """
    process = subprocess.Popen(["sh", "-c", script], start_new_session=True)
    time.sleep(seconds)
    process.wait()


def large(size):
    return bytes(size)


def length(value):
    return len(value)


def pair():
    return {"a": [10, 20], "b": (1, 2)}


def three():
    return [1, 2, 3]


def tell_secret(password):
    """Prints it in every way that a program can."""
    import base64
    import urllib.parse

    print("python says", password)
    print("repr says", repr(password), file=sys.stderr)
    print("base64 says", base64.b64encode(f"user:{password}".encode()).decode())
    print("url says", urllib.parse.quote(password, safe=""))
    os.write(1, b"descriptor says " + password.encode() + b"\n")
    half = len(password) // 2
    os.write(1, b"halves say " + password[:half].encode())
    time.sleep(0.05)
    os.write(1, password[half:].encode() + b"\n")
    subprocess.run(["sh", "-c", 'echo "child says $1"; echo "child complains $1" >&2', "sh", password])
    subprocess.run(["env"])
    return len(password)


def raise_secret(password):
    local = {"password": password}
    raise ValueError(f"cannot log in with {local}")


def give_secret(password, how):
    return {
        "plain": f"postgres://me:{password}@db",
        "deep": [{"x": (password, 1)}],
        "large": ["x" * 9000, password],
    }[how]


def keep_secret(password):
    checkpoint({"password": password})


REMEMBERED = []


def remember_secret(password):
    REMEMBERED.append(password)


def tell_remembered():
    print("another task says", REMEMBERED)


def leave_child_with_secret(password, folder):
    """A process that prints it after the task has ended."""
    subprocess.Popen(
        [
            "sh",
            "-c",
            f'while [ ! -e {folder}/go ]; do sleep 0.01; done; echo "late $1"; touch {folder}/done',
            "sh",
            password,
        ]
    )
    print("task ends", flush=True)


def close_all(password):
    print("before", password, flush=True)
    os.close(1)
    os.close(2)


def tell_environment():
    with open("/proc/self/environ", "rb") as file:
        return {**os.environ, "initial": file.read().decode()}


def crash_with_secret(password):
    print("soon", password, flush=True)
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGKILL)


def around(name: str) -> list[str | None]:
    """A variable, and the working folder."""
    return [os.environ.get(name), os.getcwd()]


def guest() -> list[object]:
    """What only a virtual environment has, and whose Python this is."""
    import probe  # type: ignore[import-not-found]  # made by the test

    return [probe.VALUE, sys.prefix]


def print_environment():
    subprocess.run(["sh", "-c", 'echo "child says PW=$PW"'])
    return len(os.environ.get("PW", ""))
