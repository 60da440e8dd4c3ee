// What became of a message, from what MariaDB says and what log and devices show: each way they may
// differ, and a user's messages out of both.
#include "../suite.h"

#include <string.h>

#include "client.pb-c.h"
#include "outcome.h"
#include "streams.h"

#define STATE(name) HAWSER__INTERNAL__OUTCOME_STATE__STATE_##name
#define GAP(name) HAWSER__V1__GAP_REASON__GAP_##name

// Two devices, a at seq 4 and b at seq 6 of epoch 9; 3 is a dead letter; a passes over 5, which b
// has parked for it.
static Hawser__Internal__UserReply kept = HAWSER__INTERNAL__USER_REPLY__INIT;
static Hawser__Internal__UserDevice device[2];
static Hawser__Internal__StreamPosition position[2];
static uint64_t letters[] = {3};

static void kept_make(void) {
    static char names[2][2] = {"a", "b"};
    static Hawser__Internal__UserDevice *devices[] = {&device[0], &device[1]};
    static Hawser__Internal__StreamPosition *at[] = {&position[0], &position[1]};
    for (int i = 0; i < 2; i++) {
        hawser__internal__user_device__init(&device[i]);
        hawser__internal__stream_position__init(&position[i]);
        device[i].device = names[i];
        device[i].position = &at[i];
        device[i].n_position = 1;
        position[i].stream = STREAM_INBOX;
        position[i].epoch = 9;
        position[i].seq = i ? 6 : 4;
    }
    device[0].tried = 5;
    device[0].attempts = 5;
    device[0].passed_over = true;
    kept.device = devices;
    kept.n_device = 2;
    kept.epoch = 9;
    kept.head = 9;
    kept.handled = 6;
    kept.letter = letters;
    kept.n_letter = 1;
}

struct seen {
    uint64_t seq;
    int row;          // its state in MariaDB; -1: no row
    int gap;          // why it left the log; -1: it is there; -2: the log is not there
    const char *only; // the device that it is for; NULL: all
    const char *want; // its state, and that of each device
};
static const struct seen seen[] = {
    {1, STATE(ACKED), -2, NULL, "acked a:acked b:unknown"},
    {2, STATE(PENDING), -1, NULL, "acked a:acked b:acked"},
    {3, STATE(PENDING), -1, NULL, "parked a:unknown b:unknown"},
    {5, STATE(PENDING), -1, NULL, "acked a:parked b:acked"},
    {7, STATE(PENDING), -1, NULL, "pending a:pending b:pending"},
    {7, -1, -1, NULL, "pending a:pending b:pending"},
    {5, -1, -1, "a", "pending a:parked"},
    {4, -1, -1, "a", "acked a:acked"},
    {4, -1, -1, "c", "pending c:pending"},
    {7, STATE(PENDING), GAP(EXPIRED), NULL, "expired a:expired b:expired"},
    {5, STATE(PENDING), GAP(OVERFLOWED), NULL, "unknown a:overflowed b:unknown"},
    {5, STATE(OVERFLOWED), GAP(OVERFLOWED), NULL, "overflowed a:overflowed b:unknown"},
    {5, STATE(PENDING), GAP(COLLAPSED), NULL, "collapsed a:collapsed b:unknown"},
    {7, STATE(PENDING), GAP(RECALLED), NULL, "recalled a:recalled b:recalled"},
    {7, STATE(PENDING), GAP(PARKED), NULL, "parked a:parked b:parked"},
    {4, STATE(PENDING), GAP(UNKNOWN), NULL, "acked a:acked b:acked"},
    {5, STATE(PENDING), GAP(UNKNOWN), NULL, "unknown a:unknown b:unknown"},
    {7, STATE(PENDING), GAP(STORE_RESTARTED), NULL, "unknown a:unknown b:unknown"},
    {7, STATE(PENDING), -2, NULL, "unknown a:unknown b:unknown"},
    {2, STATE(PARKED), -2, NULL, "parked a:parked b:unknown"},
};
enum { SEEN = sizeof(seen) / sizeof(seen[0]) };

START_TEST(test_state) {
    const struct seen *s = &seen[_i];
    Hawser__Internal__Outcome row = HAWSER__INTERNAL__OUTCOME__INIT;
    Hawser__Internal__StoredMessage m = HAWSER__INTERNAL__STORED_MESSAGE__INIT;
    Hawser__Internal__LoadEntry e = HAWSER__INTERNAL__LOAD_ENTRY__INIT;
    char *only = (char *)(uintptr_t)s->only;
    char got[200];
    kept_make();
    row.state = (Hawser__Internal__OutcomeState)s->row;
    row.epoch = 9;
    row.seq = e.seq = e.last = s->seq;
    row.ended_ms = 1000;
    bool is_by_device = s->row == STATE(ACKED) || s->row == STATE(PARKED);
    static char names_of_end[2][2] = {"", "a"};
    row.device = names_of_end[is_by_device];
    m.device = &only;
    m.n_device = s->only ? 1 : 0;
    e.message = s->gap == -1 ? &m : NULL;
    e.gap_reason = s->gap > 0 ? (uint32_t)s->gap : 0;
    const struct outcome_of o = {s->row >= 0 ? &row : NULL, &kept, s->gap == -2 ? NULL : &e,
                                 s->seq};
    json_t *json = outcome_json(&o), *d;
    size_t i, len;
    len =
        (size_t)snprintf(got, sizeof(got), "%s", json_string_value(json_object_get(json, "state")));
    json_array_foreach(json_object_get(json, "devices"), i, d) len += (size_t)snprintf(
        got + len, sizeof(got) - len, " %s:%s", json_string_value(json_object_get(d, "device")),
        json_string_value(json_object_get(d, "state")));
    json_decref(json);
    ck_assert_msg(strcmp(got, s->want) == 0, "%s, not %s", got, s->want);
}
END_TEST

