// The small things everything stands on: bytes, UTF-8, buffers, slab, SipHash's reference vector.
#include "suite.h"

#include "arena.h"
#include "buf.h"
#include "bytes.h"
#include "crypto.h"
#include "rng.h"
#include "slab.h"
#include "wire.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *text;
    size_t len;
    bool valid, control;
} utf8_cases[] = {
    {"plain", 5, true, false},
    {"\xC3\xA9", 2, true, false},
    {"\xF0\x9F\x9A\xA2", 4, true, false},
    {"a\x1F", 2, true, true},
    {"\xC2\x85", 2, true, true},
    {"\x7F", 1, true, true},
    {"\xC0\x80", 2, false, false},
    {"\xED\xA0\x80", 3, false, false},
    {"\xF4\x90\x80\x80", 4, false, false},
    {"\xC3", 1, false, false},
    {"\x80", 1, false, false},
    {"\xE0\x80\x80", 3, false, false},
};

START_TEST(test_utf8) {
    for (size_t i = 0; i < sizeof(utf8_cases) / sizeof(utf8_cases[0]); i++) {
        bool control = false;
        bool valid =
            utf8_is_valid((const uint8_t *)utf8_cases[i].text, utf8_cases[i].len, &control);
        ck_assert_msg(valid == utf8_cases[i].valid && control == utf8_cases[i].control, "case %zu",
                      i);
    }
    ck_assert(!id_is_valid("", 0, 64));
    ck_assert(product_name_is_valid("a-b_1", 5) && !product_name_is_valid("-a", 2));
    ck_assert(!product_name_is_valid("A", 1) && !product_name_is_valid("", 0));
}
END_TEST

// What came from outside, or was cut, is UTF-8 afterwards, and no longer.
START_TEST(test_utf8_mend) {
    static const struct {
        const char *text, *mended;
    } cases[] = {
        {"", ""},
        {"abc", "abc"},
        {"\xc3\xa9", "\xc3\xa9"},
        {"a\xc3", "a"},
        {"a\xe2\x82", "a"},
        {"a\xf0\x9f\x98", "a"},
        {"\xff", "?"},
        {"a\xffz", "a?z"},
        {"\xc3z", "?z"},
        {"\xed\xa0\x80", "???"},
        {"\xa9", "?"},
        {"\xc3\xc3", "?"},
    };
    char text[16];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text), "%s", cases[i].text);
        utf8_mend(text);
        ck_assert_msg(strcmp(text, cases[i].mended) == 0, "case %zu: '%s'", i, text);
    }
}
END_TEST

START_TEST(test_integers_and_hex) {
    uint8_t bytes[8], back[8];
    char hex[17];
    be64_put(bytes, 0x0102030405060708u);
    ck_assert_uint_eq(be64_get(bytes), 0x0102030405060708u);
    ck_assert_uint_eq(be24_get(bytes + 1), 0x020304u);
    ck_assert_uint_eq(be16_get(bytes), 0x0102u);
    hex_encode(bytes, 8, hex);
    ck_assert_str_eq(hex, "0102030405060708");
    ck_assert(hex_decode(hex, 16, back, 8));
    ck_assert_mem_eq(bytes, back, 8);
    ck_assert(!hex_decode("0g", 2, back, 1) && !hex_decode("012", 3, back, 1));
}
END_TEST

// The 15-byte vector of the SipHash paper, appendix A.
START_TEST(test_siphash) {
    uint8_t key[16], data[15];
    for (uint8_t i = 0; i < 16; i++)
        key[i] = i;
    for (uint8_t i = 0; i < 15; i++)
        data[i] = i;
    ck_assert_uint_eq(siphash(key, data, 15), 0xa129ca6149be45e5u);
}
END_TEST

