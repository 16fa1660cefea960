"""`python -m rkparity_toolkit_worker RESPONSE_FD`: requests on standard input, answers on the file descriptor named."""

from __future__ import annotations

import sys

from rkparity_toolkit_worker.loop import serve

if __name__ == "__main__":
    sys.exit(serve(int(sys.argv[1])))
