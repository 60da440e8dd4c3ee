// A door, over loopback: what strangers say first, however many pieces it comes in and whatever
// lies over their streams, leads to its row of the table or to an end that is counted; and silence
// and crowds are bounded. The kinds of transport here veil each byte, and begin with a byte of
// their own; the protocols are made up.
#include "suite.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "addr.h"
#include "buf.h"
#include "door.h"
#include "veil.h"

enum { PLACES = 8, CROWD = 300, WAIT_MS = 30 };

// --- two kinds of transport

// Its first byte says which veil it is, and is not veiled itself.
static struct transport *veil_begin(const struct door_options *o, const uint8_t *read, size_t len) {
    (void)o;
    return veil_new(read[0], read + 1, len - 1);
}

static struct transport *not_here(const struct door_options *o, const uint8_t *read, size_t len) {
    (void)o;
    (void)read;
    (void)len;
    return NULL;
}

static const struct transport_kind veils = {veil_begin}, unserved = {not_here};
static const struct opening transports[] = {{"\x21", 1, 0, &veils},
                                            {"\x42", 1, 0, &veils},
                                            {"\x43zz", 3, 0, &unserved},
                                            {"\x44", 1, 0, &veils},
                                            {.bytes = NULL}};

// --- the owner

struct guest {
    struct stream *stream;
    const char *speaks;
    struct buf said;
    bool is_over;
};

static struct os *os;
static struct loop *loop;
static struct listener *listener;
static struct door door;
static struct guest guests[PLACES];
static int guest_count, gave_way;
static uint64_t connections, unknown, silent, displaced, silent_since_ms;
static uint64_t wait_ms;

static const struct opening protocols[] = {
    {"ABC1", 4, 4, "abc"}, {"\x10", 1, 0, "packets"}, {.bytes = NULL}};
static const struct opening with_any[] = {
    {"ABC1", 4, 4, "abc"}, {"", 0, 0, "any"}, {.bytes = NULL}};

static size_t guest_on_data(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    struct guest *g = owner;
    (void)s;
    buf_append(&g->said, data, len);
    return len;
}

static void guest_on_closed(void *owner, struct stream *s, int error) {
    struct guest *g = owner;
    (void)s;
    (void)error;
    g->is_over = true;
    connections--;
}

static const struct stream_ops guest_ops = {.on_data = guest_on_data, .on_closed = guest_on_closed};

static void let_in(void *arg, const struct newcomer *n, const struct opening *protocol) {
    (void)arg;
    ck_assert_int_lt(guest_count, PLACES);
    struct guest *g = &guests[guest_count++];
    *g = (struct guest){.stream = n->stream, .speaks = protocol->leads_to};
    connections++;
    stream_set_owner(n->stream, &guest_ops, g);
    stream_send(n->stream, "welcome", 7);
}

static bool give_way(void *arg, uint64_t since_ms) {
    (void)arg;
    silent_since_ms = since_ms;
    for (int i = 0; i < guest_count && gave_way > 0; i++)
        if (!guests[i].is_over) {
            stream_abandon(guests[i].stream);
            guests[i].is_over = true;
            connections--;
            gave_way--;
            return true;
        }
    return false;
}

static void on_accept(void *arg, struct stream *s) {
    (void)arg;
    door_take(&door, s, loop_now_ms(loop), wait_ms);
}

static void open_door(const struct opening *rows, bool gives_way) {
    os = os_new();
    loop = loop_new(os);
    guest_count = gave_way = 0;
    connections = unknown = silent = displaced = 0;
    wait_ms = 60000;
    door_init(&door, &(struct door_options){.loop = loop,
                                            .transports = transports,
                                            .protocols = rows,
                                            .let_in = let_in,
                                            .give_way = gives_way ? give_way : NULL,
                                            .connections_max = PLACES,
                                            .connections = &connections,
                                            .unknown = &unknown,
                                            .silent = &silent,
                                            .displaced = &displaced});
    ck_assert_int_eq(
        listener_new(loop, (struct listen_at){"127.0.0.1", 0, 0}, on_accept, NULL, &listener), 0);
}

