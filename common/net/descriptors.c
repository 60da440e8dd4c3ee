#include "descriptors.h"

// Half of few; an eighth of many, since links grow with the cluster and not with the limit.
enum { DESCRIPTORS_KEPT_MIN = 256, DESCRIPTORS_KEPT_MAX = 2048 };

static uint32_t kept_back(uint32_t limit) {
    if (limit <= 2 * DESCRIPTORS_KEPT_MIN)
        return limit / 2;
    uint32_t kept = limit / 8;
    return kept < DESCRIPTORS_KEPT_MIN   ? DESCRIPTORS_KEPT_MIN
           : kept > DESCRIPTORS_KEPT_MAX ? DESCRIPTORS_KEPT_MAX
                                         : kept;
}

uint32_t descriptors_for_clients(uint32_t limit) {
    uint32_t count = limit - kept_back(limit);
    return count > 0 ? count : 1;
}

uint32_t descriptors_ceiling(uint32_t limit, enum door_kind door) {
    uint32_t kept = kept_back(limit);
    switch (door) {
    case DOOR_CLIENTS:
        return limit - kept / 2;
    case DOOR_DAEMONS:
        return limit - kept / 4;
    case DOOR_OPS:
        return limit - kept / 8;
    }
    return limit;
}