// The vectors of FIPS 180-4 ("abc") and of RFC 4231, case 2; twice, as what was fetched stays.
START_TEST(test_hashes) {
    const char *text = "what do ya want for nothing?";
    uint8_t digest[32];
    char hex[65];
    for (int i = 0; i < 2; i++) {
        crypto_sha256("abc", 3, digest);
        hex_encode(digest, 32, hex);
        ck_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        crypto_hmac_sha256("Jefe", 4, text, strlen(text), digest);
        hex_encode(digest, 32, hex);
        ck_assert_str_eq(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        crypto_sha1_hex("abc", 3, hex);
        ck_assert_str_eq(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
    }
}
END_TEST

START_TEST(test_buf) {
    struct buf b = BUF_EMPTY;
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%d,", i);
    buf_consume(&b, 2);
    ck_assert_mem_eq(b.data, "1,2,3,", 6);
    buf_reset(&b);
    ck_assert_str_eq(buf_cstr(&b), "");
    buf_append_u64(&b, 0);
    buf_append_u64(&b, 10);
    buf_append_u64(&b, UINT64_MAX);
    ck_assert_str_eq(buf_cstr(&b), "01018446744073709551615");
    buf_free(&b);
}
END_TEST

// A slot given and taken again is not found under its old turn; over the maximum there is
// nothing.
static const uint8_t fields[] = {
    0x08, 0x96, 0x01,                     // 1: the varint 150
    0x11, 1,    2,    3,   4, 5, 6, 7, 8, // 2: 64 bits
    0x1a, 2,    'o',  'k',                // 3: bytes
    0x25, 1,    2,    3,   4,             // 4: 32 bits
    0x2a, 0,                              // 5: no bytes
};

// How many fields the first len bytes hold; -1: they are no fields, or end within one.
static int fields_in(const uint8_t *data, size_t len) {
    struct wire_reader w = {data, data + len, false};
    const uint8_t *at;
    int count = 0;
    for (; w.at < w.end && !w.bad; count++)
        (void)wire_field(&w, wire_varint(&w), &at);
    return w.bad ? -1 : count;
}

// The shortest character at p, as one call for it alone sees it; 0: there is none.
static size_t one_char(const uint8_t *p, size_t left, bool *ret_control) {
    for (size_t len = 1; len <= 4 && len <= left; len++)
        if (utf8_is_valid(p, len, ret_control))
            return len;
    return 0;
}

// Long texts, which are read eight bytes at a time, against their characters one by one.
START_TEST(test_utf8_at_random) {
    static const char *const parts[] = {
        "a",       "~", " ", "\x1F", "\x7F", "\x80", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x9A\xA2",
        "\xC2\x85"};
    struct rng rng;
    int valid_count = 0, control_count = 0;
    rng_init(&rng, 20261126);
    for (int round = 0; round < 20000; round++) {
        struct buf text = BUF_EMPTY;
        uint64_t kinds = rng_below(&rng, 20) == 0 ? COUNT_OF(parts) : 1 + rng_below(&rng, 3);
        for (uint64_t n = rng_below(&rng, 40); n > 0; n--)
            buf_append_str(&text, parts[rng_below(&rng, 30) == 0 ? rng_below(&rng, COUNT_OF(parts))
                                                                 : rng_below(&rng, kinds)]);
        bool control = false, all_control = false, is_valid;
        size_t at = 0, used = 1;
        for (; at < text.len && used > 0; at += used) {
            used = one_char(text.data + at, text.len - at, &control);
            all_control = all_control || (used > 0 && control);
        }
        control = false;
        is_valid = utf8_is_valid(text.data, text.len, &control);
        ck_assert(is_valid == (used > 0));
        ck_assert(!is_valid || control == all_control);
        valid_count += is_valid;
        control_count += is_valid && control;
        buf_free(&text);
    }
    ck_assert(valid_count > 1000 && valid_count < 19000 && control_count > 1000);
}
END_TEST

START_TEST(test_wire) {
    static const int whole_at[] = {[0] = 0, [3] = 1, [12] = 2, [16] = 3, [21] = 4, [23] = 5};
    struct wire_reader w = {fields + 12, fields + sizeof(fields), false};
    const uint8_t *data;
    ck_assert_uint_eq(wire_field(&w, wire_varint(&w), &data), 2);
    ck_assert_ptr_eq(data, fields + 14);
    ck_assert_ptr_eq(w.at, fields + 16);
    for (size_t len = 0; len <= sizeof(fields); len++)
        ck_assert_int_eq(fields_in(fields, len),
                         len > 0 && whole_at[len] == 0 ? -1 : whole_at[len]);
    ck_assert_int_eq(fields_in((const uint8_t[]){0x0b}, 1), -1); // a group
    // A length that would lead past the end of memory.
    ck_assert_int_eq(fields_in((const uint8_t[]){0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                                 0xff, 0xff, 0x01},
                               11),
                     -1);
}
END_TEST

START_TEST(test_wire_varints) {
    static const uint64_t values[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX};
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        uint8_t bytes[WIRE_VARINT_BYTES_MAX];
        size_t len = wire_varint_put(bytes, values[i]);
        ck_assert_uint_eq(len, wire_varint_bytes(values[i]));
        struct wire_reader w = {bytes, bytes + len, false}, cut = {bytes, bytes + len - 1, false};
        ck_assert_uint_eq(wire_varint(&w), values[i]);
        ck_assert(!w.bad && w.at == w.end);
        (void)wire_varint(&cut);
        ck_assert(cut.bad);
    }
    // Eleven bytes are no varint.
    const uint8_t *endless = (const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    struct wire_reader w = {endless, endless + 11, false};
    (void)wire_varint(&w);
    ck_assert(w.bad);
}
END_TEST

START_TEST(test_slab) {
    struct slab s;
    slab_init(&s, 12, 3000);
    char *object = slab_take(&s);
    uint32_t slot = slab_slot(object), turn = slab_turn(object);
    object[0] = 'x';
    ck_assert_ptr_eq(slab_find(&s, slot, turn), object);
    slab_give(object);
    ck_assert_ptr_null(slab_find(&s, slot, turn));
    ck_assert_ptr_null(slab_at(&s, slot));
    object = slab_take(&s);
    ck_assert_int_eq(object[0], 0);
    ck_assert(slab_slot(object) == slot && slab_turn(object) != turn);
    for (int i = 1; i < 3000; i++)
        ck_assert_ptr_nonnull(slab_take(&s));
    ck_assert_ptr_null(slab_take(&s));
    ck_assert_uint_eq(s.used, 3000);
    slab_deinit(&s);
}
END_TEST

// What was taken in a storm is given back, and handles of before find nothing in chunks that came
// again: their slots go on with later turns.
START_TEST(test_slab_gives_back) {
    enum { COUNT = 5000 };
    static uint32_t slots[COUNT], turns[COUNT];
    struct slab s;
    slab_init(&s, 100, 10000);
    for (int storm = 0; storm < 3; storm++) {
        for (int i = 0; i < COUNT; i++) {
            const void *object = slab_take(&s);
            ck_assert_ptr_nonnull(object);
            uint32_t slot = slab_slot(object), turn = slab_turn(object);
            ck_assert_uint_lt(slot, COUNT); // the lowest chunk first
            ck_assert_uint_eq(turn, (uint32_t)storm + 1);
            ck_assert(storm == 0 || !slab_find(&s, slots[i], turns[i]));
            slots[i] = slot;
            turns[i] = turn;
        }
        ck_assert_uint_eq(s.high_water, COUNT);
        for (int i = 0; i < COUNT; i++) // here and there
            slab_give(slab_at(&s, slots[(i * 7) % COUNT]));
        ck_assert_uint_le(s.high_water, 1024);
        for (int i = 0; i < COUNT; i++)
            ck_assert_ptr_null(slab_find(&s, slots[i], turns[i]));
    }
    slab_deinit(&s);
}
END_TEST

// Against a plain model: what is taken is found, and nothing else.
START_TEST(test_slab_at_random) {
    enum { SLOTS = 3000, STEPS = 60000 };
    static uint32_t taken[SLOTS]; // turn, 0 = free
    struct slab s;
    struct rng rng;
    uint32_t used = 0;
    rng_init(&rng, 1);
    slab_init(&s, 8, SLOTS);
    for (int step = 0; step < STEPS; step++) {
        uint32_t at = (uint32_t)rng_below(&rng, SLOTS);
        bool grows = step / 6000 % 2 == 0; // fills, then empties, ten times
        if (taken[at] && (!grows || rng_below(&rng, 3) == 0)) {
            slab_give(slab_at(&s, at));
            ck_assert_ptr_null(slab_find(&s, at, taken[at]));
            taken[at] = 0;
            used--;
        } else if (grows && used < SLOTS) {
            void *object = slab_take(&s);
            uint32_t slot = slab_slot(object), turn = slab_turn(object);
            ck_assert(slot < SLOTS && taken[slot] == 0 && turn != 0);
            ck_assert_ptr_eq(slab_find(&s, slot, turn), object);
            taken[slot] = turn;
            used++;
        }
        ck_assert_uint_eq(s.used, used);
        ck_assert(!taken[at] || slab_find(&s, at, taken[at]));
    }
    slab_deinit(&s);
}
END_TEST

// The bound is the allocator's: protobuf-c is refused, and what is our own is not.
START_TEST(test_arena_bound) {
    struct arena a;
    arena_init(&a);
    a.bytes_max = 64;
    ProtobufCAllocator *alloc = &a.allocator;
    ck_assert_ptr_nonnull(alloc->alloc(alloc->allocator_data, 48));
    ck_assert_ptr_nonnull(alloc->alloc(alloc->allocator_data, 16));
    ck_assert(!a.is_over);
    ck_assert_ptr_null(alloc->alloc(alloc->allocator_data, 1));
    ck_assert(a.is_over);
    ck_assert_ptr_nonnull(arena_alloc(&a, 1000));
    ck_assert_ptr_null(alloc->alloc(alloc->allocator_data, 1));
    arena_reset(&a);
    ck_assert(!a.is_over);
    ck_assert_ptr_nonnull(alloc->alloc(alloc->allocator_data, 64));
    arena_reset(&a);
    ck_assert_ptr_null(alloc->alloc(alloc->allocator_data, SIZE_MAX));
    arena_deinit(&a);
}
END_TEST

START_TEST(test_arena) {
    struct arena a;
    arena_init(&a);
    for (size_t size = 0; size < 40000; size += 997)
        ck_assert_uint_eq((uintptr_t)arena_alloc(&a, size) % 16, 0);
    ck_assert_str_eq(arena_printf(&a, "%s-%d", "x", 7), "x-7");
    arena_reset(&a); // the first block stays, and is used again
    struct arena_block *kept = a.blocks;
    ck_assert_ptr_nonnull(kept);
    arena_alloc(&a, 16);
    ck_assert_ptr_eq(a.blocks, kept);
    arena_deinit(&a);
}
END_TEST

RUN_TESTS("base", test_utf8, test_utf8_mend, test_integers_and_hex, test_siphash, test_hashes,
          test_buf, test_slab, test_slab_gives_back, test_slab_at_random, test_arena,
          test_arena_bound, test_wire, test_wire_varints, test_utf8_at_random)
