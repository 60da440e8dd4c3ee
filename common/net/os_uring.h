// Many sends in one call of the kernel (io_uring), for os_linux.c alone. A send enters and leaves
// the kernel, which is a third of what a short one costs where that goes through a hypervisor; a
// ring does it once for all. Nothing here waits for a peer: every send is done, or refused, when
// the call returns, so that no buffer and no descriptor is in use behind it.
#ifndef HW_OS_URING_H
#define HW_OS_URING_H

#include "os.h"

struct uring;

// NULL: this kernel has none, or does not let us (many containers do not).
struct uring *uring_new(void);
void uring_free(struct uring *u); // NULL too
// At most OS_WRITES_MAX of them. How many were begun, from the front; if that is not all, the ring
// is of no use any more, and the rest was not touched.
int uring_send(struct uring *u, struct os_write *writes, int count);

#endif
