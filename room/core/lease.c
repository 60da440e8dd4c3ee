#include "lease.h"

void lease_init(struct lease *l) {
    *l = (struct lease){.round = 1};
}

void lease_lost(struct lease *l) {
    l->required = ++l->round;
}

void lease_confirm_again(struct lease *l) {
    l->round++;
}

uint32_t lease_round(const struct lease *l) {
    return l->is_held ? l->round : l->round - 1;
}
