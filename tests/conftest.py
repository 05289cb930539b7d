"""For all tests."""

import os

# Tests run side by side: threads that wait for each other inside each of them would only take time from the others.
os.environ.setdefault("OMP_NUM_THREADS", "1")
