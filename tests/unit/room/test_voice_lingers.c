// A voice whose sessions linger, and are found by the token of their client's next login.
#include "logins.h"

static unsigned sessions_over, resumes;

static void count_over(struct room_binding *b) {
    ck_assert_str_eq(room_binding_user(b), "ann");
    ck_assert_ptr_nonnull(b->product);
    sessions_over++;
}

static void count_resumed(struct conn *c, struct conn *by) {
    ck_assert(c != by && c->bindings && !by->bindings);
    resumes++;
}

static struct conn *lose_ann(const struct voice *voice) {
    begin(voice);
    product_known();
    sessions_over = resumes = 0;
    log_in(all, 0, 0);
    room_binding_name(binding, "ann", NULL);
    bed.conn->device = hw_strdup("phone");
    broadcast(1, "a");
    close(client);
    turn_loop();
    ck_assert_int_eq(bed.conn->state, CONN_LINGERING);
    struct conn *lost = bed.conn;
    bed_conn(&bed, voice);
    connect_client();
    return lost;
}

static void end_found(struct conn *lost) {
    conn_end(lost);
    turn_loop();
    ck_assert_uint_eq(sessions_over, 1);
    ck_assert_ptr_null(bed.room.lingerers);
    close(client);
    turn_loop();
    bed_conn(&bed, &tiny); // which the end looks for
    end();
    catalog_free(&cluster);
}

static struct voice returning(void) {
    struct voice v = tiny;
    v.lingers = LINGERS_BY_TOKEN;
    v.say_welcome = tiny_say_known;
    v.say_close = tiny_say_no_close;
    v.resumed = count_resumed;
    v.session_over = count_over;
    return v;
}

// A blink: its session goes on where it was, with what it wanted and with the limits of now, and
// has not ended in between.
START_TEST(test_found_by_its_token) {
    static const struct ack_limits slow = {.messages = 1, .bytes = 50};
    const struct voice v = returning();
    struct conn *lost = lose_ann(&v);
    struct hello_request hello = {.device = "phone", .bind_count = 1};
    char *token = token_for("ann");
    broadcast(2, "b");
    hello.bind[0] = (struct bind_request){.token = token, .is_have_good = true, .limits = &slow};
    hello_got_hello(bed.conn, &hello);
    turn_loop();
    ck_assert_uint_eq(resumes, 1);
    ck_assert_uint_eq(sessions_over, 0);
    ck_assert_int_eq(lost->state, CONN_OPEN);
    client_gets("ka"); // a once more, and b when that is acknowledged
    client_says("1");
    client_gets("b!");
    free(token);
    end_found(lost);
}
END_TEST

// Nobody else finds it, nor who begins at the ends.
START_TEST(test_not_found_by_another) {
    const struct voice v = returning();
    struct conn *lost = lose_ann(&v);
    struct bind_terms terms;
    struct bind_request bind = {.is_have_good = true};
    const char *fault;
    char *bob = token_for("bob"), *ann = token_for("ann");
    ck_assert(token_peek(ann, &bind.glance, &fault));
    bed.conn->device = hw_strdup("phone");
    bind.token = bob;
    ck_assert_ptr_null(login_find_lingering(bed.conn, &bind, &terms));
    bind.token = ann;
    ck_assert_ptr_eq(login_find_lingering(bed.conn, &bind, &terms), binding);
    free(terms.tags);
    bed.conn->device[0]++;
    ck_assert_ptr_null(login_find_lingering(bed.conn, &bind, &terms));
    free(bed.conn->device);
    struct hello_request hello = {.device = "phone", .bind_count = 1};
    hello.bind[0] = (struct bind_request){.token = ann, .is_have_good = true, .is_clean = true};
    hello_got_hello(bed.conn, &hello); // there is no place for a binding: it is refused
    turn_loop();
    ck_assert_int_eq(lost->state, CONN_LINGERING);
    ck_assert_uint_eq(resumes, 0);
    free(ann);
    free(bob);
    end_found(lost);
}
END_TEST

RUN_TESTS("a voice that lingers", test_found_by_its_token, test_not_found_by_another)
