// Which register is asked, and why it may be that none will ever answer.
#include "cluster_internal.h"

enum link_state link_state_of(struct rpc_link *link) {
    return !rpc_link_is_up(link) ? LINK_DOWN : rpc_link_is_silent(link) ? LINK_SILENT : LINK_UP;
}

// The first of the best, from the one that was asked last.
struct rpc_link *cluster_register(struct cluster *c) {
    int best = c->current;
    for (int i = 1; i < c->register_count; i++) {
        int at = (c->current + i) % c->register_count;
        if (link_state_of(c->registers[at]) > link_state_of(c->registers[best]))
            best = at;
    }
    c->current = best;
    return c->registers[best];
}

static bool link_failed_by(const struct rpc_link *link, int error) {
    return strcmp(rpc_link_last_error(link), hw_strerror(error)) == 0;
}

// Of both, the wrong address is said first: whoever answers there may have another secret too.
const char *cluster_hopeless(const struct cluster *c) {
    bool is_elsewhere = false;
    for (int i = 0; i < c->register_count; i++) {
        bool is_other = link_failed_by(c->registers[i], -HW_EROLE);
        if (!is_other && !link_failed_by(c->registers[i], -HW_EAUTH))
            return NULL;
        is_elsewhere = is_elsewhere || is_other;
    }
    return is_elsewhere ? "cluster.registers: another kind of daemon answers there"
                        : "cluster.secrets: the registers have another secret";
}
