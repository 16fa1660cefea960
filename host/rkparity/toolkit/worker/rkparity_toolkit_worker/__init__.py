"""The worker process: answers jobs, one JSON object a line, with rknn-toolkit2. Python 3.8 or later, numpy and rknn only."""
