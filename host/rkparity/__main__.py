"""`python -m rkparity`."""

import sys

from rkparity.cli.main import main

sys.exit(main())
