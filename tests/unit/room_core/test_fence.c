// Two sessions of one (product, user, device) in two rooms, each with a login, a confirmation and
// the notice that the other was told of it, in every order in which the register can do them and
// their answers and notices can come. The register is a plain oracle: it knows whose login it did
// last.
#include "suite.h"

#include <string.h>

#include "session.h"

enum { FLIGHT_MAX = 16, ROUNDS = 8 };

struct row { // at the register
    uint64_t generation, login_generation;
    int holder; // 0: nobody
};

enum kind { LOGIN_DONE, LOGIN_ANSWERED, CONFIRM_DONE, CONFIRM_ANSWERED, NOTICED, CHANGED, DROPPED };
struct flight { // what is on its way; done or read in any order
    enum kind kind;
    int who; // 1 or 2
    uint64_t generation, login_generation;
    struct session_row_answer row;
    struct session_confirmed confirmed;
};

struct world {
    struct session s[3]; // 1 and 2
    uint32_t over[3];    // with which code
    int confirmations_left[3];
    struct row row;
    uint64_t next, now_ms;
    int logged_in_last; // by the register's order
    struct flight flight[FLIGHT_MAX];
    int count;
};

static struct lease lease;
static long leaves;

static void add(struct world *w, const struct flight *f) {
    ck_assert_int_lt(w->count, FLIGHT_MAX);
    w->flight[w->count++] = *f;
}

// --- the register

static struct session_row row_of(const struct row *r, int who) {
    if (r->holder == 0 || r->holder == who)
        return (struct session_row){0};
    return (struct session_row){(uint64_t)r->holder, (uint64_t)r->holder, r->generation};
}

static void do_login(struct world *w, const struct flight *f) {
    struct flight answer = {.kind = LOGIN_ANSWERED, .who = f->who};
    answer.row.replaced = row_of(&w->row, f->who);
    answer.row.generation = w->next += 10;
    w->row = (struct row){w->next, w->next, f->who};
    w->logged_in_last = f->who;
    add(w, &answer);
}

static void do_confirm(struct world *w, const struct flight *f) {
    struct flight answer = {.kind = CONFIRM_ANSWERED, .who = f->who};
    struct session_confirmed *c = &answer.confirmed;
    struct row *r = &w->row;
    bool own = r->holder == f->who, above = r->generation > f->generation && r->holder != 0;
    c->is_answer = true;
    if (above && !own && r->login_generation >= f->login_generation) {
        c->answer = (struct fence_answer){FENCE_HIGHER, r->generation};
    } else if (own && r->generation >= f->generation) {
        bool same = r->generation == f->generation;
        c->answer = (struct fence_answer){same ? FENCE_HELD : FENCE_REWRITTEN, r->generation};
    } else {
        c->replaced = row_of(r, f->who);
        *r = (struct row){w->next += 10, f->login_generation, f->who};
        c->answer = (struct fence_answer){FENCE_REWRITTEN, r->generation};
    }
    add(w, &answer);
}

// --- the sessions

static void step(struct world *w, int who, const struct session_event *e);

static void ask(struct world *w, int who, enum kind kind) {
    const struct fence *f = &w->s[who].fence;
    add(w, &(struct flight){.kind = kind,
                            .who = who,
                            .generation = f->generation,
                            .login_generation = f->login_generation});
}

static void carry_out(struct world *w, int who, const struct session_effect *e) {
    if (e->kind == EFFECT_ENTER)
        ask(w, who, LOGIN_DONE);
    if (e->kind == EFFECT_CONFIRM)
        ask(w, who, CONFIRM_DONE);
    if (e->kind == EFFECT_DROP_ROW)
        ask(w, who, DROPPED);
    if (e->kind == EFFECT_TELL_REPLACED)
        add(w, &(struct flight){.kind = NOTICED,
                                .who = (int)e->of.row.slot,
                                .generation = e->of.row.generation});
    if (e->kind == EFFECT_TELL_CHANGED)
        add(w, &(struct flight){.kind = CHANGED, .who = (int)e->of.row.slot});
    if (e->kind == EFFECT_ATTACH)
        step(w, who, &(struct session_event){.kind = EVENT_ATTACHED});
    if (e->kind == EFFECT_SETTLED && w->s[who].state == SESSION_ACCEPTED)
        step(w, who, &(struct session_event){.kind = EVENT_TOLD});
    if (e->kind == EFFECT_OVER)
        w->over[who] = e->of.refusal.code;
}

