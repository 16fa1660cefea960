from __future__ import annotations

from diagnose_bench import library, make_board, models, program, served, toolkit_python, worker

__all__ = ["library", "make_board", "models", "program", "served", "toolkit_python", "worker"]
