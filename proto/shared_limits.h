// Limits that several daemons go by, and that must be the same in all of them.
#ifndef HW_SHARED_LIMITS_H
#define HW_SHARED_LIMITS_H

#include <stdint.h>

enum {
    NAME_BYTES_MAX = 64, // of a user's or a device's name, and of a message's id
    ROW_TEXT_MAX = 255,  // of a daemon's id or a client's address in a register's row
    SUMS_ID_BYTES = 16,  // of a center's report of sums
    JOB_PARTS_MAX = 64,  // of a job
    JOB_LEASE_MS = 5000, // of a part
};
// A device that was not seen for so long gives up its place at the register, and its positions at
// the saver.
#define DEVICE_FORGOTTEN_MS (UINT64_C(30) * 24 * 3600 * 1000)

#endif
