// What a room encodes and decodes in. Nothing of it lasts: each use finds it empty, or makes it so.
#ifndef HW_SCRATCH_H
#define HW_SCRATCH_H

#include "arena.h"
#include "buf.h"
#include "frame_run.h"

struct scratch {
    struct arena arena;     // of one frame's decoding
    struct buf frame;       // on its way out
    struct buf run;         // frames being encoded: of a load, a delivery or a broadcast
    struct frame_run items; // of run
};

#endif
