"""How a board is reached: SSH, adb or this machine, and the processes that run there."""
