// The contract of the stores: each case runs against each of them, on an empty one.
#include "../suite.h"
#include "contract_append.h"
#include "contract_collapse.h"
#include "contract_devices.h"
#include "contract_history.h"
#include "contract_jobs.h"
#include "contract_parked.h"
#include "contract_random.h"
#include "contract_recall.h"
#include "redis_server.h"

static void memory_next_history(struct bed *b) {
    static uint64_t history = 1;
    saver_store_memory_is_of(b->store, ++history);
}

static const struct store_factory factories[] = {
    {"memory", saver_store_memory, NULL, memory_next_history},
    {"redis", redis_open, redis_close, redis_next_history},
};
enum { FACTORIES = sizeof(factories) / sizeof(factories[0]) };

static const struct {
    const char *name;
    void (*run)(struct bed *b);
} cases[] = {
    {"seqs", case_seqs},
    {"bytes", case_bytes},
    {"order of checks", case_order_of_checks},
    {"keys of a product", case_keys_of_a_product},
    {"claims", case_claims},
    {"reject new", case_reject_new},
    {"overflow", case_overflow},
    {"expiry", case_expiry},
    {"times", case_times},
    {"load limits", case_load_limits},
    {"many ranges", case_many_ranges},
    {"range bound", case_range_bound},
    {"another history", case_another_history},
    {"bound of a jump", case_bound_of_a_jump},
    {"reset", case_reset},
    {"attach", case_attach},
    {"attach reset", case_attach_reset},
    {"arrivals", case_arrivals},
    {"known", case_known},
    {"displaced", case_displaced},
    {"known devices", case_known_devices},
    {"acks", case_acks},
    {"leaves", case_leaves},
    {"named", case_named},
    {"broadcasts", case_broadcasts},
    {"sums", case_sums},
    {"attempts", case_attempts},
    {"park limits", case_park_limits},
    {"attempts forgotten", case_attempts_forgotten},
    {"parked for one", case_parked_for_one},
    {"parked but handled", case_parked_but_handled},
    {"parked, named", case_parked_named},
    {"dead letters", case_dead_letters},
    {"dead letters end", case_dead_letters_end},
    {"collapse", case_collapse},
    {"collapse, handled", case_collapse_handled},
    {"collapse, named", case_collapse_named},
    {"collapse keys", case_collapse_keys},
    {"collapse, full", case_collapse_full},
    {"collapse, late", case_collapse_late},
    {"jobs", case_jobs},
    {"job leases", case_job_leases},
    {"job repeats", case_job_repeats},
    {"jobs full", case_jobs_full},
    {"jobs listed", case_jobs_listed},
    {"recall", case_recall},
    {"recall, handled", case_recall_handled},
    {"recall, broadcast", case_recall_broadcast},
    {"recall, long", case_recall_long},
    {"inboxes", case_inboxes},
    {"random", case_random},
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

START_TEST(test_contract) {
    const struct store_factory *factory = &factories[_i / CASES];
    struct bed b;
    printf("%s: %s\n", factory->name, cases[_i % CASES].name);
    fflush(stdout);
    bed_open(&b, factory);
    cases[_i % CASES].run(&b);
    bed_close(&b);
}
END_TEST

int main(void) {
    TCase *contract = tcase_create("contract");
    tcase_add_loop_test(contract, test_contract, 0, FACTORIES * CASES);
    return run_case("store", contract);
}