static void shut_door(void) {
    listener_free(listener);
    door_deinit(&door);
    door_deinit(&door);
    for (int i = 0; i < guest_count; i++) {
        if (!guests[i].is_over)
            stream_end(guests[i].stream, 0);
        loop_step(loop, 0);
        buf_free(&guests[i].said);
    }
    loop_step(loop, 0);
    ck_assert_uint_eq(connections, 0);
    ck_assert_int_eq(transports_freed, transports_made);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
}

// --- strangers

static int stranger(void) {
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(listener_port(listener)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), at_once = 1;
    ck_assert_int_eq(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof(at_once)), 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

static void turn(int times) {
    for (int i = 0; i < times; i++)
        loop_step(loop, 0);
}

static void says(int fd, const char *bytes, size_t len) {
    ck_assert_int_eq(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
    turn(5);
}

// Nothing was said to it, and it is over.
static bool is_ended(int fd) {
    char byte;
    for (int i = 0; i < 100; i++) {
        ssize_t got = recv(fd, &byte, 1, MSG_DONTWAIT);
        ck_assert_int_ne((int)got, 1);
        if (got == 0 || (got < 0 && errno == ECONNRESET))
            return true;
        loop_step(loop, 1);
    }
    return false;
}

static void check_guest(int at, const char *speaks, const char *said) {
    ck_assert_int_eq(guest_count, at + 1);
    ck_assert_str_eq(guests[at].speaks, speaks);
    ck_assert_uint_eq(guests[at].said.len, strlen(said));
    ck_assert_mem_eq(guests[at].said.data ? guests[at].said.data : (const uint8_t *)"", said,
                     strlen(said));
}

static void veil(uint8_t by, char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)(bytes[i] ^ by);
}

// As a whole, and byte by byte: what is behind the preface is the owner's, at once.
START_TEST(test_protocols) {
    open_door(protocols, false);
    int whole = stranger(), pieces = stranger(), packets = stranger();
    says(whole, "ABC1hello", 9);
    check_guest(0, "abc", "hello");
    for (int i = 0; i < 9; i++) {
        ck_assert_int_eq(guest_count, i < 4 ? 1 : 2);
        says(pieces, &"ABC1hello"[i], 1);
    }
    check_guest(1, "abc", "hello");
    says(packets, "\x10rest", 5);
    check_guest(2, "packets", "\x10rest");
    ck_assert_uint_eq(connections, 3);
    close(whole);
    close(pieces);
    close(packets);
    turn(5);
    shut_door();
}
END_TEST

// A transport that cannot go on before its protocol is known ends it, and is counted; a peer that
// goes away is not.
START_TEST(test_a_transport_that_fails) {
    open_door(protocols, false);
    int fails = stranger(), goes = stranger();
    says(fails, "\x44hello", 6);
    turn(5);
    says(goes, "\x42", 1);
    close(goes);
    turn(5);
    ck_assert_uint_eq(unknown, 1);
    ck_assert_uint_eq(connections, 0);
    ck_assert_int_eq(transports_freed, transports_made);
    close(fails);
    shut_door();
}
END_TEST

// Under one transport, under both, the first bytes in one piece or one by one; the answer is veiled
// as well.
START_TEST(test_transports) {
    for (int layers = 1; layers <= 2; layers++)
        for (int in_pieces = 0; in_pieces < 2; in_pieces++) {
            char text[] = "!BABC1hello", answer[8] = "";
            size_t len = sizeof(text) - 1;
            open_door(protocols, false);
            int fd = stranger();
            char *from = layers == 1 ? text + 1 : text;
            veil(0x42, text + 2, len - 2);
            if (layers == 2)
                veil(0x21, text + 1, len - 1);
            len -= (size_t)(from - text);
            for (size_t i = 0; i < len; i += in_pieces ? 1 : len)
                says(fd, from + i, in_pieces ? 1 : len);
            check_guest(0, "abc", "hello");
            ck_assert_int_eq(transports_made - transports_freed, layers);
            ck_assert_int_eq((int)recv(fd, answer, 7, MSG_DONTWAIT), 7);
            veil(layers == 1 ? 0x42 : 0x42 ^ 0x21, answer, 7);
            ck_assert_str_eq(answer, "welcome");
            close(fd);
            turn(5);
            shut_door();
        }
}
END_TEST

// A transport lies only over those whose rows stand before its own: not over itself, for ever.
START_TEST(test_no_tower) {
    open_door(protocols, false);
    int same = stranger(), below = stranger();
    says(same, "B\0ABC1", 6); // veiled: another B
    ck_assert(is_ended(same));
    says(below,
         "B\x63"
         "ABC1",
         6); // veiled: a !
    ck_assert(is_ended(below));
    ck_assert_uint_eq(unknown, 2);
    ck_assert_int_eq(guest_count, 0);
    close(same);
    close(below);
    shut_door();
}
END_TEST

// What is not served is ended at once and counted: also what is not served behind a transport, or a
// transport that this door does not have.
START_TEST(test_what_is_not_served) {
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {{"GET / HTTP/1.1\r\n", 16},
                 {"\x16\x03\x01\x02", 4},
                 {"AX", 2},
                 {"ABC2", 4},
                 {"\xff", 1},
                 {"\x43zz", 3},
                 {"\x42garbage", 8}};
    open_door(protocols, false);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd = stranger();
        says(fd, cases[i].bytes, cases[i].len);
        ck_assert_msg(is_ended(fd), "case %zu", i);
        ck_assert_uint_eq(unknown, i + 1);
        ck_assert_uint_eq(connections, 0);
        close(fd);
    }
    ck_assert_int_eq(guest_count, 0);
    shut_door();
}
END_TEST

