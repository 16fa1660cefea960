from __future__ import annotations

from emulator_bench import counting_models, library, library_path, models, served, toolkit_python

__all__ = ["counting_models", "library", "library_path", "models", "served", "toolkit_python"]
