// The folder of a run: what its daemons write is in it, and goes with it. A run that is killed
// cannot clear up, so the next one does that for it: whoever runs holds a lock in its folder.
#ifndef BENCH_FOLDER_H
#define BENCH_FOLDER_H

#include "buf.h"

struct folder {
    char path[128]; // "": none
    int lock;       // a descriptor, held until folder_remove
};

// In TMPDIR, or /tmp. Removes those that killed runs of this user have left there. 0, or -1 with
// the reason in error.
int folder_make(struct folder *f, struct buf *error) HW_MUST_CHECK;
void folder_remove(struct folder *f); // with all that is in it

#endif