// The longest opening decides: a table may end with what takes any other bytes, as a port for HTTP
// alone.
START_TEST(test_any_bytes) {
    open_door(with_any, false);
    int one = stranger(), other = stranger();
    says(one, "AB", 2);
    ck_assert_int_eq(guest_count, 0);
    says(one, "BA", 2);
    check_guest(0, "any", "ABBA");
    says(other, "GET /", 5);
    check_guest(1, "any", "GET /");
    close(one);
    close(other);
    turn(5);
    shut_door();
}
END_TEST

static void wait_until_silent(uint64_t count) {
    while (silent < count)
        loop_step(loop, -1);
}

// Silence, half an opening, and a byte now and then: all have the one deadline.
START_TEST(test_silence) {
    open_door(protocols, false);
    wait_ms = WAIT_MS;
    int mute = stranger(), half = stranger(), slow = stranger();
    turn(5);
    says(half, "AB", 2);
    for (int i = 0; i < 3 && silent == 0; i++) {
        says(slow, &"ABC"[i], 1);
        loop_step(loop, WAIT_MS / 3);
    }
    wait_until_silent(3);
    ck_assert(is_ended(mute) && is_ended(half) && is_ended(slow));
    ck_assert_uint_eq(connections, 0);
    ck_assert_uint_eq(unknown, 0);
    close(mute);
    close(half);
    close(slow);
    shut_door();
}
END_TEST

enum { AN_HOUR_MS = 3600 * 1000 };
static void hurry(uint64_t deadline_ms, uint64_t within_ms) {
    open_door(protocols, false);
    wait_ms = deadline_ms;
    int fd = stranger();
    turn(5);
    door_hurry(&door, within_ms);
    wait_until_silent(1); // or for an hour
    ck_assert(is_ended(fd));
    close(fd);
    shut_door();
}

START_TEST(test_who_may_wait_long_goes_sooner) {
    hurry(AN_HOUR_MS, WAIT_MS);
}
END_TEST

START_TEST(test_a_sooner_deadline_stays) {
    hurry(WAIT_MS, AN_HOUR_MS);
}
END_TEST

// The deadline is that of the first bytes: who sends nothing behind a transport is silent, too.
START_TEST(test_silence_behind_a_transport) {
    open_door(protocols, false);
    wait_ms = WAIT_MS;
    int fd = stranger();
    turn(5);
    says(fd, "B", 1);
    ck_assert_int_eq(transports_made - transports_freed, 1);
    wait_until_silent(1);
    ck_assert(is_ended(fd));
    close(fd);
    shut_door();
}
END_TEST

