"""A board kit whose agent speaks the protocol and does what its mode says, without a runtime."""

from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path

AGENT = """
import json, os, signal, struct, sys, time

MODE = @MODE@
DATA = struct.pack("<4f", 1, 2, 3, 4)

def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)

def npy(path, descr, shape, data):
    header = str({"descr": descr, "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\\n"
    with open(path, "wb") as file:
        file.write(b"\\x93NUMPY\\x01\\0" + struct.pack("<H", len(header)) + header + data)

say("start", agent_version="fake", pid=os.getpid())
if sys.argv[1] == "selfcheck":
    say("result", python="%d.%d" % sys.version_info[:2])
    sys.exit(0)
job = json.load(open(sys.argv[3]))
assert sys.argv[1:3] == ["run", "--job"] and job["schema"] == "rkparity.job/1"
assert os.path.getsize(job["model"]) > 0 and all(os.path.getsize(given["file"]) for given in job["inputs"])
os.mkdir(job["dump_dir"])
os.mkdir(job["output_dir"])
with open(job["output_dir"] + "/runtime.log", "w") as log:
    log.write(@LOG@)
    log.write("I RKNN: the runtime's last words\\n")
say("log", level="info", message="job " + json.dumps(job, sort_keys=True))
npy(job["dump_dir"] + "/000_InputOperator_input_shape_1_3_4_4_uint8.npy", "|u1", (1, 3, 4, 4), bytes(range(48)))
if MODE == "sleep":
    with open(@NOTE@, "w") as note:
        note.write(str(os.getpid()))
    time.sleep(60)
if MODE == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if MODE == "silent":
    print("Traceback: something broke", file=sys.stderr)
    sys.exit(1)
if MODE == "garbage":
    print("segfault at 0x0")
    sys.exit(0)
if MODE in ("error", "usage"):
    say("error", kind="call", message="rknn_init failed", hint="convert for this chip", call="rknn_init", code=-6,
        code_name="RKNN_ERR_MODEL_INVALID", exit_code=2 if MODE == "usage" else 3)
    sys.exit(3)
short = 8 if MODE == "truncated" else 0
npy(job["dump_dir"] + "/001_OutputOperator_out_shape_1_4_float.npy", "<f4", (1, 4), DATA[short:])
npy(job["output_dir"] + "/output0.npy", "<f4", (1, 4), DATA)
say("result", sdk={"api_version": "2.9.9 (fake)", "driver_version": "0.9.8"}, emulated=False, run_us=[1500, 1200],
    inputs=[{"name": "input"}], outputs=[{"name": "out", "file": "output0.npy"}],
    dumps=[], missing_dumps=["007_Conv"] if MODE == "missing" else [])
"""


def make_kit(folder: Path, mode: str, *, note: Path | None = None, runner: str | None = None, log: str = "") -> Path:
    """Makes a kit for this machine in `folder`/kit and returns `folder`, for RKPARITY_KITS."""
    kit = folder / "kit"
    kit.mkdir(parents=True)
    files = {
        "agent.py": AGENT.replace("@MODE@", repr(mode)).replace("@NOTE@", repr(str(note))).replace("@LOG@", repr(log))
    }
    if runner is not None:
        files = {"bin/rkrun": runner}
    for name, text in files.items():
        (kit / name).parent.mkdir(exist_ok=True)
        (kit / name).write_text(text)
        (kit / name).chmod(0o755 if name.startswith("bin/") else 0o644)
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    digest = hashlib.sha256(json.dumps(hashes).encode()).hexdigest()
    value = {"schema": "rkparity.kit/1", "arch": platform.machine(), "version": "0.0", "hash": digest, "files": hashes}
    (kit / "kit.json").write_text(json.dumps(value))
    return folder
