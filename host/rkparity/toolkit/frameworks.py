"""The frameworks a toolkit environment can be given besides ONNX, Caffe and Darknet, and the versions that work."""

from __future__ import annotations

import enum


class FrameworkPackage(str, enum.Enum):
    """What one `--with-` option of `setup-toolkit` adds."""

    TORCH = "torch"
    TFLITE = "tflite"
    TENSORFLOW = "tensorflow"

    @property
    def option(self) -> str:
        """The option of `setup-toolkit`."""
        return f"--with-{self.value}"

    @property
    def label(self) -> str:
        """For people."""
        return {"torch": "PyTorch", "tflite": "TensorFlow and LiteRT", "tensorflow": "TensorFlow"}[self.value]

    @property
    def requirements(self) -> tuple[str, ...]:
        """What pip is given, pinned; markers choose by Python and machine."""
        return {"torch": _TORCH, "tflite": (*_TENSORFLOW, *_LITERT), "tensorflow": _TENSORFLOW}[self.value]


# rknn-toolkit2 asks for torch<=2.4.0 and works with 2.13.0, which has no wheels for Python 3.8 and 3.9.
_TORCH = ('torch==2.13.0; python_version >= "3.10"', 'torch==2.4.0; python_version < "3.10"')
# The toolkit converts TFLite and TensorFlow models with TensorFlow itself and warns outside 1.12.0 to 2.14.0. 2.14 has
# no wheel for Python 3.8 and 3.12. Where there is no tensorflow-cpu (aarch64), tensorflow is the CPU build.
_TENSORFLOW = tuple(
    f'{package}=={version}; platform_machine {machine} "x86_64" and python_version {pythons}'
    for package, machine in (("tensorflow-cpu", "=="), ("tensorflow", "!="))
    for version, pythons in (
        ("2.13.1", '< "3.9"'),
        ("2.14.0", '>= "3.9" and python_version < "3.12"'),
        ("2.16.2", '>= "3.12"'),
    )
)
# Runs the original. Under older Pythons TensorFlow's own interpreter does.
_LITERT = ('ai-edge-litert==2.3.0; python_version >= "3.10"',)


def cpu_build(requirement: str) -> str:
    """The requirement of PyTorch's CPU-only build, which indexes other than PyPI have on x86_64."""
    pin, _, marker = requirement.partition(";")
    return f"{pin}+cpu;{marker}"
