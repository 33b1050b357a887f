"""What a bench of this folder has measured: one line of JSON, which tells the day and the machine, too."""

import datetime
import json
import os
import platform


def tell(result):
    # The load of before: one's own servers are in it, and whatever else the machine did.
    about = {"cores": len(os.sched_getaffinity(0)), "kernel": platform.release(), "load": os.getloadavg()}
    print(json.dumps({**result, "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "machine": about}))
