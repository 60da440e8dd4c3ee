// After the faults: what takes a moment when nothing is wrong takes no more than that. A way that
// is broken, but is made good by a repair half a minute later, shows here.
#include "run.h"

enum { AT_ONCE_US = 3000000 };

static bool takeovers_are_done(struct run *r) {
    for (int i = DEVICES; i < CLIENTS; i++)
        if (!client_is_settled(&r->clients[i]) && !client_is_throttled(&r->clients[i]))
            return false;
    return true;
}

// The installation that lost takes its device back, and the other hears of it.
void quiet_takeovers(struct run *r) {
    for (int i = DEVICES; i < CLIENTS; i++) {
        struct client *twin = &r->clients[i], *other = twin->rival;
        bool has_it = twin->sdk && !twin->is_out[twin->bindings[0].product];
        client_take_over(has_it ? other : twin);
    }
    bool in_time = wait_for(r, AT_ONCE_US, takeovers_are_done);
    for (int i = DEVICES; i < CLIENTS && !in_time; i++)
        if (!client_is_settled(&r->clients[i]) && !client_is_throttled(&r->clients[i])) {
            violation(r, "a takeover of %s takes too long", r->clients[i].device);
            inspect_client(r, r->clients[i].device);
        }
    if (!wait_for(r, THROTTLED_US, clients_are_synced))
        violation(r, "a device is not settled after its takeover");
}

static bool pushes_are_done(struct run *r) {
    return workload_is_over(r) && everything_arrived(r, false);
}

void quiet_pushes(struct run *r) {
    push_to_all(r);
    if (!wait_for(r, AT_ONCE_US, pushes_are_done)) {
        violation(r, "a push takes too long");
        everything_arrived(r, true);
    }
}