// Rows and log, each with what the other one lacks: "seq seq next N".
static const char *page_text(const struct outcome_page *page) {
    static char text[200];
    uint64_t next;
    json_t *items = outcome_page_json(page, &next), *item;
    size_t i, len = 0;
    json_array_foreach(items, i, item) len +=
        (size_t)snprintf(text + len, sizeof(text) - len, "%lld ",
                         (long long)json_integer_value(json_object_get(item, "seq")));
    snprintf(text + len, sizeof(text) - len, "next %llu", (unsigned long long)next);
    json_decref(items);
    return text;
}

START_TEST(test_page) {
    static const uint64_t row_seqs[] = {2, 3, 3, 5, 8};
    Hawser__Internal__Outcome rows[5], *row_list[5];
    Hawser__Internal__LoadEntry entries[4], *entry_list[4];
    Hawser__Internal__StoredMessage m = HAWSER__INTERNAL__STORED_MESSAGE__INIT;
    Hawser__Internal__OutcomesReply from_rows = HAWSER__INTERNAL__OUTCOMES_REPLY__INIT;
    Hawser__Internal__LoadReply log = HAWSER__INTERNAL__LOAD_REPLY__INIT;
    kept_make();
    for (int i = 0; i < 5; i++) {
        hawser__internal__outcome__init(row_list[i] = &rows[i]);
        rows[i].seq = row_seqs[i];
        rows[i].epoch = i == 2 ? 1 : 9;
        rows[i].state = STATE(PENDING);
    }
    for (int i = 0; i < 4; i++) { // a gap up to 4, then 5, 6 and 9
        hawser__internal__load_entry__init(entry_list[i] = &entries[i]);
        entries[i].seq = entries[i].last = i == 0 ? 1 : i == 3 ? 9 : (uint64_t)i + 4;
        entries[i].message = i > 0 ? &m : NULL;
    }
    entries[0].last = 4;
    from_rows.outcome = row_list;
    from_rows.n_outcome = 5;
    log.entry = entry_list;
    log.n_entry = 4;
    log.epoch = log.head = 9;
    struct outcome_page page = {&from_rows, &kept, &log, 100, STATE(UNKNOWN), true};
    ck_assert_str_eq(page_text(&page), "2 3 3 5 6 8 9 next 0");
    page.limit = 2;
    ck_assert_str_eq(page_text(&page), "2 3 3 next 3");
    page.limit = 100;
    from_rows.more = true;
    ck_assert_str_eq(page_text(&page), "2 3 3 5 6 8 next 8");
    log.head = 20;
    log.n_entry = 2;
    ck_assert_str_eq(page_text(&page), "2 3 3 5 next 5");
    page.is_all = false;
    page.state = STATE(EXPIRED);
    ck_assert_str_eq(page_text(&page), "next 5");
    page.log = NULL;
    page.is_all = true;
    from_rows.more = false;
    ck_assert_str_eq(page_text(&page), "2 3 3 5 8 next 0");
}
END_TEST

// Of a job: how far it is and who was refused says the job, what became of the rest the rows.
START_TEST(test_of_a_job) {
    json_t *status = json_pack("{s:s, s:s, s:{s:i, s:i}, s:i}", "state", "done", "class", "stored",
                               "counts", "targets", 90, "acked", 7, "progress", 1);
    json_t *job = json_pack("{s:s, s:{s:i, s:i}, s:f}", "state", "running", "counts", "targets",
                            150, "rejected", 2, "progress", 0.6);
    json_t *both = outcome_of_job_json(status, job);
    json_t *expected =
        json_pack("{s:s, s:s, s:{s:i, s:i, s:i}, s:f}", "state", "running", "class", "stored",
                  "counts", "targets", 150, "rejected", 2, "acked", 7, "progress", 0.6);
    ck_assert(json_equal(both, expected));
    json_decref(both);
    json_decref(expected);
    status = json_pack("{s:s}", "state", "done");
    ck_assert_ptr_eq(outcome_of_job_json(status, NULL), status);
    json_decref(status);
}
END_TEST

START_TEST(test_names) {
    Hawser__Internal__OutcomeState state;
    ck_assert(outcome_by_name("parked", &state));
    ck_assert_int_eq((int)state, (int)STATE(PARKED));
    ck_assert(!outcome_by_name("", &state));
    ck_assert_str_eq(outcome_name((Hawser__Internal__OutcomeState)99), "unknown");
}
END_TEST

int main(void) {
    TCase *test_case = tcase_create("outcome");
    tcase_add_loop_test(test_case, test_state, 0, SEEN);
    tcase_add_test(test_case, test_page);
    tcase_add_test(test_case, test_of_a_job);
    tcase_add_test(test_case, test_names);
    return run_case("outcome", test_case);
}
