"""`python -m sagitta_gateway`."""

import sys

from sagitta_gateway.main import main

if __name__ == "__main__":
    sys.exit(main())
