"""The recorded sequences of calls, as the steps of sequences.c; pack.py writes them into the archive."""

from __future__ import annotations

_ONE_RUN = ("set", "run", "get:wf=1", "rel")
_AGAIN = ("run", "get:wf=1", "rel")
_READ_AND_FREE = ("msy:out=0,mode=2", "rd", "dm:out=0", "dm:in=0")
_BOTH_DESTROYED = ("destroy:c=1", "destroy")

SEQUENCES: dict[int, tuple[str, ...]] = {
    1: ("init", *_ONE_RUN, "rel", "destroy"),  # outputs released twice
    3: ("init", "set", "run", "get:wf=0", "rel", "get:wf=1", "rel", "destroy"),
    5: ("init", "rel", "destroy"),
    7: ("init", "dup", "set:c=1,seed=3", "run:c=1", "get:c=1,wf=1", "rel:c=1", *_ONE_RUN, *_BOTH_DESTROYED),
    9: (
        *("init", "init:c=1", "set", "set:c=1,seed=9", "run", "run:c=1", "get:wf=1", "rel", "get:c=1,wf=1", "rel:c=1"),
        *("destroy", "destroy:c=1"),
    ),
    11: ("init", "destroy", "run:say=run after destroy"),
    13: ("init", "set:type=3,fmt=2", "run", "get:wf=1", "rel", "destroy"),
    15: ("init", "set:type=0,d=4", "run", "get:wf=1", "rel", "destroy"),
    17: ("init", "set", "run", "set:type=0,seed=2", *_AGAIN, "set:seed=4", *_AGAIN, "destroy"),
    19: ("init", "set:type=2,pt=1", "run", "get:wf=0", "rel", "destroy"),
    21: ("init", "set:n=8", "run", "get:wf=1", "rel", "destroy"),
    23: ("init", "zin", "zout:type=0", "msy:in=0,mode=1", "run", *_READ_AND_FREE, "destroy"),
    25: ("init", "zin", "zout:type=0", "run", "rd", "zout:type=2,as=1", "run", "rd:m=1", "rd", "destroy"),
    27: ("init", "zin", "run", "get:wf=1", "rel", "destroy"),
    29: ("init", "zin", "set:seed=5", "run", "get:wf=1", "rel", "destroy"),
    31: ("init", "mem0", "destroy"),
    33: (
        *("init", "zin", "msy:in=0,mode=0", "msy:in=0,mode=4", "msy:in=0,mode=3", "msy:null=1,mode=1"),
        *("msy:ctx0=1,in=0,mode=1", "destroy"),
    ),
    35: ("init", *(step for seed in (1, 2, 3) for step in (f"set:seed={seed}", "run", "get:wf=1", "rel")), "destroy"),
    37: ("init:say=init null,null=1",),
    39: ("init:say=init nofile,path=/nonexistent.rknn",),
    41: ("init:say=init short,d=-1",),
    43: ("init", "perf", "core", "core:say=core bad,mask=99", "core:say=core ctx0,ctx0=1,mask=1", "batch", "destroy"),
    45: ("init", "wait", "destroy"),
    47: ("init", "shapes", "set", "run", "get:wf=1", "destroy"),
    49: ("init", "pre", "destroy"),
    51: ("init", "zin:type=0", "zout:type=0,fmt=1", "run", "rd", "destroy"),
    53: ("init", "zin:type=1", "zout:type=3", "run", "rd", "destroy"),
    55: ("init", "set:type=9", "run", "set:type=8", "run", "set:type=4", "run", "destroy"),
}
