"""The worker process: answers jobs, one JSON object a line. Python 3.8 or later, numpy and rknn only."""
