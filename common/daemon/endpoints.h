// Where clients are told to go: what an advertise list of the configuration says, or the address
// that is bound, as the directory has it.
#ifndef HW_ENDPOINTS_H
#define HW_ENDPOINTS_H

#include "daemon.h"

enum { ENDPOINTS_MAX = 8, ENDPOINT_IDC_MAX = 255 }; // of the configuration

struct endpoints {
    int count; // 1 at least
    Hawser__Internal__MemberEndpoint all[ENDPOINTS_MAX];
    Hawser__Internal__MemberEndpoint *list[ENDPOINTS_MAX]; // for a Member
    char hosts[ENDPOINTS_MAX][HOST_MAX + 1];
    char idcs[ENDPOINTS_MAX][ENDPOINT_IDC_MAX + 1];
    uint32_t transport;
};

// key: "section.key" of a list of host[:port][@idc]. What an item leaves out is that of where we
// are bound, and cluster.idc. e points into itself: it is not copied.
void endpoints_take(struct endpoints *e, const struct daemon_env *env, const char *key,
                    const struct host_port *bound);

#endif
