// A small file for others to find, such as the ports of a daemon that is ready: it is there whole,
// or not at all.
#ifndef HW_PUBLISH_H
#define HW_PUBLISH_H

#include <sys/types.h>

#include "buf.h"

// Written beside path and renamed. 0 or a negative errno.
int publish(const char *path, const struct buf *text, mode_t mode) HW_MUST_CHECK;

#endif