// Half an opening, and gone: nothing is left, and nothing is counted.
START_TEST(test_who_goes) {
    open_door(protocols, false);
    for (int i = 0; i < 50; i++) {
        int fd = stranger();
        turn(2);
        if (i % 2)
            says(fd, "ABC", 3);
        close(fd);
        turn(5);
        ck_assert_uint_eq(connections, 0);
    }
    ck_assert_uint_eq(unknown + silent + displaced, 0);
    shut_door();
}
END_TEST

// A crowd that says nothing never fills the house: who says what it speaks is let in, and of the
// silent those go that came first.
START_TEST(test_a_crowd) {
    static int crowd[CROWD];
    open_door(protocols, false);
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = stranger();
        turn(2);
        ck_assert_uint_le(connections, PLACES);
    }
    ck_assert_uint_eq(displaced, CROWD - PLACES);
    ck_assert(is_ended(crowd[0]) && is_ended(crowd[CROWD - PLACES - 1]));
    int fd = stranger();
    says(fd, "ABC1", 4);
    check_guest(0, "abc", "");
    ck_assert_uint_eq(connections, PLACES);
    for (int i = 0; i < CROWD; i++)
        close(crowd[i]);
    close(fd);
    turn(5);
    shut_door();
}
END_TEST

static int fill(int fds[PLACES]) {
    for (int i = 0; i < PLACES; i++) {
        fds[i] = stranger();
        turn(2);
        says(fds[i], "ABC1", 4);
    }
    return guest_count;
}

// A house full of guests: the newcomer is turned away, or one of them gives way, as the owner says;
// and the owner is told who has waited longest at the door.
START_TEST(test_a_full_house) {
    int fds[PLACES];
    for (int ways = 0; ways < 2; ways++) {
        open_door(protocols, ways > 0);
        ck_assert_int_eq(fill(fds), PLACES);
        gave_way = ways;
        int fd = stranger();
        turn(5);
        ck_assert_uint_eq(displaced, 1);
        ck_assert_int_eq(guests[0].is_over, ways > 0);
        ck_assert(ways > 0 || is_ended(fd));
        ck_assert_uint_eq(connections, PLACES);
        if (ways)
            ck_assert_uint_eq(silent_since_ms, UINT64_MAX);
        close(fd);
        for (int i = 0; i < PLACES; i++)
            close(fds[i]);
        turn(5);
        shut_door();
    }
}
END_TEST

// Who gives way has been silent for as long as the one who waits at the door, or longer.
START_TEST(test_who_waits_longest) {
    int fds[PLACES];
    open_door(protocols, true);
    for (int i = 0; i < PLACES - 1; i++) {
        fds[i] = stranger();
        turn(2);
        says(fds[i], "ABC1", 4);
    }
    uint64_t before_ms = loop_now_ms(loop);
    int waits = stranger();
    turn(5);
    uint64_t after_ms = loop_now_ms(loop);
    fds[PLACES - 1] = stranger();
    turn(5);
    ck_assert_uint_ge(silent_since_ms, before_ms);
    ck_assert_uint_le(silent_since_ms, after_ms);
    ck_assert(is_ended(waits)); // since nobody gave way
    ck_assert_uint_eq(connections, PLACES);
    close(waits);
    for (int i = 0; i < PLACES; i++)
        close(fds[i]);
    turn(5);
    shut_door();
}
END_TEST

// A part of what a transport begins with waits for the rest, though no protocol begins so.
START_TEST(test_half_a_transport) {
    open_door(protocols, false);
    int fd = stranger();
    for (int i = 0; i < 2; i++) {
        says(fd, &"\x43z"[i], 1);
        ck_assert_uint_eq(connections, 1);
        ck_assert_uint_eq(unknown, 0);
    }
    says(fd, "z", 1); // whole, and not served
    ck_assert(is_ended(fd));
    ck_assert_uint_eq(unknown, 1);
    close(fd);
    shut_door();
}
END_TEST

RUN_TESTS("door", test_protocols, test_a_transport_that_fails, test_transports, test_no_tower,
          test_what_is_not_served, test_any_bytes, test_silence, test_who_may_wait_long_goes_sooner,
          test_a_sooner_deadline_stays, test_silence_behind_a_transport, test_who_goes,
          test_a_crowd, test_a_full_house, test_who_waits_longest, test_half_a_transport)