static void step(struct world *w, int who, const struct session_event *e) {
    struct session *s = &w->s[who];
    struct session_env env = {.now_ms = w->now_ms, .lease = &lease, .socket_takes = true};
    struct session_effects out = {.count = 0};
    (void)session_step(s, e, &env, &out);
    for (size_t i = 0; i < out.count; i++)
        carry_out(w, who, &out.list[i]);
    if (s->state == SESSION_REFUSED)
        w->over[who] = s->refusal.code;
    if (w->over[who] && s->state != SESSION_GONE)
        step(w, who, &(struct session_event){.kind = EVENT_ENDED});
}

static void arrive(struct world *w, const struct flight *f) {
    struct session_event e = {.kind = EVENT_ROW};
    switch (f->kind) {
    case LOGIN_DONE:
        do_login(w, f);
        return;
    case CONFIRM_DONE:
        do_confirm(w, f);
        return;
    case DROPPED:
        if (w->row.holder == f->who && w->row.generation == f->generation)
            w->row.holder = 0;
        return;
    case LOGIN_ANSWERED:
        e.of.row = f->row;
        break;
    case CONFIRM_ANSWERED:
        e.kind = EVENT_CONFIRMED;
        e.of.confirmed = f->confirmed;
        break;
    case NOTICED:
        e.kind = EVENT_NOTICED;
        e.of.notice.generation = f->generation;
        e.of.notice.refusal.code = 4001;
        break;
    case CHANGED:
        e.kind = EVENT_ROW_CHANGED;
        break;
    }
    step(w, f->who, &e);
}

// --- every order

static void confirm(struct world *w, int who) {
    step(w, who, &(struct session_event){.kind = EVENT_CONFIRM_DUE});
}

static void settle(struct world *w) {
    for (int round = 0; round < ROUNDS; round++) {
        while (w->count > 0) {
            struct flight f = w->flight[0];
            memmove(w->flight, w->flight + 1, (size_t)--w->count * sizeof(f));
            arrive(w, &f);
        }
        w->now_ms += FENCE_APART_MS;
        for (int who = 1; who <= 2; who++)
            confirm(w, who);
    }
}

static void check(struct world *w) {
    int last = w->logged_in_last, first = 3 - last;
    settle(w);
    leaves++;
    ck_assert_msg(w->s[last].state == SESSION_LIVE, "%d, whose login was done last, is %s (%u)",
                  last, session_state_name(w->s[last].state), w->over[last]);
    ck_assert_uint_eq(w->over[first], 4001);
    ck_assert_int_eq(w->s[first].state, SESSION_GONE);
    ck_assert_int_eq(w->row.holder, last);
    ck_assert_uint_eq(w->row.generation, w->s[last].fence.generation);
}

static void try_all(const struct world *w) {
    for (int i = 0; i < w->count; i++) {
        struct world next = *w;
        struct flight f = next.flight[i];
        next.count--;
        memmove(&next.flight[i], &next.flight[i + 1],
                (size_t)(next.count - i) * sizeof(next.flight[0]));
        arrive(&next, &f);
        try_all(&next);
    }
    for (int who = 1; who <= 2; who++) {
        if (w->s[who].state != SESSION_LIVE || w->confirmations_left[who] == 0)
            continue;
        struct world next = *w;
        next.confirmations_left[who]--;
        confirm(&next, who);
        try_all(&next);
    }
    if (w->count == 0) {
        struct world end = *w;
        check(&end);
    }
}

static void begin(struct world *w) {
    struct session_terms terms = {.limits = NULL};
    lease_init(&lease);
    lease.is_held = true;
    *w = (struct world){.next = 100, .now_ms = 1000000};
    for (int who = 1; who <= 2; who++) {
        session_init(&w->s[who], &terms, &lease);
        step(w, who, &(struct session_event){.kind = EVENT_ADMITTED});
    }
    w->confirmations_left[1] = 1;
    w->confirmations_left[2] = 1;
}

// Who logged in last has the row and lives, the other is told 4001, whatever came when.
START_TEST(test_every_order) {
    struct world w;
    begin(&w);
    try_all(&w);
    ck_assert_int_gt(leaves, 1000);
}
END_TEST

RUN_TESTS("fence", test_every_order)
