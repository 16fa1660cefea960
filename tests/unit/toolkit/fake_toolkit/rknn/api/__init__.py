"""The class RKNN; the text of the model file says what goes wrong."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

TRACEBACK = """Traceback (most recent call last):
  File "rknn/api/rknn_log.py", line 344, in rknn.api.rknn_log.error_catch_decorator.error_catch_wrapper
  File "rknn/api/rknn_base.py", line 1, in rknn.api.rknn_base.RKNNBase.load_onnx
ValueError: Unsupported op: Foo!
"""


class _Base:
    def __init__(self):
        attribute = {
            "idx": 0,
            "shape": [1, 3, 4, 5],
            "layout": "nchw",
            "dtype": "float32",
            "mean": [0, 0, 0],
            "std": [1, 1, 1],
            "rgb2bgr": False,
            "is_output": False,
        }
        self.inputs_meta = {"attrs": {"y": {"idx": 0, "is_output": True}, "x": attribute}}


class RKNN:
    def __init__(self, verbose=False):
        self.rknn_base = _Base()
        self.wish = ""

    def config(self, **arguments):
        return 0

    def load_onnx(self, model, **arguments):
        self.wish = Path(model).read_text().strip()
        if self.wish == "raise":
            raise ValueError(TRACEBACK)
        if self.wish == "exit":
            sys.exit(7)
        return 0

    def build(self, do_quantization, **arguments):
        if self.wish == "code":
            sys.stderr.write("W before\n\x1b[1;31mE\x1b[0m \x1b[1;31mbuild: dataset is needed!\x1b[0m\n")
            sys.stderr.write("E RKNN: [19:54:01.807] Unkown op target: 0\n")
            return -1
        if self.wish == "abort":
            sys.stderr.write("E build: about to abort\n")
            sys.stderr.flush()
            os.abort()
        if self.wish == "hang":
            sys.stderr.write("I building ...\n")
            sys.stderr.flush()
            time.sleep(600)
        if self.wish == "daemon":
            # As the bundled adb server does: outlives the process and keeps every descriptor it inherited.
            script = "import os, time; open('daemon.pid', 'w').write(str(os.getpid())); time.sleep(60)"
            subprocess.Popen([sys.executable, "-c", script], close_fds=False, start_new_session=True)
        if self.wish == "noise":
            print('{"ok": false, "error": {}}' * 100, flush=True)
        return 0

    def export_rknn(self, path):
        Path(path).write_bytes(b"RKNN" + self.wish.encode())
        return 0

    def init_runtime(self):
        return 0

    def inference(self, inputs, data_format=None):
        if self.wish == "none":
            sys.stderr.write("E inference: float64 is not supported\n")
            return None
        return [np.asarray(inputs[0]) * 2]

    def release(self):
        return 0
