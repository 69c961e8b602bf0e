"""DVC's command, no longer than the process that started it: `python -P tethered.py <its pid> repro ...`

Who is killed can't end what it has started; DVC would go on, and the next run would meet it in the same folder. It is
run as a file, since PYTHONPATH leads to the code of the folder that DVC works in.
"""

import os
import sys
import threading
import time


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)  # the stage that DVC runs ends with it; see stages/process.py


if __name__ == "__main__":
    threading.Thread(target=_end_with, args=(int(sys.argv[1]),), daemon=True).start()
    from dvc.cli import main

    sys.exit(main(sys.argv[2:]))
